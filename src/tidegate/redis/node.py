"""One Redis server as a worker sees it: its lanes, one breaker for all of them, and who connects them again.

A lane is connected when it is first used, and from then on kept connected. While the breaker is open everybody is
refused at once, and one lane alone tries again; when it is served the others follow. A lane whose own connection cannot
be made, although others are served, refuses its own callers only.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from tidegate.config.values import Address
from tidegate.errors import GatewayError, Kind, Retry
from tidegate.process import tasks
from tidegate.redis.breaker import FAILURES, Breaker
from tidegate.redis.connection import Connection, Greeting, open_connection
from tidegate.redis.errors import REFUSES_WORK, ReplyError
from tidegate.redis.lane import Lane, LaneSettings
from tidegate.redis.meters import Meters
from tidegate.redis.pace import Pace
from tidegate.redis.pipeline import Command
from tidegate.redis.statistics import LaneStatistics

__all__ = ["LANES", "Node", "NodeSettings", "Redirect"]

LANES = ("control", "data", "bulk")


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """How to be with a server: who one is, and the bounds of each lane."""

    greeting: Greeting = field(default_factory=Greeting)
    lanes: Mapping[str, LaneSettings] = field(default_factory=lambda: dict.fromkeys(LANES, LaneSettings()))


class Redirect(Protocol):
    """Who takes a command that a server refused to another one."""

    def __call__(self, node: "Node", lane: str, error: ReplyError, command: Command) -> bool:
        """True when the command's future is taken care of."""


