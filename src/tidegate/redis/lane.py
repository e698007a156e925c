"""A lane: one connection to one server that all callers of a worker share, implicitly pipelined.

Rules:

1. A reply belongs to the oldest command in flight, whatever has become of its caller: who was cancelled or timed out
   leaves his place behind, and what is read for it is dropped. A connection that was lost takes its places with it.
2. No caller's code runs while replies are handed out: resolving a future schedules its waiter for later in the turn.
3. Time is the lane's own: the clock less what callers have spent after their replies. A caller that holds the loop
   makes nobody else's command slow or late. And no deadline passes before the socket was looked at once more, since the
   reply may have been there all the time (`_expire_after_a_look`).
4. Commands and bytes in flight are bounded; beyond that callers wait in order, in bounded number, until their deadline.
5. What no byte of was handed to the connection when it is lost goes to the next one. The rest fails: nobody knows
   whether the server has seen it.
6. A bounded number of bytes is written in one turn, and none while the socket takes nothing.
"""

import asyncio
import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from tidegate.errors import GatewayError, Kind, Retry, Source
from tidegate.redis.commands import Argument
from tidegate.redis.connection import Connection
from tidegate.redis.errors import ReplyError, protocol_error
from tidegate.redis.meters import Meters
from tidegate.redis.pipeline import Command, Pipeline, Waiter
from tidegate.redis.statistics import LaneStatistics

__all__ = ["Lane", "LaneOwner", "LaneSettings"]


@dataclass(frozen=True, slots=True)
class LaneSettings:
    """Bounds of a lane, and when it writes.

    Args:
        batch: Commands that end the waiting for more, when there is a ``linger_s``.
        linger_s: How long a command may wait for others; 0: until the end of the loop's turn.
        timeout_s: From handing over to the reply, unless the call says otherwise.
        max_commands: In flight.
        max_bytes: Of commands in flight.
        max_waiting: Callers that wait because of these two, or for a connection.
        wait_timeout_s: How long they do.
    """

    batch: int = 64
    linger_s: float = 0.0
    timeout_s: float = 1.0
    max_commands: int = 4096
    max_bytes: int = 64 << 20
    max_waiting: int = 65_536
    wait_timeout_s: float = 1.0


class LaneOwner(Protocol):
    """Who connects a lane: the node that it belongs to."""

    name: str

    def wake(self, lane: "Lane") -> None:
        """Somebody wants to use a lane that is not connected."""

    def heard(self) -> None:
        """The server has said something, after failures were counted."""

    def lost(self, lane: "Lane", error: GatewayError) -> None:
        """The connection of a lane has ended."""

    def silent(self, lane: "Lane", error: GatewayError) -> None:
        """A deadline has passed, and nothing has come since the command was sent."""

    def refusal(self, lane: "Lane") -> GatewayError | None:
        """What a caller is told at once because the server is away; None: he may wait."""

    def replied_error(self, lane: "Lane", error: ReplyError, command: Command) -> bool:
        """The server refused a command; True when the owner takes care of its future."""


