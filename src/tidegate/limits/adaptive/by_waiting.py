"""Algorithms that steer by how long requests wait behind the limit: what they share.

What they know of waiting is in `waiting`: floor, spread and what is left of an answer beyond both. They differ in what
they make of it.
"""

from __future__ import annotations

from collections.abc import Mapping

from tidegate.limits.adaptive.algorithm import Algorithm
from tidegate.limits.adaptive.floor import WINDOW_NS
from tidegate.limits.adaptive.waiting import Waiting

__all__ = ["ByWaiting"]


class ByWaiting(Algorithm):
    """An algorithm with a target for waiting.

    Args:
        initial: The limit to begin with.
        target_min_ns: How long requests may wait at least.
        target_share: How long they may wait, as a share of what the slowest tenth takes without waiting.
        window_ns: How long the floor is remembered.
    """

    def __init__(
        self,
        initial: float = 100,
        *,
        target_min_ns: int = 5_000_000,
        target_share: float = 0.5,
        window_ns: int = WINDOW_NS,
    ) -> None:
        super().__init__(initial)
        self._waiting = Waiting(target_min_ns=target_min_ns, target_share=target_share, window_ns=window_ns)

    @property
    def floor_ns(self) -> int:
        return self._waiting.floor_ns

    @property
    def unqueued_ns(self) -> int:
        return self._waiting.unqueued_ns

    @property
    def target_ns(self) -> int:
        return self._waiting.target_ns

    @property
    def queue_delay_ns(self) -> int:
        return self._waiting.waiting_ns

    def export(self, now_ns: int) -> dict[str, float]:
        return super().export(now_ns) | self._waiting.export(now_ns)

    def restore(self, learned: Mapping[str, float], now_ns: int) -> None:
        super().restore(learned, now_ns)
        self._waiting.restore(learned, now_ns)
