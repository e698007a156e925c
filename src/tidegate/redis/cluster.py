"""A link to a cluster: each command goes to the node that has its key's slot.

The map of slots is read when the link is first used, and again whenever something shows that it is old: a node that
answers MOVED, or one that is away. Commands do not wait for the new map: MOVED and ASK say themselves where to go, and
the command goes there with the future that its caller holds. While a slot moves nobody fails: TRYAGAIN and CLUSTERDOWN
are tried again after a while.
"""

import asyncio
import random
import weakref
from collections.abc import Callable, Sequence
from typing import Any, Final

from tidegate.config.values import Address, parse_address
from tidegate.errors import GatewayError, Kind
from tidegate.process import tasks
from tidegate.redis.client import Client
from tidegate.redis.commands import Argument, key_of
from tidegate.redis.errors import ReplyError
from tidegate.redis.meters import Meters
from tidegate.redis.node import LANES, Node, NodeSettings
from tidegate.redis.pipeline import Command
from tidegate.redis.slots import SLOTS, slot_of
from tidegate.redis.statistics import LinkStatistics, statistics_of
from tidegate.redis.subscriber import Message, Subscriber, nothing

__all__ = ["ClusterLink"]

HOPS_MAX: Final = 16
"""How often a command is sent somewhere else before its caller is told."""
AGAIN_S: Final = 0.1
REFRESH_S: Final = 1.0
"""The least time between two looks at the map."""


