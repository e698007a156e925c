"""An algorithm with the guards that every one needs, and the face that the gateway shows of it.

The guards, in the order in which they are asked:

1. An interval without requests decides nothing, nor does one with a request that began before the last change: it
   tells of the limit that was.
2. One drop in a hundred is life, more is overload. What is overload never leads to growth, whatever the algorithm says.
3. While less than half the limit is used it does not grow: nobody has tried what more would do. A limit that only grows
   protects nothing on the day it is needed. While less than a fifth is used it does not fall either, but for drops, nor
   ever below twice what was under way while that is less than half: whatever those requests waited for, it was hardly
   for each other. On a busy machine answers are late at times with next to nothing under way, and a limit that went by
   that would be at its floor when the load comes. Answers from a cache take no permit and so teach nothing at all.
4. The limit stays within its floor and its ceiling: below the floor too few samples come to find back, and no sample
   says that a million connections are too many until they are.

No guard narrows the limit in order to measure: a healthy upstream's requests are refused for nothing.

Samples come one by one (``observe``, then ``turn``), or as the interval of a whole machine (``decide``). The stretch
of an interval is a second; with enough samples it is over sooner, so that a busy limit is corrected ten times a
second; with too few it goes on, and always for longer than answers take.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from tidegate.limits.adaptive.algorithm import Algorithm, Why, finite
from tidegate.limits.adaptive.catalogue import make
from tidegate.limits.adaptive.interval import Interval
from tidegate.limits.adaptive.suggestion import Suggestion
from tidegate.limits.adaptive.tally import Tally

__all__ = ["Controller", "Decision", "Statistics"]

TOLERATED_DROPS: Final = 0.01
DROPS_BACKOFF: Final = 0.9
"""What is left of the limit when drops are overload and the algorithm does not see them."""
USED_SHARE: Final = 0.5
IDLE_SHARE: Final = 0.2
LATENCIES: Final = 2.5
"""An interval lasts as many times as long as a slow answer takes: of those that began after the last change only the
quick have ended before, and a limit that sees no others believes that nothing waits."""


class Decision(msgspec.Struct, frozen=True):
    """What one interval led to."""

    limit: int
    before: int
    why: Why
    at_ns: int

    @property
    def has_changed(self) -> bool:
        return self.limit != self.before


class Statistics(msgspec.Struct, frozen=True):
    """Where an adaptive limit stands, for metrics, status and tests."""

    algorithm: str
    limit: int
    in_flight: int
    """The most that was in flight in the last interval."""
    queue_delay_ns: int
    target_ns: int
    floor_ns: int
    why: Why
    """Why the last decision was made, and what it was."""
    changed_from: int
    """The limit before the last change."""
    changed_ns: int
    """When it changed; 0: never."""
    decisions: int
    suggested: int | None


class Controller:
    """Decides a limit from what was measured.

    Args:
        algorithm: Whose arithmetic; None: the default.
        floor: The least limit.
        ceiling: The greatest limit.
        interval_ns: How long an interval lasts.
        shortest_ns: How long it lasts at least, however many samples there are.
        samples: With so many it is over before its time.
        samples_min: With fewer it goes on.
        suggest: Whether a fixed bound is learned from healthy peaks.
        now_ns: When it begins.
    """

    def __init__(
        self,
        algorithm: Algorithm | None = None,
        *,
        floor: int = 10,
        ceiling: int = 10_000,
        interval_ns: int = 1_000_000_000,
        shortest_ns: int = 100_000_000,
        samples: int = 500,
        samples_min: int = 20,
        suggest: bool = False,
        now_ns: int = 0,
    ) -> None:
        self.algorithm = make() if algorithm is None else algorithm
        self._floor = floor
        self._ceiling = ceiling
        self._interval_ns = interval_ns
        self._shortest_ns = shortest_ns
        self._samples = samples
        self._samples_min = samples_min
        self._suggestion = Suggestion() if suggest else None
        self._tally = Tally(now_ns)
        self._why = Why.NOTHING_YET
        self._in_flight = 0
        self._decisions = 0
        self._changed_from = 0
        self._changed_ns = 0
        self.algorithm.limit = self._bounded(self.algorithm.limit)

    def __repr__(self) -> str:
        return f"<Controller {self.algorithm.name} {self.limit} ({self._why})>"

    @property
    def limit(self) -> int:
        """How many may be in flight."""
        return int(self.algorithm.limit)

    @property
    def changed_ns(self) -> int:
        """When the limit changed; requests that began before it teach nothing."""
        return self._changed_ns

    # -- single samples ------------------------------------------------------------------------------------------------

    def observe(
        self,
        started_ns: int,
        latency_ns: int,
        in_flight: int,
        *,
        was_dropped: bool = False,
        waiting_ns: int | None = None,
    ) -> None:
        """One request that ended (the arguments of ``Tally.add``); it counts if it began after the last change."""
        if started_ns >= self._changed_ns:
            self._tally.add(started_ns, latency_ns, in_flight, was_dropped=was_dropped, waiting_ns=waiting_ns)

    def turn(self, now_ns: int) -> Decision | None:
        """Decides if the interval is over; else None."""
        if not self.is_over(now_ns - self._tally.began_ns, self._tally.count):
            return None
        interval = self._tally.interval(now_ns)
        self._tally.clear(now_ns)
        return self.decide(interval)

    # -- intervals -----------------------------------------------------------------------------------------------------

    @property
    def shortest_ns(self) -> int:
        """How long an interval lasts at least."""
        return max(self._shortest_ns, int(LATENCIES * self.algorithm.unqueued_ns))

    def bounds(self) -> dict[str, int]:
        """When an interval of the machine is over, as `memory.adaptive` is asked for it."""
        return {
            "shortest_ns": self.shortest_ns,
            "interval_ns": self._interval_ns,
            "samples_min": self._samples_min,
            "samples": self._samples,
        }

    def is_over(self, lasted_ns: int, count: int) -> bool:
        """Whether an interval of that length, in which so many requests ended, is one to decide by."""
        if count < self._samples_min or lasted_ns < self.shortest_ns:
            return False
        return count >= self._samples or lasted_ns >= self._interval_ns

    def decide(self, interval: Interval) -> Decision:
        """The next limit, from what was measured on the whole machine."""
        before = self.algorithm.limit
        if not interval.count:
            return self._decided(before, Why.NO_SAMPLES, interval)
        if interval.started_ns < self._changed_ns:
            return self._decided(before, Why.STALE, interval)
        self._in_flight = interval.in_flight_max
        is_overload = interval.drop_share > TOLERATED_DROPS
        if interval.drops and not is_overload:
            answered = interval.answered
            interval = msgspec.structs.replace(interval, count=answered, drops=0)
        why = self.algorithm.update(interval)
        limit = self.algorithm.limit
        if self._suggestion is not None and limit >= before and not is_overload:
            self._suggestion.take(interval.ended_ns, interval.in_flight_max)
        if is_overload and limit >= before:
            limit, why = before * DROPS_BACKOFF, Why.DROPS
        elif why is not Why.DROPS and limit != before and interval.in_flight_max < before * USED_SHARE:
            if limit > before or interval.in_flight_max < before * IDLE_SHARE:
                limit, why = before, Why.APPLICATION_LIMITED
            else:
                limit = max(limit, interval.in_flight_max / USED_SHARE)
        bounded = self._bounded(limit)
        if bounded != limit:
            why = Why.AT_FLOOR if bounded > limit else Why.AT_CEILING
        self.algorithm.limit = bounded
        return self._decided(before, why, interval)

    def _decided(self, before: float, why: Why, interval: Interval) -> Decision:
        self._why = why
        self._decisions += 1
        if self.limit != int(before):
            self._changed_from = int(before)
            self._changed_ns = interval.ended_ns
        return Decision(self.limit, int(before), why, interval.ended_ns)

    def _bounded(self, limit: float) -> float:
        return float(max(self._floor, min(self._ceiling, limit)))

    # -- what it knows -------------------------------------------------------------------------------------------------

    def statistics(self) -> Statistics:
        """Where it stands now."""
        return Statistics(
            algorithm=self.algorithm.name,
            limit=self.limit,
            in_flight=self._in_flight,
            queue_delay_ns=self.algorithm.queue_delay_ns,
            target_ns=self.algorithm.target_ns,
            floor_ns=self.algorithm.floor_ns,
            why=self._why,
            changed_from=self._changed_from,
            changed_ns=self._changed_ns,
            decisions=self._decisions,
            suggested=self._suggestion.bound if self._suggestion is not None else None,
        )

    def export(self, now_ns: int) -> dict[str, float]:
        """What was learned, for a state file or the next worker that decides: numbers, no point in time among them."""
        learned = self.algorithm.export(now_ns)
        if self._changed_ns:
            learned["changed_age_s"] = (now_ns - self._changed_ns) / 1e9
            learned["changed_from"] = self._changed_from
        learned["decisions"] = self._decisions
        if self._suggestion is not None:
            learned |= self._suggestion.export(now_ns)
        return learned

    def restore(self, learned: Mapping[str, float], now_ns: int) -> None:
        """Goes on from what ``export`` gave, within the bounds of now. What makes no sense in it is left out.

        Args:
            learned: The numbers.
            now_ns: The moment of the export: another worker's on the same clock, or now after a restart.
        """
        self.algorithm.restore(learned, now_ns)
        self.algorithm.limit = self._bounded(self.algorithm.limit)
        if "changed_age_s" in learned:
            self._changed_ns = now_ns - round(finite(learned, "changed_age_s", 0.0) * 1e9)
        self._changed_from = int(finite(learned, "changed_from", self._changed_from))
        self._decisions = int(finite(learned, "decisions", self._decisions))
        if self._suggestion is not None:
            self._suggestion.restore(learned, now_ns, self._ceiling)
        self._why = Why.RESTORED
        self._tally.clear(now_ns)
