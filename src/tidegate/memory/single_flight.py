"""Single flight of the machine: of all workers that miss a key, one fetches it and the others wait.

What the leader brings goes into a store that all of them read, so nothing is handed from one to the other here. Who
needs a key does this::

    while (entry := store.get(key, now_s)) is None:
        flight = flights.lead(key, lease_s)
        if flight is None:
            await flights.wait(key)
            continue
        with flight:                            # lands whatever happens, an error and a cancellation as well
            entry = store.get(key, now_s)       # it may have come between the look and the lead
            if entry is None:
                ...fetch, and await store.put(...)

A leader who fails, leaves, dies or stands still for longer than his lease is followed by one of those who wait: they
look again and again, and the first to look leads (``flights`` has the rules). There is no order among them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from tidegate.memory.fingerprints import Fingerprints
from tidegate.memory.flights import FlightTable
from tidegate.memory.mapping import Mapping

__all__ = ["LOOK_MAX_S", "Flight", "SingleFlight"]

LOOK_MIN_S = 0.001
LOOK_MAX_S = 0.010
"""How often who waits looks whether the flight has ended: at first after a millisecond, then each time after twice as
long, up to this."""


class Flight:
    """The right to fetch a key, until it lands or its lease ends. A context that lands at its end."""

    __slots__ = ("_fingerprint", "_table", "_until_ns")

    def __init__(self, table: FlightTable, fingerprint: int, until_ns: int) -> None:
        self._table = table
        self._fingerprint = fingerprint
        self._until_ns = until_ns

    def land(self) -> bool:
        """Ends it; False: it had ended before. Who waits for it looks now, or leads."""
        until_ns, self._until_ns = self._until_ns, 0
        return bool(until_ns) and self._table.land(self._fingerprint, until_ns)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.land()

    def __repr__(self) -> str:
        return f"<Flight {self._fingerprint:x} {f'until {self._until_ns} ns' if self._until_ns else 'landed'}>"


class SingleFlight:
    """The flights of the machine as one worker asks for them; its loop's.

    Args:
        mapping: The region.
        secret: The region's.
        slot: Of the worker.
        clock_ns: CLOCK_MONOTONIC, which is the same for all processes.
    """

    def __init__(
        self, mapping: Mapping, secret: bytes, slot: int, *, clock_ns: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self._table = FlightTable(mapping, slot)
        self._fingerprints = Fingerprints(secret, "flights")
        self._clock_ns = clock_ns
        self.led = 0
        self.waited = 0

    def lead(self, key: bytes, lease_s: float) -> Flight | None:
        """The flight of a key that nobody fetches now; None: somebody does.

        Args:
            key: Any bytes.
            lease_s: After this time another may lead, whether it has landed or not: longer than a fetch takes.
        """
        fingerprint = self._fingerprints.of_key(key)
        until_ns = self._table.lead(fingerprint, self._clock_ns(), int(lease_s * 1e9))
        if not until_ns:
            return None
        self.led += 1
        return Flight(self._table, fingerprint, until_ns)

    def is_flying(self, key: bytes) -> bool:
        """Whether somebody fetches a key now."""
        return self._table.is_flying(self._fingerprints.of_key(key), self._clock_ns())

    async def wait(self, key: bytes) -> None:
        """Waits until nobody fetches the key any more; a deadline is the caller's."""
        fingerprint = self._fingerprints.of_key(key)
        self.waited += 1
        delay_s = LOOK_MIN_S
        while self._table.is_flying(fingerprint, self._clock_ns()):
            await asyncio.sleep(delay_s)
            delay_s = min(delay_s * 2, LOOK_MAX_S)

    def __repr__(self) -> str:
        return f"<SingleFlight of slot {self._table.slot}, led {self.led}, waited {self.waited} times>"
