"""How long requests wait behind a limit: measured, or told from what an answer takes while nothing waits.

Time in the upstream is work and waiting, and only their sum is seen. Two things are taken off:

- the **floor**, the least of the last half minute (`floor`);
- the **spread** that answers have while nothing waits, which is the least distance, of the last half minute, between
  the slowest tenth and the quickest of an interval. A backend that takes 45 to 55 ms, or 5 to 500, has a spread and no
  queue; a queue in front of it moves the quickest answer as well as the slowest.

What is left of the slowest tenth is waiting. It is long when it is over half of what that tenth takes without
waiting, and over 5 ms: shorter queues cannot be told from the noise of schedulers, and without any servers run dry
between two requests.

**A new floor.** An upstream that has become slower looks like one with a queue. The difference shows when the limit
falls: by Little's law a queue shortens in proportion, and the time of service does not. So when a limit that was in
force was cut by a fifth or more, is in force again, and answers did not become quicker by half of what that promises,
nothing waits: what they take now is the floor. No limit is narrowed to find out; it is read off a cut that was due.
And a limit that cannot fall any further, with a queue that has been too long for half a minute all the same, is as
good as it gets: there, too, what answers take now is the floor, or else the limit would never come up again.
"""

from __future__ import annotations

from collections.abc import Mapping

from tidegate.limits.adaptive.algorithm import finite
from tidegate.limits.adaptive.floor import WINDOW_NS, Floor
from tidegate.limits.adaptive.interval import Interval

__all__ = ["Waiting"]

SPREAD_SAMPLES_MIN = 20
"""Of fewer, the distance between the slowest tenth and the quickest is that of two requests."""
TELLING_CUT = 0.8
"""A cut that leaves more in flight changes latency by no more than noise does."""
IN_FORCE = 0.9
"""A limit is in force when this share of it was in flight in the mean: the places that came free were filled. Not the
least of an interval is asked: a worker that stands still for a moment fills no place, and says nothing of the limit."""
UNUSED = 0.5


class Waiting:
    """What is known of floor, spread and waiting.

    Args:
        target_min_ns: How long requests may wait at least.
        target_share: How long they may wait, as a share of what the slowest tenth takes without waiting.
        window_ns: How long floor and spread are remembered.
    """

    def __init__(
        self, *, target_min_ns: int = 5_000_000, target_share: float = 0.5, window_ns: int = WINDOW_NS
    ) -> None:
        self._target_min_ns = target_min_ns
        self._target_share = target_share
        self._window_ns = window_ns
        self._floor = Floor(window_ns)
        self._spread = Floor(window_ns)
        self._waiting_ns = 0
        # Since when waiting has been too long under a limit that is in force and does not fall any more.
        self._stuck_since_ns = -1
        # What was in flight under a limit in force, and how long answers took: a cut is compared with it. 0: nothing.
        self._forced_flight = 0.0
        self._forced_mean_ns = 0

    def __repr__(self) -> str:
        return f"<Waiting {self._waiting_ns / 1e6:.1f}ms over {self.unqueued_ns / 1e6:.1f}ms>"

    @property
    def waiting_ns(self) -> int:
        """How long the slowest tenth waited in the last interval."""
        return self._waiting_ns

    @property
    def floor_ns(self) -> int:
        """What the quickest answer takes while nothing waits; 0 when nothing is known."""
        return self._floor.value_ns

    @property
    def unqueued_ns(self) -> int:
        """What the slowest tenth takes while nothing waits."""
        return self._floor.value_ns + self._spread.value_ns

    @property
    def target_ns(self) -> int:
        """How long requests may wait."""
        return max(self._target_min_ns, int(self._target_share * self.unqueued_ns))

    @property
    def in_targets(self) -> float:
        """Waiting over target: the signal S."""
        return self._waiting_ns / self.target_ns

    def take(self, interval: Interval, limit: float) -> bool:
        """Learns from an interval.

        Args:
            interval: What was measured.
            limit: The limit that held in it.

        Returns:
            Whether it has shown a new floor.
        """
        if not interval.answered:
            return False
        spread_ns = max(0, interval.latency_p90_ns - interval.latency_min_ns)
        is_new = self._is_stuck(interval, limit) or self._has_cut_shown_a_floor(interval, limit)
        if is_new:
            self._floor.refresh(interval.ended_ns, interval.latency_min_ns)
            self._spread.refresh(interval.ended_ns, spread_ns)
        else:
            # Half the limit unused: whatever these waited for, it was not for each other.
            is_trusted = interval.in_flight_max < limit * UNUSED
            self._floor.take(interval.ended_ns, interval.latency_min_ns, is_trusted=is_trusted)
            if interval.answered >= SPREAD_SAMPLES_MIN:
                self._spread.take(interval.ended_ns, spread_ns, is_trusted=is_trusted)
        if interval.waiting_p90_ns is not None:
            self._waiting_ns = interval.waiting_p90_ns
        else:
            self._waiting_ns = max(0, interval.latency_p90_ns - self.unqueued_ns)
        return is_new

    def _is_stuck(self, interval: Interval, limit: float) -> bool:
        is_least = interval.in_flight_max >= self._forced_flight and interval.in_flight_mean >= IN_FORCE * limit
        if not is_least or self.in_targets <= 1:
            self._stuck_since_ns = -1
            return False
        if self._stuck_since_ns < 0:
            self._stuck_since_ns = interval.ended_ns
        return interval.ended_ns - self._stuck_since_ns >= self._window_ns

    def _has_cut_shown_a_floor(self, interval: Interval, limit: float) -> bool:
        before, before_ns = self._forced_flight, self._forced_mean_ns
        if interval.in_flight_mean < IN_FORCE * limit:
            self._forced_flight = 0.0
            return False
        # Not the limits are compared but what was in flight: one may be in force and not quite used.
        flight = interval.in_flight_mean
        is_cut = 0 < flight <= TELLING_CUT * before
        if is_cut or flight >= before:
            self._forced_flight, self._forced_mean_ns = flight, interval.latency_mean_ns
        return is_cut and interval.latency_mean_ns >= before_ns * (1 + flight / before) / 2

    def export(self, now_ns: int) -> dict[str, float]:
        """What was learned, without any point in time."""
        learned = self._floor.export(now_ns, "floor") | self._spread.export(now_ns, "spread")
        if self._forced_flight:
            learned |= {"forced_flight": self._forced_flight, "forced_mean_ns": self._forced_mean_ns}
        if self._waiting_ns:
            learned["waiting_ns"] = self._waiting_ns
        if self._stuck_since_ns >= 0:
            learned["stuck_age_s"] = (now_ns - self._stuck_since_ns) / 1e9
        return learned

    def restore(self, learned: Mapping[str, float], now_ns: int) -> None:
        """Goes on from what ``export`` gave."""
        self._floor.restore(learned, now_ns, "floor")
        self._spread.restore(learned, now_ns, "spread")
        self._waiting_ns = int(finite(learned, "waiting_ns", 0.0))
        self._forced_flight = finite(learned, "forced_flight", 0.0)
        self._forced_mean_ns = int(finite(learned, "forced_mean_ns", 0.0))
        self._stuck_since_ns = -1
        if "stuck_age_s" in learned:
            self._stuck_since_ns = now_ns - int(finite(learned, "stuck_age_s", 0.0) * 1e9)
