"""Intervals gathered into windows, for an algorithm that is to see windows only.

Netflix concurrency-limits, ``WindowedLimit``: a window lasts twice its quickest answer, within bounds, and one with
too few samples teaches nothing. It decorates an algorithm, which is asked once a window instead of once an interval; a
single request is an interval as well.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from tidegate.limits.adaptive.algorithm import Algorithm, Why, finite
from tidegate.limits.adaptive.interval import Interval

__all__ = ["Windowed"]

PIECES = 8
"""Parts of an unfinished window that are exported; more are joined by twos, which makes percentiles coarser."""


class Windowed(Algorithm):
    """Hands an algorithm one interval a window.

    Args:
        algorithm: Whose limit it is.
        samples: How many requests a window needs at least.
        shortest_ns: How long a window lasts at least.
        longest_ns: How long at most.
        percentile: The latency that stands for the window, as a share of its samples; None: their mean.
        latency_min_ns: Quicker answers are left out: they were given without work.
    """

    name = "windowed"

    def __init__(
        self,
        algorithm: Algorithm,
        *,
        samples: int = 10,
        shortest_ns: int = 1_000_000_000,
        longest_ns: int = 1_000_000_000,
        percentile: float | None = None,
        latency_min_ns: int = 100_000,
    ) -> None:
        self.algorithm = algorithm
        self._samples = samples
        self._shortest_ns = shortest_ns
        self._longest_ns = longest_ns
        self._percentile = percentile
        self._latency_min_ns = latency_min_ns
        self._ends_ns = 0
        self._window: list[Interval] = []

    @property
    def limit(self) -> float:
        return self.algorithm.limit

    @limit.setter
    def limit(self, limit: float) -> None:
        self.algorithm.limit = limit

    @property
    def floor_ns(self) -> int:
        return self.algorithm.floor_ns

    @property
    def unqueued_ns(self) -> int:
        return self.algorithm.unqueued_ns

    @property
    def target_ns(self) -> int:
        return self.algorithm.target_ns

    @property
    def queue_delay_ns(self) -> int:
        return self.algorithm.queue_delay_ns

    def update(self, interval: Interval) -> Why:
        """Takes one interval; the algorithm is asked when the window is over."""
        if 0 < interval.latency_mean_ns < self._latency_min_ns:
            return Why.NO_SAMPLES
        self._window.append(interval)
        if interval.ended_ns <= self._ends_ns:
            return Why.STEADY
        window, self._window = self._window, []
        quickest_ns = _joined(window).latency_min_ns
        self._ends_ns = interval.ended_ns + min(max(quickest_ns * 2, self._shortest_ns), self._longest_ns)
        if sum(one.count for one in window) < self._samples:
            return Why.NO_SAMPLES
        joined = _joined(window)
        if self._percentile is not None:
            joined = msgspec.structs.replace(
                joined,
                latency_mean_ns=_at(
                    [(one.latency_mean_ns, one.count) for one in window if one.latency_mean_ns], self._percentile
                ),
            )
        return self.algorithm.update(joined)

    def export(self, now_ns: int) -> dict[str, float]:
        learned = self.algorithm.export(now_ns)
        if self._ends_ns > now_ns:
            learned["window_left_s"] = (self._ends_ns - now_ns) / 1e9
        window = self._window
        while len(window) > PIECES:
            window = [_joined(window[at : at + 2]) for at in range(0, len(window), 2)]
        for at, one in enumerate(window):
            learned |= {
                f"w{at}s": max(1, now_ns - one.started_ns),
                f"w{at}e": max(1, now_ns - one.ended_ns),
                f"w{at}c": one.count,
                f"w{at}d": one.drops,
                f"w{at}f": one.in_flight_max,
                f"w{at}h": one.in_flight_mean,
                f"w{at}l": one.latency_min_ns,
                f"w{at}m": one.latency_mean_ns,
                f"w{at}p": one.latency_p90_ns,
            }
        return learned

    def restore(self, learned: Mapping[str, float], now_ns: int) -> None:
        self.algorithm.restore(learned, now_ns)
        self._ends_ns = now_ns + round(finite(learned, "window_left_s", 0.0) * 1e9)
        self._window = []
        for at in range(PIECES):
            piece = {letter: int(finite(learned, f"w{at}{letter}", 0.0)) for letter in "secdfhlmp"}
            if piece["c"]:
                self._window.append(
                    Interval(
                        started_ns=now_ns - piece["s"],
                        ended_ns=now_ns - piece["e"],
                        duration_ns=piece["s"] - piece["e"],
                        count=piece["c"],
                        drops=piece["d"],
                        in_flight_max=piece["f"],
                        in_flight_mean=piece["h"],
                        latency_min_ns=piece["l"],
                        latency_mean_ns=piece["m"],
                        latency_p90_ns=piece["p"],
                    )
                )


def _joined(window: list[Interval]) -> Interval:
    began_ns = min(one.started_ns for one in window)
    timed = [one for one in window if one.latency_mean_ns]  # others had drops only, of which no latency is known
    count = sum(one.count for one in timed)
    return Interval(
        started_ns=began_ns,
        ended_ns=window[-1].ended_ns,
        duration_ns=window[-1].ended_ns - began_ns,
        count=sum(one.count for one in window),
        drops=sum(one.drops for one in window),
        in_flight_max=max(one.in_flight_max for one in window),
        in_flight_mean=sum(one.in_flight_mean * one.count for one in window) / sum(one.count for one in window),
        latency_min_ns=min((one.latency_min_ns for one in timed), default=0),
        latency_mean_ns=sum(one.latency_mean_ns * one.count for one in timed) // max(1, count),
        latency_p90_ns=_at([(one.latency_p90_ns, one.count) for one in timed], 0.9),
    )


def _at(values: list[tuple[int, int]], share: float) -> int:
    """The value that ``share`` of them do not exceed, rounded to the nearest rank as the library does.

    ``values``: each with how many there are of it.
    """
    rank = max(1, int(sum(count for _, count in values) * share + 0.5))
    for value, count in sorted(values):
        rank -= count
        if rank <= 0:
            return value
    return 0
