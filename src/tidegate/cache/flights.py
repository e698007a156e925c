"""One fetch for each key, and who waits for it.

The first who asks begins a flight; who asks while it is under way waits for the same. The fetch is nobody's who waits:
whoever gives up, the first one too, leaves the others waiting. It is made with the ``load`` of the one who leads; when
that fails he is told, and the next who waits leads. After `LEADERS` failures everybody is told: what has failed so
often fails, and a thousand who wait would not all find out in turn.

A fetch runs in a task of its own. What can be begun without one (``loaded.Question``) gets its task when it turns out
to need it, or when it has failed and somebody else who waits is to lead.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final, NamedTuple

from tidegate.cache.loaded import NeedsTask
from tidegate.cache.shelf import Entry, Key
from tidegate.errors import GatewayError, Kind, Source
from tidegate.net.later import Later
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


Waiting = asyncio.Future[Entry]
"""One who waits. Who cancels it only leaves."""


class _Flight:
    __slots__ = ("last", "under_way", "waiting")

    def __init__(self, call: Call) -> None:
        self.waiting: list[tuple[Call, Waiting]] = []
        self.last = call
        self.under_way: asyncio.Future[Any] | None = None  # its task, or what was begun without one


class Flights:
    """Those of one cache in one worker.

    Args:
        fetch: ``await fetch(key, call)`` gets the entry.
        begin: ``begin(key, call)`` does it without a task; None: that cannot be done.
    """

    def __init__(
        self,
        fetch: Callable[[Key, Call], Awaitable[Entry]],
        begin: Callable[[Key, Call], Later[Entry] | None] = lambda _key, _call: None,
    ) -> None:
        self._fetch = fetch
        self._begin_fetch = begin
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

    def join(self, key: Key, call: Call) -> Waiting:
        """Waits for the flight of ``key``, which begins if there is none."""
        future: Waiting = asyncio.get_running_loop().create_future()
        flight = self._flights.get(key)
        if flight is None:
            self._begin(key, call, future)
        else:
            self.collapsed += 1
            flight.waiting.append((call, future))
        return future

    def start(self, key: Key, call: Call) -> bool:
        """Begins a flight that nobody waits for; False when one is under way."""
        if key in self._flights:
            return False
        self._begin(key, call, None)
        return True

    def close(self) -> None:
        """Ends all of them; who waits is told."""
        for flight in self._flights.values():
            if flight.under_way is not None:
                flight.under_way.cancel()
            self._tell(
                flight, GatewayError(Kind.DESTINATION_UNAVAILABLE, "the cache is closed", source=Source.INTERNAL)
            )
        self._flights.clear()

    # -- inside ---------------------------------------------------------------------------------------------------

    def _begin(self, key: Key, call: Call, leader: Waiting | None) -> None:
        flight = self._flights[key] = _Flight(call)
        if leader is not None:
            flight.waiting.append((call, leader))
        later = self._begin_fetch(key, call)
        if later is None:
            self._take_off(key, flight)
            return
        flight.under_way = later.future
        later.future.add_done_callback(partial(self._answered, key, flight, leader, later.then))

    def _take_off(self, key: Key, flight: _Flight, failures: int = 0) -> None:
        flight.under_way = tasks.start(self._fly(key, flight, failures), f"fetch {key!r}")

    def _answered(
        self,
        key: Key,
        flight: _Flight,
        leader: Waiting | None,
        then: Callable[[asyncio.Future[Any]], Entry],
        answer: asyncio.Future[Any],
    ) -> None:
        """What was begun without a task has come to something, or to nothing."""
        if self._flights.get(key) is not flight:
            return  # closed
        if answer.cancelled():
            self._take_off(key, flight)
            return
        try:
            found = then(answer)
        except NeedsTask:
            self._take_off(key, flight)
        except Exception as error:  # noqa: BLE001 - told to who waits for it
            if self._has_followers(flight, leader, error):
                self._take_off(key, flight, failures=1)
            else:
                del self._flights[key]
        else:
            del self._flights[key]
            self._land(flight, found)

    async def _fly(self, key: Key, flight: _Flight, failures: int) -> None:
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
                if not self._has_followers(flight, leader, error):
                    return
        finally:
            if self._flights.get(key) is flight:
                del self._flights[key]

    def _has_followers(self, flight: _Flight, leader: Waiting | None, error: Exception) -> bool:
        """Tells the one whose ``load`` has failed; whether somebody else still waits."""
        if leader is not None:
            del flight.waiting[0]
            if not leader.done():
                leader.set_exception(error)
        return any(not future.done() for _, future in flight.waiting)

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
        self._land(flight, found)
        return None

    def _land(self, flight: _Flight, found: Entry) -> None:
        for _, future in flight.waiting:
            if not future.done():
                future.set_result(found)

    def _lead(self, flight: _Flight) -> tuple[Call, Waiting | None]:
        """The first who still waits; when nobody does, whoever waited last: others will ask for it."""
        while flight.waiting:
            call, future = flight.waiting[0]
            if not future.done():
                flight.last = call
                return call, future
            del flight.waiting[0]
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
