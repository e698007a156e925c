"""Vegas: the limit follows how many requests must be waiting, by the least latency ever seen.

Netflix concurrency-limits, ``VegasLimit``, after TCP Vegas (Brakmo and Peterson, 1995): of L in flight, L * (1 -
least / latency) wait. The bounds of a good queue grow with the logarithm of the limit. Its probe takes the latency of
the moment for the new least (``rebase_factor``), which refuses nobody; the random part of its timing is left out,
because there is one controller a machine and nobody to fall into step with.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from tidegate.limits.adaptive.algorithm import Algorithm, Why, finite
from tidegate.limits.adaptive.interval import Interval

__all__ = ["Vegas"]


def _log10(limit: float) -> int:
    return max(1, int(math.log10(int(limit)))) if limit >= 1 else 1


class Vegas(Algorithm):
    """Adds or takes the logarithm of the limit, by the length of the queue.

    Args:
        initial: The limit to begin with.
        most: The greatest limit.
        smoothing: Which part of a change is applied, 0 to 1.
        rebase_factor: After this many times the limit, in samples, the least latency is taken anew; None: never.
    """

    name = "vegas"

    def __init__(
        self, initial: float = 20, *, most: float = 10_000, smoothing: float = 1.0, rebase_factor: float | None = 30.0
    ) -> None:
        super().__init__(initial)
        self._most = most
        self._smoothing = smoothing
        self._rebase_factor = rebase_factor
        self._since_rebase = 0
        self._unqueued_ns = 0
        self._latency_ns = 0

    @property
    def floor_ns(self) -> int:
        return self._unqueued_ns

    @property
    def queue_delay_ns(self) -> int:
        return max(0, self._latency_ns - self._unqueued_ns)

    def update(self, interval: Interval) -> Why:
        latency_ns = self._latency_ns = interval.latency_mean_ns
        self._since_rebase += 1
        if self._rebase_factor is not None and self._since_rebase >= self._rebase_factor * self.limit:
            self._since_rebase, self._unqueued_ns = 0, 0
        if latency_ns and (not self._unqueued_ns or latency_ns < self._unqueued_ns):
            self._unqueued_ns = latency_ns
            return Why.STEADY
        step = _log10(self.limit)
        if interval.drops:
            self._move(self.limit - step)
            return Why.DROPS
        if interval.in_flight_max * 2 < self.limit:
            return Why.APPLICATION_LIMITED
        waiting = math.ceil(self.limit * (1 - self._unqueued_ns / latency_ns))
        if waiting <= step:
            self._move(self.limit + 6 * step)
            return Why.SHORT_QUEUE
        if waiting < 3 * step:
            self._move(self.limit + step)
            return Why.SHORT_QUEUE
        if waiting > 6 * step:
            self._move(self.limit - step)
            return Why.LONG_QUEUE
        return Why.STEADY

    def _move(self, wanted: float) -> None:
        wanted = max(1.0, min(self._most, wanted))
        self.limit = (1 - self._smoothing) * self.limit + self._smoothing * wanted

    def export(self, now_ns: int) -> dict[str, float]:
        return {**super().export(now_ns), "unqueued_ns": self._unqueued_ns, "since_rebase": self._since_rebase}

    def restore(self, learned: Mapping[str, float], now_ns: int) -> None:
        super().restore(learned, now_ns)
        self._unqueued_ns = int(finite(learned, "unqueued_ns", self._unqueued_ns))
        self._since_rebase = int(finite(learned, "since_rebase", self._since_rebase))
