"""Envoy's gradient: the limit follows how far latency is from what it is without a queue, with room for a burst.

The arithmetic of Envoy's adaptive concurrency filter (``gradient_controller.cc``): gradient = (least + buffer) /
latency within 0.5 and 2, next limit = gradient * limit + √(gradient * limit), both latencies the same quantile. Envoy
finds the least in a window in which it admits only three requests at once, every minute, and refuses the rest with
503; here it is what `waiting` knows, and nobody is refused for a measurement.
"""

from __future__ import annotations

import math

from tidegate.limits.adaptive.algorithm import Why
from tidegate.limits.adaptive.by_waiting import ByWaiting
from tidegate.limits.adaptive.floor import WINDOW_NS
from tidegate.limits.adaptive.gradient import gradient_of
from tidegate.limits.adaptive.interval import Interval

__all__ = ["Envoy"]

GRADIENT_MOST = 2.0
BACKOFF = 0.9
"""What an interval with drops leaves; Envoy itself sees them only as latency."""


class Envoy(ByWaiting):
    """Multiplies by the gradient and adds the square root.

    Args:
        initial: The limit to begin with.
        target_share: By which share an answer may be slower than without a queue (Envoy's ``buffer``).
        window_ns: How long the least latency is remembered.
    """

    name = "envoy"

    def __init__(self, initial: float = 100, *, target_share: float = 0.25, window_ns: int = WINDOW_NS) -> None:
        super().__init__(initial, target_min_ns=1, target_share=target_share, window_ns=window_ns)
        self._buffer_share = target_share

    def update(self, interval: Interval) -> Why:
        self._waiting.take(interval, self.limit)
        if interval.drops:
            self.limit *= BACKOFF
            return Why.DROPS
        before = self.limit
        allowed_ns = self._waiting.unqueued_ns * (1 + self._buffer_share)
        wanted = before * gradient_of(allowed_ns, interval.latency_p90_ns, most=GRADIENT_MOST)
        self.limit = wanted + math.sqrt(wanted)
        return Why.LONG_QUEUE if self.limit < before else Why.SHORT_QUEUE
