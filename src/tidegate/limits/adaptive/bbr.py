"""BBR: the limit is what the upstream has in hand when it is just busy: greatest pass rate * least latency.

After TCP BBR (Cardwell et al., 2016), by Little's law: rate * time in system is what is in the system. Below that
servers are idle, above it requests wait. The product says so only under load, where the rate is the upstream's own and
not the demand's; without load the limit is left alone, or grows by an eighth while it is used, which is BBR's probe
for more without the pause that follows it there. The latency is the least mean of an interval: the quickest answer of
all says nothing of what a mixture of requests keeps in hand.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

from tidegate.limits.adaptive.algorithm import Why, finite
from tidegate.limits.adaptive.by_waiting import ByWaiting
from tidegate.limits.adaptive.floor import WINDOW_NS, Floor
from tidegate.limits.adaptive.interval import Interval
from tidegate.limits.adaptive.waiting import UNUSED

__all__ = ["Bbr"]

BACKOFF = 0.9
"""What an interval with drops leaves at most, whatever the product says."""


class Bbr(ByWaiting):
    """Sets the limit to rate * latency under load.

    Args:
        initial: The limit to begin with.
        gain: What the product is multiplied by: above 1, so that there is a queue which shows when more would pass.
        growth: What the limit is multiplied by while it is used and the upstream is not under load.
        rates: Over how many intervals the greatest pass rate is kept.
        window_ns: How long the least latency is remembered.
        waiting: The target, as `ByWaiting` has it: who waits longer is behind an upstream that is under load.
    """

    name = "bbr"

    def __init__(
        self,
        initial: float = 100,
        *,
        gain: float = 1.25,
        growth: float = 1.125,
        rates: int = 10,
        window_ns: int = WINDOW_NS,
        **waiting: Any,
    ) -> None:
        super().__init__(initial, window_ns=window_ns, **waiting)
        self._gain = gain
        self._growth = growth
        self._rates: deque[float] = deque(maxlen=rates)
        self._mean = Floor(window_ns)

    def update(self, interval: Interval) -> Why:
        before = self.limit
        is_used = interval.in_flight_max >= before * UNUSED
        if self._waiting.take(interval, before):
            self._mean.refresh(interval.ended_ns, interval.latency_mean_ns)
            self._rates.clear()
        elif interval.answered:
            self._mean.take(interval.ended_ns, interval.latency_mean_ns, is_trusted=not is_used)
        if interval.answered:
            self._rates.append(interval.pass_rate_per_s)
        if interval.drops or self._waiting.in_targets > 1:
            in_hand = max(self._rates, default=0.0) * self._mean.value_ns / 1e9
            # Never up: under load the product may be that of an earlier, quicker upstream.
            self.limit = min(before * (BACKOFF if interval.drops else 1.0), max(1.0, in_hand * self._gain))
            if interval.drops:
                return Why.DROPS
            return Why.LONG_QUEUE if self.limit < before else Why.STEADY
        if not is_used:
            return Why.APPLICATION_LIMITED
        self.limit *= self._growth
        return Why.SHORT_QUEUE

    def export(self, now_ns: int) -> dict[str, float]:
        learned = super().export(now_ns) | self._mean.export(now_ns, "mean")
        return learned | {f"rate_{at}_per_s": rate for at, rate in enumerate(self._rates)}

    def restore(self, learned: Mapping[str, float], now_ns: int) -> None:
        super().restore(learned, now_ns)
        self._mean.restore(learned, now_ns, "mean")
        rates = [finite(learned, f"rate_{at}_per_s", 0.0) for at in range(self._rates.maxlen or 0)]
        if any(rates):
            self._rates.clear()
            self._rates.extend(rate for rate in rates if rate)
