"""A fixed bound, learned from what did no harm: the greatest peak of the hours behind us, and a quarter on top.

Who sets a concurrency limit by hand has to know a number that nobody knows. What has been in flight while answers were
quick is a number that the upstream is known to bear; the bound that follows refuses nobody on a day like the last.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping

from tidegate.limits.adaptive.algorithm import finite

__all__ = ["Suggestion"]

HOUR_NS = 3_600_000_000_000
HOURS = 24
HEADROOM = 1.25


class Suggestion:
    """The highest healthy peaks, hour by hour.

    Args:
        hours: How many hours with traffic are remembered.
        headroom: What the highest peak is multiplied by.
    """

    def __init__(self, hours: int = HOURS, headroom: float = HEADROOM) -> None:
        self._headroom = headroom
        self._peaks: deque[tuple[int, int]] = deque(maxlen=hours)

    def __repr__(self) -> str:
        return f"<Suggestion {self.bound} from {len(self._peaks)} hours>"

    @property
    def bound(self) -> int | None:
        """The limit that is suggested; None before there was healthy traffic."""
        peak = max((peak for _, peak in self._peaks), default=0)
        return math.ceil(peak * self._headroom) if peak else None

    def take(self, now_ns: int, in_flight: int) -> None:
        """The most that was in flight in one healthy interval."""
        hour = now_ns // HOUR_NS
        if self._peaks and self._peaks[-1][0] == hour:
            in_flight = max(in_flight, self._peaks.pop()[1])
        self._peaks.append((hour, in_flight))

    def export(self, now_ns: int) -> dict[str, float]:
        """The peaks by how many hours ago they were, for a state file or the next worker that decides."""
        hour = now_ns // HOUR_NS
        return {f"peak_{max(0, hour - at)}": peak for at, peak in self._peaks if hour - at < HOURS}

    def restore(self, learned: Mapping[str, float], now_ns: int, most: int) -> None:
        """Goes on from what ``export`` gave; peaks over ``most`` are of other bounds, and left out."""
        hour = now_ns // HOUR_NS
        peaks = [(hour - ago, int(finite(learned, f"peak_{ago}", 0.0))) for ago in range(HOURS - 1, -1, -1)]
        found = [(at, peak) for at, peak in peaks if 0 < peak <= most]
        if found:
            self._peaks.clear()
            self._peaks.extend(found)
