"""PID: the limit is steered so that requests wait exactly the target.

The textbook controller in velocity form (Åström and Hägglund, *PID Controllers*, 1995): what changes is the limit's
growth, not the limit, so that there is no sum of errors which has to be kept from winding up while a bound holds the
limit. The error is the distance from the target in targets, within -2 and 1, so that one outlier does not throw it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tidegate.limits.adaptive.algorithm import Why, finite
from tidegate.limits.adaptive.by_waiting import ByWaiting
from tidegate.limits.adaptive.interval import Interval

__all__ = ["Pid"]

ERROR_LEAST, ERROR_MOST = -2.0, 1.0
STEADY_ERROR = 0.1
"""Nearer to the target than this a change is not worth a word."""


class Pid(ByWaiting):
    """Steers waiting to its target.

    Args:
        initial: The limit to begin with.
        proportional: Weight of the error's change.
        integral: Weight of the error.
        derivative: Weight of the change of the error's change.
        waiting: Target and window, as `ByWaiting` has them.
    """

    name = "pid"

    def __init__(
        self,
        initial: float = 100,
        *,
        proportional: float = 0.1,
        integral: float = 0.1,
        derivative: float = 0.02,
        **waiting: Any,
    ) -> None:
        super().__init__(initial, **waiting)
        self._proportional = proportional
        self._integral = integral
        self._derivative = derivative
        self._error = 0.0
        self._error_before = 0.0

    def update(self, interval: Interval) -> Why:
        self._waiting.take(interval, self.limit)
        error = ERROR_LEAST if interval.drops else 1.0 - self._waiting.in_targets
        error = _error(error)
        growth = (
            self._proportional * (error - self._error)
            + self._integral * error
            + self._derivative * (error - 2 * self._error + self._error_before)
        )
        self._error, self._error_before = error, self._error
        self.limit = max(1.0, self.limit * (1.0 + growth))
        if interval.drops:
            return Why.DROPS
        if abs(error) < STEADY_ERROR:
            return Why.STEADY
        return Why.SHORT_QUEUE if error > 0 else Why.LONG_QUEUE

    def export(self, now_ns: int) -> dict[str, float]:
        # Numbers of a state are above zero, errors are not.
        errors = {"error": self._error - ERROR_LEAST + 1, "error_before": self._error_before - ERROR_LEAST + 1}
        return super().export(now_ns) | errors

    def restore(self, learned: Mapping[str, float], now_ns: int) -> None:
        super().restore(learned, now_ns)
        self._error = _error(finite(learned, "error", 1 - ERROR_LEAST) + ERROR_LEAST - 1)
        self._error_before = _error(finite(learned, "error_before", 1 - ERROR_LEAST) + ERROR_LEAST - 1)


def _error(error: float) -> float:
    return max(ERROR_LEAST, min(ERROR_MOST, error))
