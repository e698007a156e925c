"""The default: the limit follows how long requests wait behind it.

Per interval, S = waiting of the slowest tenth / target (`waiting` says how both are known). Up to 1 the limit grows
by a step, and by a longer one below 0.5; above 1 it is multiplied by a factor that falls from 0.95 to 0.70 along a
sigmoid: a queue just too long is corrected gently, one of three times the target is cut at once, and no outlier can
do more than that.
"""

from __future__ import annotations

import math
from typing import Any

from tidegate.limits.adaptive.algorithm import Why
from tidegate.limits.adaptive.by_waiting import ByWaiting
from tidegate.limits.adaptive.interval import Interval

__all__ = ["QueueDelay", "decrease_factor"]

DROPS_FULL_STEP = 0.1
"""A tenth dropped counts as waiting one target too long, a fifth as two."""


def decrease_factor(
    signal: float, *, least: float = 0.70, most: float = 0.95, middle: float = 2.0, steepness: float = 4.0
) -> float:
    """What the limit is multiplied by when requests wait ``signal`` targets: 0.9455 just over 1, 0.825 at 2, 0.7045
    at 3.

    A logistic curve between ``most`` and ``least``, halfway at ``middle``.
    """
    exponent = min(-steepness * (signal - middle), 700.0)  # math.exp overflows beyond 709
    return most - (most - least) / (1.0 + math.exp(exponent))


class QueueDelay(ByWaiting):
    """Additive increase, sigmoid decrease, by waiting.

    Args:
        initial: The limit to begin with.
        step_share: By which share of the limit it grows while S is 0.5 to 1, one at least.
        quick_step_share: By which it grows while S is below 0.5.
        least_factor: What a decrease leaves at least.
        most_factor: What a decrease leaves at most.
        middle: The signal at which the factor is halfway.
        steepness: How sharply the factor falls around it.
        waiting: Target and window, as `ByWaiting` has them.
    """

    name = "queue_delay"

    def __init__(
        self,
        initial: float = 100,
        *,
        step_share: float = 0.05,
        quick_step_share: float = 0.10,
        least_factor: float = 0.70,
        most_factor: float = 0.95,
        middle: float = 2.0,
        steepness: float = 4.0,
        **waiting: Any,
    ) -> None:
        super().__init__(initial, **waiting)
        self._step_share = step_share
        self._quick_step_share = quick_step_share
        self._least_factor = least_factor
        self._most_factor = most_factor
        self._middle = middle
        self._steepness = steepness

    def update(self, interval: Interval) -> Why:
        has_new_floor = self._waiting.take(interval, self.limit)
        signal = self._waiting.in_targets
        if interval.drops:
            signal = max(signal, 1.0 + interval.drop_share / DROPS_FULL_STEP)
        if signal > 1:
            self.limit *= decrease_factor(
                signal,
                least=self._least_factor,
                most=self._most_factor,
                middle=self._middle,
                steepness=self._steepness,
            )
            return Why.DROPS if interval.drops else Why.LONG_QUEUE
        share = max(self._step_share, self._quick_step_share) if signal < 0.5 else self._step_share
        self.limit += max(1.0, share * self.limit)
        return Why.NEW_FLOOR if has_new_floor else Why.SHORT_QUEUE
