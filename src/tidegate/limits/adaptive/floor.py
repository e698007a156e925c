"""What an answer takes while nothing waits: the least of the last half minute.

A least that is too old is dropped only if a later interval is *trusted*, one in which no queue of ours can have stood.
Without that rule a queue which stands for longer than the window becomes the floor, the target grows with it, and the
limit climbs from window to window: what TCP BBR empties the pipe for with its ProbeRTT, at the price of refusals.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from tidegate.limits.adaptive.algorithm import finite

__all__ = ["WINDOW_NS", "Floor"]

WINDOW_NS = 30_000_000_000


class Floor:
    """The least of a sliding window, by a deque of rising values.

    Args:
        window_ns: How long a least is remembered.
    """

    def __init__(self, window_ns: int = WINDOW_NS) -> None:
        self._window_ns = window_ns
        self._least: deque[tuple[int, int]] = deque()
        self._trusted_ns = -1

    def __repr__(self) -> str:
        return f"<Floor {self.value_ns / 1e6:.3f}ms of {len(self._least)}>"

    @property
    def value_ns(self) -> int:
        """The floor; 0 when nothing is known."""
        return self._least[0][1] if self._least else 0

    @property
    def is_known(self) -> bool:
        return bool(self._least)

    def take(self, now_ns: int, least_ns: int, *, is_trusted: bool) -> None:
        """The least of one more interval.

        Args:
            now_ns: When the interval ended.
            least_ns: Its least.
            is_trusted: Whether no queue of ours can have been in it, so that it may replace a lower one that is old.
        """
        while self._least and self._least[-1][1] >= least_ns:
            self._least.pop()
        self._least.append((now_ns, least_ns))
        if is_trusted:
            self._trusted_ns = now_ns
        oldest_ns = now_ns - self._window_ns
        while len(self._least) > 1 and self._least[0][0] < min(oldest_ns, self._trusted_ns):
            self._least.popleft()

    def refresh(self, now_ns: int, least_ns: int) -> None:
        """Forgets what was: this interval is known to be without a queue."""
        self._least.clear()
        self.take(now_ns, least_ns, is_trusted=True)

    def export(self, now_ns: int, name: str) -> dict[str, float]:
        """The value and its age in seconds, under ``name_ns`` and ``name_age_s``."""
        if not self._least:
            return {}
        at_ns, value_ns = self._least[0]
        return {f"{name}_ns": value_ns, f"{name}_age_s": max(0, now_ns - at_ns) / 1e9}

    def restore(self, learned: Mapping[str, float], now_ns: int, name: str) -> None:
        """The value of ``export``; one that is no finite number is left out."""
        value_ns = finite(learned, f"{name}_ns", 0.0)
        if value_ns > 0:
            self._least.clear()
            self._trusted_ns = -1
            age_ns = min(finite(learned, f"{name}_age_s", 0.0), self._window_ns / 1e9) * 1e9
            self._least.append((now_ns - int(age_ns), int(value_ns)))
