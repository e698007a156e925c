"""AIMD: one more while all goes well, a share less when something is dropped or takes too long.

Netflix concurrency-limits, ``AIMDLimit``; the principle is that of TCP Reno (Chiu and Jain, 1989). It knows no queue
short of ``timeout_ns``: until then it grows into it.
"""

from __future__ import annotations

from tidegate.limits.adaptive.algorithm import Algorithm, Why
from tidegate.limits.adaptive.interval import Interval

__all__ = ["Aimd"]


class Aimd(Algorithm):
    """Additive increase, multiplicative decrease, by drops.

    Args:
        initial: The limit to begin with.
        least: The least limit.
        most: The greatest limit.
        backoff: What a drop multiplies the limit by.
        timeout_ns: An answer that took longer is a drop.
    """

    name = "aimd"

    def __init__(
        self,
        initial: float = 20,
        *,
        least: float = 1,
        most: float = 10_000,
        backoff: float = 0.9,
        timeout_ns: int = 5_000_000_000,
    ) -> None:
        super().__init__(initial)
        self._least = least
        self._most = most
        self._backoff = backoff
        self._timeout_ns = timeout_ns

    @property
    def target_ns(self) -> int:
        return self._timeout_ns

    def update(self, interval: Interval) -> Why:
        # Whole numbers throughout: a remainder that is carried on would make two decreases differ from the library's.
        limit = int(self.limit)
        why = Why.APPLICATION_LIMITED
        if interval.drops or interval.latency_mean_ns > self._timeout_ns:
            limit, why = int(limit * self._backoff), Why.DROPS
        elif interval.in_flight_max * 2 >= limit:
            limit, why = limit + 1, Why.SHORT_QUEUE
        self.limit = float(min(self._most, max(self._least, limit)))
        return why