class ClusterLink:
    """All that a worker has to do with one cluster.

    Args:
        name: Of the link, for messages.
        seeds: Nodes to begin with.
        settings: Greeting and lanes, of each node.
        say: Where changes of state are said.
        chance: Random numbers for pauses, and for which node a command without key goes to.
    """

    def __init__(
        self,
        name: str,
        seeds: Sequence[Address],
        settings: NodeSettings,
        say: Callable[..., None],
        *,
        chance: random.Random | None = None,
    ) -> None:
        self.name = name
        self.meters = Meters()
        self.refreshes = 0
        self._settings = settings
        self._say = say
        self._chance = chance or random.Random()
        self._loop = asyncio.get_running_loop()
        self._seeds = list(seeds)
        self._nodes: dict[Address, Node] = {}
        self._slots: list[Node | None] = [None] * SLOTS
        self._masters: list[Node] = []
        self._waiting: list[tuple[str, asyncio.Future[Any], tuple[Argument, ...], float | None]] = []
        self._hops: weakref.WeakKeyDictionary[asyncio.Future[Any], int] = weakref.WeakKeyDictionary()
        self._refreshing: asyncio.Task[None] | None = None
        self._refreshed_at = -REFRESH_S
        self._subscribers: list[Subscriber] = []
        self._is_closed = False
        sends = {lane: self._sender(lane) for lane in LANES}
        self.control, self.data, self.bulk = Client(sends, "control"), Client(sends, "data"), Client(sends, "bulk")

    # -- commands -------------------------------------------------------------------------------------------------

    def _sender(self, lane: str) -> Callable[..., asyncio.Future[Any]]:
        def send(args: tuple[Argument, ...], timeout_s: float | None = None) -> asyncio.Future[Any]:
            future: asyncio.Future[Any] = self._loop.create_future()
            self._dispatch(lane, future, args, timeout_s)
            return future

        return send

    def _dispatch(
        self, lane: str, future: asyncio.Future[Any], args: tuple[Argument, ...], timeout_s: float | None = None
    ) -> None:
        if future.done():
            return
        key = key_of(args)
        node = self._slots[slot_of(key)] if key is not None else self._any()
        if node is not None:
            node.lanes[lane].enqueue(future, args, timeout_s)
        elif self._is_closed:
            future.set_exception(GatewayError(Kind.DESTINATION_UNAVAILABLE, f"{self.name}: the link is closed"))
        else:
            self._waiting.append((lane, future, args, timeout_s))
            self._refresh_soon()

    def _any(self) -> Node | None:
        served = [node for node in self._masters if not node.breaker.is_open]
        return self._chance.choice(served or self._masters) if self._masters else None

    def _refused(self, node: Node, lane: str, error: ReplyError, command: Command) -> bool:
        """Sends a command where the node says, if it says so."""
        if error.code not in ("MOVED", "ASK", "TRYAGAIN", "CLUSTERDOWN"):
            return False
        hops = self._hops.get(command.future, 0) + 1
        if hops > HOPS_MAX or self._is_closed:
            return False
        self._hops[command.future] = hops
        if error.code in ("TRYAGAIN", "CLUSTERDOWN"):
            self._loop.call_later(AGAIN_S * hops, self._dispatch, lane, command.future, command.args)
            self._refresh_soon()
            return True
        _, slot, place = error.text.split(" ")[:3]
        other = self._node(self._address(place, node))
        if error.code == "MOVED":
            self._slots[int(slot)] = other
            self._refresh_soon()
        else:
            # The next command on that connection may ask for a slot that is still on its way.
            other.lanes[lane].send(("ASKING",)).add_done_callback(_heed_nothing)
        other.lanes[lane].enqueue(command.future, command.args)
        return True

    def _address(self, place: str, node: Node) -> Address:
        """``host:port`` as a node says it; without a host it is the node's own."""
        host, _, port = place.rpartition(":")
        if not host:
            host = next((known.host for known, one in self._nodes.items() if one is node), "127.0.0.1")
        return parse_address(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")

    # -- the map --------------------------------------------------------------------------------------------------

    def _node(self, address: Address) -> Node:
        node = self._nodes.get(address)
        if node is None:

            async def where() -> Address:
                return address

            node = self._nodes[address] = Node(
                f"{self.name} {address}",
                where,
                self._settings,
                self._said,
                self.meters,
                chance=self._chance,
                redirect=self._refused,
            )
        return node

    def _said(self, kind: str, message: str, **fields: Any) -> None:
        self._say(kind, message, **fields)
        if kind == "redis_unavailable":
            self._refresh_soon()  # its slots may be somebody else's by now

    def _refresh_soon(self) -> None:
        if self._refreshing is None and not self._is_closed:
            self._refreshing = tasks.start(self._refresh(), f"map of redis {self.name}")

    async def _refresh(self) -> None:
        try:
            await asyncio.sleep(self._refreshed_at + REFRESH_S - self._loop.time())
            errors = []
            for node in self._who_may_know():
                try:
                    shards = await node.lanes["control"].send(("CLUSTER", "SLOTS"), 2.0)
                    self._take(shards, node)
                except GatewayError as error:
                    errors.append(error.detail)
                    continue
                break
            else:
                self._tell_waiting(errors)
        finally:
            self._refreshed_at = self._loop.time()
            self._refreshing = None
            if any(node.breaker.is_open for node in self._masters):
                self._loop.call_later(REFRESH_S, self._refresh_soon)

    def _who_may_know(self) -> list[Node]:
        """Nodes that serve first, the seeds last."""
        known = [*self._masters, *(self._node(address) for address in self._seeds)]
        self._chance.shuffle(known)
        return sorted(dict.fromkeys(known), key=lambda node: (node.breaker.is_open, node not in self._masters))

    def _take(self, shards: list[Any], asked: Node) -> None:
        slots: list[Node | None] = [None] * SLOTS
        masters: dict[Node, None] = {}
        for first, last, (host, port, *_), *_ in shards:
            node = self._node(self._address(f"{(host or b'').decode()}:{port}", asked))
            masters[node] = None
            slots[first : last + 1] = [node] * (last + 1 - first)
        if not masters:
            raise GatewayError(
                Kind.DESTINATION_UNAVAILABLE, f"{self.name}: no slot of the cluster is served", status=503
            )
        self.refreshes += 1
        self._slots = slots
        self._masters = list(masters)
        for address, node in list(self._nodes.items()):
            if node not in masters and address not in self._seeds:
                del self._nodes[address]
                node.close()
        waiting, self._waiting = self._waiting, []
        for entry in waiting:
            self._loop.call_soon(self._dispatch, *entry)

    def _tell_waiting(self, errors: list[str]) -> None:
        waiting, self._waiting = self._waiting, []
        for _, future, *_ in waiting:
            if not future.done():
                future.set_exception(
                    GatewayError(Kind.DESTINATION_UNAVAILABLE, f"{self.name}: {'; '.join(errors)}", status=503)
                )

    # -- life -----------------------------------------------------------------------------------------------------

    def subscriber(self, on_message: Callable[[Message], None], on_gap: Callable[[], None] = nothing) -> Subscriber:
        """Hears what is published anywhere in the cluster, over a connection of its own to one of its nodes."""

        async def where() -> Address:
            serving = [address for address, node in self._nodes.items() if not node.breaker.is_open]
            return self._chance.choice(serving or self._seeds)

        one = Subscriber(where, self._settings.greeting, on_message, on_gap, chance=self._chance)
        self._subscribers.append(one)
        return one

    def close(self) -> None:
        """Ends all connections; whoever waits is told."""
        self._is_closed = True
        if self._refreshing is not None:
            self._refreshing.cancel()
        for node in self._nodes.values():
            node.close()
        for one in self._subscribers:
            one.close()
        self._tell_waiting(["the link is closed"])
        self._slots = [None] * SLOTS
        self._masters = []

    def nodes(self) -> tuple[Node, ...]:
        """The masters."""
        return tuple(self._masters)

    def statistics(self) -> LinkStatistics:
        """Everything it knows of itself; available while every master is."""
        lanes = tuple(lane for node in self._nodes.values() for lane in node.statistics())
        is_available = not any(node.breaker.is_open for node in self._masters)
        return statistics_of(self.name, is_available, lanes, self.meters)

    def __repr__(self) -> str:
        return f"<ClusterLink {self.name} {len(self._masters)} masters, map read {self.refreshes} times>"


def _heed_nothing(future: asyncio.Future[Any]) -> None:
    """ASKING is answered like anything else; what becomes of it shows in the command behind it."""
    if not future.cancelled():
        future.exception()