class Node:
    """One server.

    Args:
        name: Of the link.
        where: The server's address, asked for before each attempt: behind a Sentinel it changes.
        settings: Greeting and lanes.
        say: Where changes of state are said: ``say(kind, message, **fields)``.
        meters: Of the link.
        chance: Random numbers for pauses.
        redirect: Is shown each error that the server answers, if given.
        is_right: Asked of a fresh connection before it is used; raises GatewayError when it leads to the wrong server.
        pushed: Is given what the server says unasked.
    """

    def __init__(
        self,
        name: str,
        where: Callable[[], Awaitable[Address]],
        settings: NodeSettings,
        say: Callable[..., None],
        meters: Meters,
        *,
        chance: random.Random | None = None,
        redirect: Redirect | None = None,
        is_right: Callable[[Connection], Awaitable[None]] | None = None,
        pushed: Callable[[Any], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self.settings = settings
        self.breaker = Breaker(name, say)
        self.pace = Pace(chance or random.Random())
        self.lanes = {lane: Lane(lane, settings.lanes[lane], self, meters) for lane in LANES}
        self._where = where
        self._redirect = redirect
        self._is_right = is_right
        self._pushed = pushed
        self._clock = clock
        self._errors: dict[str, GatewayError] = {}  # by lane: why it is not connected, since the latest attempt
        self._connecting: dict[str, asyncio.Task[None]] = {}
        self._used: set[str] = set()
        self._prober: Lane | None = None
        self._is_available = asyncio.Event()
        self._is_available.set()
        self._is_closed = False

    # -- life -----------------------------------------------------------------------------------------------------

    def wake(self, lane: Lane) -> None:
        """Sees to it that a lane is connected, or is told why it is not."""
        self._used.add(lane.name)
        if lane.name not in self._connecting and not self._is_closed:
            task = tasks.start(self._connect(lane), f"connect redis {self.name} {lane.name}")
            self._connecting[lane.name] = task
            task.add_done_callback(lambda _: self._connecting.pop(lane.name, None))

    def start_over(self, error: GatewayError) -> None:
        """Ends every connection and connects anew: the server has moved, or is not what it was."""
        for lane in self.lanes.values():
            lane.drop(error)

    def close(self) -> None:
        """Ends everything; whoever waits is told."""
        self._is_closed = True
        for task in list(self._connecting.values()):
            task.cancel()
        for lane in self.lanes.values():
            lane.close()

    # -- what lanes ask and tell ----------------------------------------------------------------------------------

    def refusal(self, lane: Lane) -> GatewayError | None:
        """What a caller of a lane without a connection is told at once; None: it is being made for the first time."""
        if self.breaker.is_open:
            return self.breaker.refusal()
        error = self._errors.get(lane.name)
        if error is None:
            return None
        return GatewayError(error.kind, error.detail, source=error.source, retry=Retry.YES, status=503)

    def heard(self) -> None:
        """A server that was silent is not."""
        self.breaker.heard(self._clock())

    def lost(self, lane: Lane, error: GatewayError) -> None:
        """A connection has ended: the next one is made at once, or after a pause when that failed before."""
        del error
        if not self._is_closed:
            self.wake(lane)

    def silent(self, lane: Lane, error: GatewayError) -> None:
        """A deadline passed in silence. A server that talks on another lane is not away; then only this one is cut."""
        others = [one for one in self.lanes.values() if one is not lane and one.connection is not None]
        if any(one.silent_s < lane.silent_s for one in others):
            self.breaker.failures = 0
        elif self.breaker.failed(error, self._clock()):
            self._cut(error)
            return
        if lane.failures >= FAILURES:
            lane.drop(error)

    def replied_error(self, lane: Lane, error: ReplyError, command: Command) -> bool:
        """A server that serves nobody is as good as away; other errors may be a matter for another server."""
        if error.code in REFUSES_WORK:
            asyncio.get_running_loop().call_soon(self._give_up, error)
        return self._redirect is not None and self._redirect(self, lane.name, error, command)

    # -- connecting -----------------------------------------------------------------------------------------------

    def _give_up(self, error: GatewayError) -> None:
        if self.breaker.failed(error, self._clock(), at_once=True):
            self._cut(error)

    def _cut(self, error: GatewayError) -> None:
        self._is_available.clear()
        for lane in self.lanes.values():
            lane.drop(error)
            lane.refuse_waiting(self.breaker.refusal)

    async def _connect(self, lane: Lane) -> None:
        while lane.connection is None and not self._is_closed:
            if self.breaker.is_open:
                if self._prober not in (None, lane):
                    await self._is_available.wait()
                    continue
                self._prober = lane
            try:
                await asyncio.sleep(self.pace.next_s(self._clock()))
                connection = await self.open()
            except GatewayError as error:
                self._failed(lane, error)
                continue
            finally:
                if self._prober is lane:
                    self._prober = None
            self._served(lane, connection)

    async def open(self) -> Connection:
        """A greeted connection to the right server, of the caller's own. Raises GatewayError."""
        connection = await open_connection(await self._where(), self.settings.greeting)
        if self._is_right is not None:
            try:
                await self._is_right(connection)
            except BaseException:
                connection.abort(GatewayError(Kind.DESTINATION_UNAVAILABLE, f"{connection.address}: not the one"))
                raise
        if connection.is_lost:
            raise connection.lost.result()
        return connection

    def _served(self, lane: Lane, connection: Connection) -> None:
        self.pace.succeeded()
        self._errors.pop(lane.name, None)
        self.breaker.heard(self._clock())
        self._is_available.set()
        lane.attach(connection, self._pushed)

    def _failed(self, lane: Lane, error: GatewayError) -> None:
        self.pace.failed()
        self._errors[lane.name] = error
        is_alone = all(other.connection is None for other in self.lanes.values())
        if self.breaker.failed(error, self._clock(), at_once=is_alone):
            self._cut(error)
        lane.refuse_waiting(lambda: self.refusal(lane) or error)

    @property
    def is_used(self) -> bool:
        """Whether anybody has sent it a command."""
        return bool(self._used)

    # -- for people -----------------------------------------------------------------------------------------------

    def statistics(self) -> tuple[LaneStatistics, ...]:
        """What its lanes are doing; those that nobody has used are left out."""
        return tuple(lane.statistics() for lane in self.lanes.values() if lane.name in self._used)

    def __repr__(self) -> str:
        connected = [lane.name for lane in self.lanes.values() if lane.connection is not None]
        return f"<Node {self.name} connected {connected} {self.breaker!r}>"
