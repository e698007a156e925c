"""Gradient: the limit follows how far latency is from the least that was ever seen.

Netflix concurrency-limits, ``GradientLimit``. It allows for a queue of the square root of the limit, because a fixed
one is too small for large limits. Its probe, which cuts the limit to that queue to measure again, refuses requests of
a healthy backend; here only the least is forgotten after so many samples (``rebase_after``), and the limit stays.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from tidegate.limits.adaptive.algorithm import Algorithm, Why, finite
from tidegate.limits.adaptive.interval import Interval

__all__ = ["Gradient", "gradient_of"]


def gradient_of(unqueued_ns: float, latency_ns: float, *, most: float = 1.0) -> float:
    """How far latency is from what it is without a queue, within 0.5 (an outlier cuts no deeper) and ``most``."""
    return max(0.5, min(most, unqueued_ns / latency_ns))


class Gradient(Algorithm):
    """Multiplies by the gradient and adds room for a queue.

    Args:
        initial: The limit to begin with.
        least: The least limit that a decrease leads to.
        most: The greatest limit.
        smoothing: Which part of a decrease is applied, 0 to 1.
        tolerance: How many times the least latency is not yet a queue.
        backoff: What a drop multiplies the limit by.
        queue: How many may wait; None: the square root of the limit, 4 at least.
        rebase_after: After how many samples the least latency is forgotten; None: never.
    """

    name = "gradient"

    def __init__(
        self,
        initial: float = 50,
        *,
        least: float = 1,
        most: float = 10_000,
        smoothing: float = 0.2,
        tolerance: float = 2.0,
        backoff: float = 0.9,
        queue: int | None = None,
        rebase_after: int | None = 1000,
    ) -> None:
        super().__init__(initial)
        self._least = least
        self._most = most
        self._smoothing = smoothing
        self._tolerance = tolerance
        self._backoff = backoff
        self._queue = queue
        self._rebase_after = rebase_after
        self._since_rebase = 0
        self._unqueued_ns = 0
        self._latency_ns = 0

    @property
    def floor_ns(self) -> int:
        return self._unqueued_ns

    @property
    def target_ns(self) -> int:
        return int(self._unqueued_ns * (self._tolerance - 1))

    @property
    def queue_delay_ns(self) -> int:
        return max(0, self._latency_ns - self._unqueued_ns)

    def update(self, interval: Interval) -> Why:
        self._latency_ns = interval.latency_mean_ns
        self._since_rebase += 1
        if self._rebase_after is not None and self._since_rebase > self._rebase_after:
            self._since_rebase, self._unqueued_ns = 0, 0
        if not self._unqueued_ns or 0 < self._latency_ns < self._unqueued_ns:
            self._unqueued_ns = self._latency_ns
        queue = max(4, math.isqrt(int(self.limit))) if self._queue is None else self._queue
        if interval.drops:
            wanted, why = self.limit * self._backoff, Why.DROPS
        elif interval.in_flight_max < self.limit / 2:
            return Why.APPLICATION_LIMITED
        else:
            wanted = self.limit * gradient_of(self._tolerance * self._unqueued_ns, self._latency_ns) + queue
            why = Why.SHORT_QUEUE
        if wanted < self.limit:
            wanted = max(self._least, self.limit * (1 - self._smoothing) + self._smoothing * wanted)
            why = Why.DROPS if interval.drops else Why.LONG_QUEUE
        self.limit = max(float(queue), min(self._most, wanted))
        return why

    def export(self, now_ns: int) -> dict[str, float]:
        return {**super().export(now_ns), "unqueued_ns": self._unqueued_ns, "since_rebase": self._since_rebase}

    def restore(self, learned: Mapping[str, float], now_ns: int) -> None:
        super().restore(learned, now_ns)
        self._unqueued_ns = int(finite(learned, "unqueued_ns", self._unqueued_ns))
        self._since_rebase = int(finite(learned, "since_rebase", self._since_rebase))
