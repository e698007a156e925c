"""Gradient2: the limit follows how far latency is from its own long average.

Netflix concurrency-limits, ``Gradient2Limit``. An average instead of a least bears backends whose requests differ,
and adapts to one that has become slower; the price is that a queue which stays is taken for normal after a while. It
looks at no drops, so behind the controller's guards only they make it answer time-outs.
"""

from __future__ import annotations

from collections.abc import Mapping

from tidegate.limits.adaptive.algorithm import Algorithm, Why, finite
from tidegate.limits.adaptive.gradient import gradient_of
from tidegate.limits.adaptive.interval import Interval

__all__ = ["Gradient2"]

WARM_UP = 10
"""So many first samples are averaged evenly."""
DECAY = 0.9
"""How fast the long average falls while it is more than twice the latency of now: load is over."""


class Gradient2(Algorithm):
    """Multiplies by long average over latency and adds room for a queue.

    Args:
        initial: The limit to begin with.
        least: The least limit.
        most: The greatest limit.
        smoothing: Which part of a change is applied, 0 to 1.
        queue: How many may wait.
        long_window: Over how many samples the long average goes.
        tolerance: How many times the long average is not yet a queue (only some releases of the library have it).
    """

    name = "gradient2"

    def __init__(
        self,
        initial: float = 20,
        *,
        least: float = 1,
        most: float = 10_000,
        smoothing: float = 0.2,
        queue: int = 4,
        long_window: int = 600,
        tolerance: float = 1.5,
    ) -> None:
        super().__init__(initial)
        self._least = least
        self._most = most
        self._smoothing = smoothing
        self._queue = queue
        self._weight = 2.0 / (long_window + 1)
        self._tolerance = tolerance
        self._samples = 0
        self._sum_ns = 0.0
        self._long_ns = 0.0
        self._latency_ns = 0

    @property
    def floor_ns(self) -> int:
        return int(self._long_ns)

    @property
    def target_ns(self) -> int:
        return int(self._long_ns * (self._tolerance - 1))

    @property
    def queue_delay_ns(self) -> int:
        return max(0, self._latency_ns - int(self._long_ns))

    def update(self, interval: Interval) -> Why:
        latency_ns = self._latency_ns = interval.latency_mean_ns
        if not latency_ns:
            return Why.NO_SAMPLES
        long_ns = self._average(latency_ns)
        if long_ns / latency_ns > 2:
            self._long_ns *= DECAY
        if interval.in_flight_max < self.limit / 2:
            return Why.APPLICATION_LIMITED
        before = self.limit
        wanted = before * gradient_of(self._tolerance * long_ns, latency_ns) + self._queue
        wanted = before * (1 - self._smoothing) + wanted * self._smoothing
        self.limit = max(self._least, min(self._most, wanted))
        return Why.LONG_QUEUE if self.limit < before else Why.SHORT_QUEUE

    def _average(self, latency_ns: int) -> float:
        if self._samples < WARM_UP:
            self._samples += 1
            self._sum_ns += latency_ns
            self._long_ns = self._sum_ns / self._samples
        else:
            self._long_ns = self._long_ns * (1 - self._weight) + latency_ns * self._weight
        return self._long_ns

    def export(self, now_ns: int) -> dict[str, float]:
        return {**super().export(now_ns), "long_ns": self._long_ns, "samples": self._samples}

    def restore(self, learned: Mapping[str, float], now_ns: int) -> None:
        super().restore(learned, now_ns)
        self._long_ns = finite(learned, "long_ns", self._long_ns)
        self._samples = int(finite(learned, "samples", self._samples))
        self._sum_ns = self._long_ns * self._samples
