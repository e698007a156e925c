"""One fetch for each key, and who waits for it.

The first who asks begins a flight; who asks while it is under way waits for the same. The fetch runs in a task of its
own: whoever gives up, the first one too, leaves the others waiting. It is made with the ``load`` of the one who leads;
when that fails he is told, and the next who waits leads. After `LEADERS` failures everybody is told: what has failed so
often fails, and a thousand who wait would not all find out in turn.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple

from tidegate.cache.shelf import Entry, Key
from tidegate.errors import GatewayError, Kind, Source
from tidegate.process import tasks

__all__ = ["LEADERS", "Call", "Flights", "NotKnown"]

LEADERS: Final = 3


class NotKnown(LookupError):
    """Nothing is remembered, and this caller has no ``load``: the next who waits may have one."""


class Call(NamedTuple):
    """What a caller wants: how to load, for how long, under which tags, and newer than ``older``."""

    load: Callable[[Any], Awaitable[Any]] | None
    ttl_s: float | None
    tags: tuple[str, ...]
    older: Entry | None = None


class _Flight:
    __slots__ = ("last", "task", "waiting")

    def __init__(self, call: Call) -> None:
        self.waiting: deque[tuple[Call, asyncio.Future[Entry]]] = deque()
        self.last = call
        self.task: asyncio.Task[None] | None = None


class Flights:
    """Those of one cache in one worker.

    Args:
        fetch: ``await fetch(key, call)`` gets the entry.
    """

    def __init__(self, fetch: Callable[[Key, Call], Awaitable[Entry]]) -> None:
        self._fetch = fetch
        self._flights: dict[Key, _Flight] = {}
        self.collapsed = 0

    def __len__(self) -> int:
        return len(self._flights)

    def __contains__(self, key: Key) -> bool:
        return key in self._flights

    def waiting(self, key: Key) -> int:
        """How many wait for ``key``."""
        flight = self._flights.get(key)
        return 0 if flight is None else len(flight.waiting)

    def total_waiting(self) -> int:
        """How many wait, for whatever key."""
        return sum(len(flight.waiting) for flight in self._flights.values())

    def join(self, key: Key, call: Call) -> asyncio.Future[Entry]:
        """Waits for the flight of ``key``, which begins if there is none. Who cancels the future only leaves."""
        future: asyncio.Future[Entry] = asyncio.get_running_loop().create_future()
        flight = self._flights.get(key)
        if flight is None:
            flight = self._begin(key, call)
        else:
            self.collapsed += 1
        flight.waiting.append((call, future))
        return future

    def start(self, key: Key, call: Call) -> bool:
        """Begins a flight that nobody waits for; False when one is under way."""
        if key in self._flights:
            return False
        self._begin(key, call)
        return True

    def close(self) -> None:
        """Ends all of them; who waits is told."""
        for flight in self._flights.values():
            if flight.task is not None:
                flight.task.cancel()
            self._tell(
                flight, GatewayError(Kind.DESTINATION_UNAVAILABLE, "the cache is closed", source=Source.INTERNAL)
            )
        self._flights.clear()

    # -- inside ---------------------------------------------------------------------------------------------------

    def _begin(self, key: Key, call: Call) -> _Flight:
        flight = self._flights[key] = _Flight(call)
        flight.task = tasks.start(self._fly(key, flight), f"fetch {key!r}")
        return flight

    async def _fly(self, key: Key, flight: _Flight) -> None:
        failures = 0
        try:
            while True:
                call, leader = self._lead(flight)
                error = await self._try(key, call, flight)
                if error is None:
                    return
                failures += not isinstance(error, NotKnown)
                if failures >= LEADERS:
                    self._tell(flight, error)
                    return
                if leader is not None:
                    flight.waiting.popleft()
                    if not leader.done():
                        leader.set_exception(error)
                if not any(not future.done() for _, future in flight.waiting):
                    return
        finally:
            if self._flights.get(key) is flight:
                del self._flights[key]

    async def _try(self, key: Key, call: Call, flight: _Flight) -> Exception | None:
        """One fetch, told to all who wait; or why there was none."""
        try:
            found = await self._fetch(key, call)
        except asyncio.CancelledError:
            if _is_cancelled():
                raise
            what = f"the load of {key!r} was cancelled from within"
            return GatewayError(Kind.PROXY_INTERNAL_ERROR, what, source=Source.INTERNAL)
        except Exception as error:  # noqa: BLE001 - told to who waits for it
            return error
        for _, future in flight.waiting:
            if not future.done():
                future.set_result(found)
        return None

    def _lead(self, flight: _Flight) -> tuple[Call, asyncio.Future[Entry] | None]:
        """The first who still waits; when nobody does, whoever waited last: others will ask for it."""
        while flight.waiting:
            call, future = flight.waiting[0]
            if not future.done():
                flight.last = call
                return call, future
            flight.waiting.popleft()
        return flight.last, None

    def _tell(self, flight: _Flight, error: Exception) -> None:
        for _, future in flight.waiting:
            if not future.done():
                future.set_exception(error)

    def __repr__(self) -> str:
        return f"<Flights: {len(self._flights)} under way, {self.collapsed} collapsed>"


def _is_cancelled() -> bool:
    """Whether this task itself is to end, rather than something that it waited for."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
