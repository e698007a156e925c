"""The bucket of the store as Python has it, to play fleets with: ``test_scripts`` compares it with the real one."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(slots=True)
class Bucket:
    """A theoretical arrival time, in microseconds of the store's clock; 0: never used.

    ``widest``: the most that may lie ahead by what a node says, ``heard``: when one that says so was last.
    """

    arrival: float = 0.0
    widest: float = 0.0
    heard: float = 0.0

    def borrow(
        self,
        now: int,
        interval: float,
        holds: int,
        least: int,
        wanted: int,
        *owed: int,
    ) -> tuple[int, int]:
        """What ``scripts.borrow_rate`` answers at ``now``.

        ``owed``: given back, used by oneself, since ms ago, buckets that may be owed.
        """
        returned, used, since_ms, buckets = (*owed, *(0, 0, 0, 1)[len(owed) :])
        arrival, room = self.arrival, interval * holds
        widest, heard = self.widest, min(self.heard, now)
        most = room * (1 + buckets)
        if most >= widest or now - heard > 65_000_000:
            widest, heard = most, now
        if used > 0:
            arrival = min(max(max(arrival, now - since_ms * 1000) + used * interval, now), now + widest)
        arrival = min(max(arrival - returned * interval, now), now + widest)
        lent = min(wanted, math.floor((now + room - arrival) / interval + 1e-6))
        if lent < least:
            lent = 0
        arrival += lent * interval
        self.arrival = float(f"{arrival:.0f}") if arrival > now else 0.0
        self.widest, self.heard = (float(f"{widest:.0f}"), heard) if arrival > now else (0.0, 0.0)
        missing = max(least, min(wanted, holds)) * interval - (room - (arrival - now))
        return lent, max(0, math.ceil(missing / 1000))
