"""A link to one server at a fixed address."""

import random
from collections.abc import Callable

from tidegate.config.values import Address
from tidegate.redis.client import Client
from tidegate.redis.connection import Connection
from tidegate.redis.errors import ReplyError
from tidegate.redis.meters import Meters
from tidegate.redis.node import Node, NodeSettings
from tidegate.redis.pipeline import Command
from tidegate.redis.statistics import LinkStatistics, statistics_of
from tidegate.redis.subscriber import Message, Subscriber, nothing

__all__ = ["SingleLink"]


class SingleLink:
    """All that a worker has to do with one Redis server.

    Args:
        name: Of the link, for messages.
        address: The server's.
        settings: Greeting and lanes.
        say: Where changes of state are said.
        chance: Random numbers for pauses.
    """

    def __init__(
        self,
        name: str,
        address: Address,
        settings: NodeSettings,
        say: Callable[..., None],
        *,
        chance: random.Random | None = None,
    ) -> None:
        self.name = name
        self.address = address
        self.meters = Meters()
        self._subscribers: list[Subscriber] = []
        self.node = Node(
            name,
            self.where,
            settings,
            say,
            self.meters,
            chance=chance,
            redirect=self.refused,
            is_right=self.check,
        )
        sends = {lane: self.node.lanes[lane].send for lane in self.node.lanes}
        self.control, self.data, self.bulk = Client(sends, "control"), Client(sends, "data"), Client(sends, "bulk")

    async def where(self) -> Address:
        """The server's address, at this moment."""
        return self.address

    async def check(self, connection: Connection) -> None:
        """Raises GatewayError when a fresh connection leads to the wrong server; here any will do."""

    def refused(self, node: Node, lane: str, error: ReplyError, command: Command) -> bool:
        """An error that the server answered; True when somebody else takes care of the command."""
        del node, lane, error, command
        return False

    def subscriber(self, on_message: Callable[[Message], None], on_gap: Callable[[], None] = nothing) -> Subscriber:
        """Hears what is published, over a connection of its own; it ends with the link."""
        one = Subscriber(self.where, self.node.settings.greeting, on_message, on_gap)
        self._subscribers.append(one)
        return one

    def close(self) -> None:
        """Ends its connections; whoever waits is told."""
        self.node.close()
        for one in self._subscribers:
            one.close()

    def nodes(self) -> tuple[Node, ...]:
        """The one server."""
        return (self.node,)

    def statistics(self) -> LinkStatistics:
        """Everything it knows of itself."""
        return statistics_of(self.name, not self.node.breaker.is_open, self.node.statistics(), self.meters)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name} {self.address} {self.node!r}>"