class Lane(Pipeline):
    """One of the connections to a server.

    Args:
        name: ``control``, ``data`` or ``bulk``.
        settings: Its bounds.
        owner: Connects it.
        meters: Of the link.
    """

    def __init__(self, name: str, settings: LaneSettings, owner: LaneOwner, meters: Meters) -> None:
        super().__init__(
            asyncio.get_running_loop(),
            meters,
            batch=settings.batch,
            linger_s=settings.linger_s,
            timeout_s=settings.timeout_s,
            max_commands=settings.max_commands,
            max_bytes=settings.max_bytes,
        )
        self.name = name
        self.settings = settings
        self._owner = owner
        self._on_push: Callable[[Any], None] = _nothing
        self._deadlines: list[tuple[float, int, asyncio.Future[Any]]] = []
        self._order = itertools.count()
        self._timer: asyncio.Handle | None = None
        self._timer_at = 0.0  # on the loop's clock
        self._is_closed = False
        self._connects = self._timeouts = self._turned_away = 0

    # -- waiting --------------------------------------------------------------------------------------------------

    def wait(self, future: asyncio.Future[Any], args: tuple[Argument, ...], timeout_s: float | None) -> None:
        """There is no room for a command, or no connection. A time of its own counts from here, the lane's does not."""
        refusal = self._refusal()
        if refusal is not None:
            future.set_exception(refusal)
            return
        now = self.now_s
        late_at = None if timeout_s is None else now + timeout_s
        deadline = now + self.settings.wait_timeout_s
        if late_at is not None:
            deadline = min(deadline, late_at)
        self.waiting.append(Waiter(future, args, deadline, late_at))
        self._arm(deadline)
        if self.connection is None:
            self._owner.wake(self)

    def _refusal(self) -> GatewayError | None:
        if self._is_closed:
            return _closed(self._owner.name)
        if self.connection is None and (away := self._owner.refusal(self)) is not None:
            return away
        if len(self.waiting) < self.settings.max_waiting:
            return None
        self._turned_away += 1
        detail = f"{self._owner.name}: {len(self.waiting)} commands wait already, {self.in_flight_count} are in flight"
        return GatewayError(Kind.CONNECTION_LIMIT_REACHED, detail, source=Source.INTERNAL, retry=Retry.YES, status=503)

    # -- deadlines ------------------------------------------------------------------------------------------------

    def watch(self, deadline: float, future: asyncio.Future[Any] | None) -> None:
        """Looks at a deadline other than the usual; None: at the usual one of what is in flight."""
        if future is not None:
            # Those that have been answered would otherwise be kept, replies and all, until their deadlines.
            while self._deadlines and self._deadlines[0][2].done():
                heapq.heappop(self._deadlines)
            heapq.heappush(self._deadlines, (deadline, next(self._order), future))
            if self._deadlines[0][2] is not future:
                return  # the timer is for one that comes before it
        self._arm(deadline)

    def _arm(self, deadline: float) -> None:
        wait_s = max(0.0, deadline - self.now_s)
        due_at = self.loop.time() + wait_s
        if self._timer is not None:
            if self._timer_at <= due_at + 0.001:
                return
            self._timer.cancel()
        self._timer = self.loop.call_later(wait_s, self._expire_after_a_look)
        self._timer_at = due_at

    def _expire_after_a_look(self) -> None:
        """Two turns on: the first may be this one's own, and between it and the second the loop reads its sockets."""
        self.loop.call_soon(self.loop.call_soon, self._expire, self.now_s)

    def _expire(self, now: float) -> None:
        """Who has not been answered by ``now`` is told so."""
        self._timer = None
        late, is_silent = self.take_late(now)
        while self._deadlines and (self._deadlines[0][0] <= now or self._deadlines[0][2].done()):
            late.append(heapq.heappop(self._deadlines)[2])
        while self.waiting and (self.waiting[0].deadline <= now or self.waiting[0].future.done()):
            late.append(self.waiting.popleft().future)
        for future in late:
            if not future.done():
                self._timeouts += 1
                future.set_exception(self._timeout())
        soonest = [self._deadlines[0][0]] if self._deadlines else []
        if self.waiting:
            soonest.append(self.waiting[0].deadline)
        if (usual := self.next_late_s()) is not None:
            soonest.append(usual)
        if soonest:
            self._arm(min(soonest))
        if is_silent:
            self.failures += 1
            self._owner.silent(self, self._timeout())

    def _timeout(self) -> GatewayError:
        return GatewayError(Kind.CONNECTION_READ_TIMEOUT, f"{self._owner.name}: no reply in time", retry=Retry.NO)

    # -- replies --------------------------------------------------------------------------------------------------

    def pushed(self, message: Any) -> None:
        """What the server says unasked."""
        self._on_push(message)

    def refused(self, error: Exception, command: Command) -> bool:
        """An error instead of a result; True when somebody else takes care of the command."""
        return isinstance(error, ReplyError) and self._owner.replied_error(self, error, command)

    def heard(self) -> None:
        """Something came after silence."""
        self._owner.heard()

    def out_of_step(self) -> None:
        """A reply that nobody waits for: from here on no reply can be given to anybody."""
        self.drop(protocol_error(self._owner.name, "a reply came that nobody waits for"))

    # -- the connection -------------------------------------------------------------------------------------------

    @property
    def silent_s(self) -> float:
        """How long ago the server was heard last, or the connection made."""
        return self.now_s - self.heard_at

    def attach(self, connection: Connection, on_push: Callable[[Any], None] | None = None) -> None:
        """Goes on with a connection that has just been greeted; those who waited for it come first."""
        self._on_push = on_push or _nothing
        self._connects += 1
        self.failures = 0
        connection.on_replies = self.take
        connection.on_writable = self.write
        connection.on_lost = self._lost
        self.use(connection)
        self.admit()

    def drop(self, error: GatewayError) -> None:
        """Ends the connection; what is in flight fails with ``error``."""
        if self.connection is not None:
            self.connection.abort(error)
            self._lost(error)

    def refuse_waiting(self, error: Callable[[], GatewayError]) -> None:
        """Everybody who waits is told at once, each with an exception of his own."""
        waiting = list(self.waiting)
        self.waiting.clear()
        for one in waiting:
            if not one.future.done():
                one.future.set_exception(error())

    def close(self) -> None:
        """Ends the lane: whoever is in flight or waits is told."""
        self._is_closed = True
        self.drop(_closed(self._owner.name))
        self.refuse_waiting(lambda: _closed(self._owner.name))
        if self._timer is not None:
            self._timer.cancel()

    def _lost(self, error: GatewayError) -> None:
        if self.connection is None:
            return
        self.connection.on_replies = self.connection.on_lost = _drop
        self.connection.on_writable = _nothing
        self.use(None)
        written, unwritten = self.take_all()
        for command in written:
            if not command.future.done():
                command.future.set_exception(
                    GatewayError(error.kind, error.detail, source=error.source, retry=Retry.NO, cause=error)
                )
        for command, since in reversed(unwritten):
            if not command.future.done():
                deadline = since + self.settings.wait_timeout_s
                self.waiting.appendleft(Waiter(command.future, command.args, deadline, None))
        if not self._is_closed:
            if self.waiting:
                self._arm(self.waiting[0].deadline)
            self._owner.lost(self, error)

    # -- for people -----------------------------------------------------------------------------------------------

    def statistics(self) -> LaneStatistics:
        """What it is doing."""
        return LaneStatistics(
            name=self.name,
            address="" if self.connection is None else str(self.connection.address),
            is_connected=self.connection is not None,
            in_flight=self.in_flight_count,
            waiting=len(self.waiting),
            bytes_in_flight=self.bytes_in_flight,
            writes=self.writes,
            commands=self.commands,
            bytes_out=self.bytes_out,
            bytes_in=self.bytes_in,
            connects=self._connects,
            reconnects=max(0, self._connects - 1),
            timeouts=self._timeouts,
            turned_away=self._turned_away,
            dropped=self.dropped,
        )

    def __repr__(self) -> str:
        state = "connected" if self.connection is not None else "not connected"
        return (
            f"<Lane {self.name} of {self._owner.name} {state}, {self.in_flight_count} in flight, "
            f"{len(self.waiting)} waiting>"
        )


def _nothing(*_: object) -> None:
    pass


def _drop(_: object) -> None:
    """A connection that is no longer the lane's has nothing to say to it."""


def _closed(name: str) -> GatewayError:
    return GatewayError(Kind.DESTINATION_UNAVAILABLE, f"{name}: the link is closed", source=Source.INTERNAL)
