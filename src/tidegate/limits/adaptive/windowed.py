"""Single samples gathered into windows, for an algorithm that is to see windows only.

Netflix concurrency-limits, ``WindowedLimit``: a window lasts twice its quickest answer, within bounds, and one with
too few samples teaches nothing. The controller's intervals do the same for a whole machine; this is for an algorithm
that is fed request by request.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from tidegate.limits.adaptive.algorithm import Algorithm, Why
from tidegate.limits.adaptive.interval import Interval

__all__ = ["Windowed"]


class Windowed(Algorithm):
    """Hands an algorithm one interval a window.

    Args:
        algorithm: Whose limit it is.
        samples: How many a window needs at least.
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
    def target_ns(self) -> int:
        return self.algorithm.target_ns

    @property
    def queue_delay_ns(self) -> int:
        return self.algorithm.queue_delay_ns

    def update(self, interval: Interval) -> Why:
        """Takes one sample; the algorithm is asked when the window is over."""
        if interval.latency_mean_ns < self._latency_min_ns:
            return Why.NO_SAMPLES
        self._window.append(interval)
        if interval.ended_ns <= self._ends_ns:
            return Why.STEADY
        window, self._window = self._window, []
        quickest_ns = min(one.latency_min_ns for one in window)
        self._ends_ns = interval.ended_ns + min(max(quickest_ns * 2, self._shortest_ns), self._longest_ns)
        if len(window) < self._samples:
            return Why.NO_SAMPLES
        return self.algorithm.update(self._joined(window))

    def _joined(self, window: list[Interval]) -> Interval:
        latencies = sorted(one.latency_mean_ns for one in window)
        mean_ns = sum(latencies) // len(latencies)
        if self._percentile is not None:
            mean_ns = _at(latencies, self._percentile)
        began_ns = min(one.started_ns for one in window)
        return Interval(
            started_ns=began_ns,
            ended_ns=window[-1].ended_ns,
            duration_ns=window[-1].ended_ns - began_ns,
            count=sum(one.count for one in window),
            drops=sum(one.drops for one in window),
            in_flight_max=max(one.in_flight_max for one in window),
            in_flight_min=min(one.in_flight_min for one in window),
            latency_min_ns=min(one.latency_min_ns for one in window),
            latency_mean_ns=mean_ns,
            latency_p90_ns=_at(latencies, 0.9),
        )

    def export(self, now_ns: int) -> dict[str, float]:
        return self.algorithm.export(now_ns)

    def restore(self, learned: Mapping[str, float], now_ns: int) -> None:
        self.algorithm.restore(learned, now_ns)


def _at(ordered: list[int], share: float) -> int:
    """The value that ``share`` of them do not exceed, rounded to the nearest rank as the library does."""
    return ordered[max(0, math.floor(len(ordered) * share + 0.5) - 1)]
