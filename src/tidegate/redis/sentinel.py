"""A link to the master of a set that Sentinels watch over; a fail-over is followed.

Before each attempt to connect the Sentinels are asked where the master is, the one that answered last first, and the
server that is found is asked whether it is one (ROLE): a Sentinel may not know yet. Two things end the connections to a
master that is none any more: a Sentinel that publishes ``+switch-master``, and a server that answers READONLY.
"""

import asyncio
import random
from collections.abc import Callable, Sequence
from typing import Final

from tidegate.config.values import Address
from tidegate.errors import GatewayError, Kind
from tidegate.process import tasks
from tidegate.redis.connection import Connection, Greeting, open_connection
from tidegate.redis.errors import ReplyError
from tidegate.redis.node import Node, NodeSettings
from tidegate.redis.pipeline import Command
from tidegate.redis.single import SingleLink
from tidegate.redis.subscriber import Message, Subscriber

__all__ = ["SentinelLink"]

_SWITCH: Final = "+switch-master"


class SentinelLink(SingleLink):
    """All that a worker has to do with such a set.

    Args:
        name: Of the link, for messages.
        service: What Sentinels call the master.
        sentinels: Their addresses.
        settings: Who one is to the master, and the lanes.
        say: Where changes of state are said.
        greeting: Who one is to the Sentinels.
        chance: Random numbers for pauses.
    """

    def __init__(
        self,
        name: str,
        service: str,
        sentinels: Sequence[Address],
        settings: NodeSettings,
        say: Callable[..., None],
        *,
        greeting: Greeting,
        chance: random.Random | None = None,
    ) -> None:
        self.service = service
        self.fail_overs = 0
        self._sentinels = list(sentinels)
        self._greeting = greeting
        super().__init__(name, sentinels[0], settings, say, chance=chance)
        self._watch = Subscriber(self._sentinel, greeting, self._switched, chance=chance)
        self._subscribers.append(self._watch)
        self._watching: asyncio.Future[None] | None = None

    async def where(self) -> Address:
        """The master's address, as the first Sentinel that answers knows it."""
        errors = []
        for sentinel in list(self._sentinels):
            try:
                self.address = await self._ask(sentinel)
            except GatewayError as error:
                errors.append(error.detail)
                continue
            self._sentinels.remove(sentinel)
            self._sentinels.insert(0, sentinel)
            if self._watching is None:
                self._watching = tasks.start(self._watch.subscribe(_SWITCH), f"watch the sentinels of {self.name}")
            return self.address
        raise GatewayError(
            Kind.DESTINATION_NOT_FOUND, f"no sentinel knows {self.service}: {'; '.join(errors)}", status=503
        )

    async def check(self, connection: Connection) -> None:
        """Raises GatewayError when the server is no master."""
        (role,) = await connection.ask(("ROLE",))
        if isinstance(role, ReplyError):
            raise role
        if role[0] != b"master":
            raise GatewayError(
                Kind.DESTINATION_UNAVAILABLE, f"{connection.address} is a {role[0].decode()}, no master yet"
            )

    def refused(self, node: Node, lane: str, error: ReplyError, command: Command) -> bool:
        """READONLY: what was the master has become a replica."""
        del node, lane, command
        if error.code == "READONLY":
            asyncio.get_running_loop().call_soon(self._start_over, "it answers READONLY")
        return False

    # -- inside ---------------------------------------------------------------------------------------------------

    async def _ask(self, sentinel: Address) -> Address:
        connection = await open_connection(sentinel, self._greeting)
        try:
            (answer,) = await connection.ask(("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.service))
        finally:
            connection.abort(GatewayError(Kind.CONNECTION_TERMINATED, "asked"))
        if isinstance(answer, ReplyError):
            raise answer
        if answer is None:
            raise GatewayError(Kind.DESTINATION_NOT_FOUND, f"{sentinel} knows no {self.service}")
        host, port = answer
        return Address(host=host.decode(), port=int(port))

    async def _sentinel(self) -> Address:
        """Another one each time: the one before may be away."""
        self._sentinels.append(self._sentinels.pop(0))
        return self._sentinels[0]

    def _switched(self, message: Message) -> None:
        name, *_, host, port = message.data.decode().split(" ")
        if name == self.service and Address(host=host, port=int(port)) != self.address:
            self._start_over("a fail-over")

    def _start_over(self, why: str) -> None:
        self.fail_overs += 1
        self.node.start_over(GatewayError(Kind.CONNECTION_TERMINATED, f"{self.name}: {why}; the master has moved"))
