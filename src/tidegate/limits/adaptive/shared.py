"""One limit for all workers: whoever finds the interval over decides, and goes on from what the last one knew.

Each worker has a ``Controller`` of its own, which is nothing but its arithmetic: before it decides it is set to what
was remembered with the last decision, by whichever worker, and what it knows afterwards is remembered for the next.
What holds this together is in ``memory.adaptive``.
"""

from __future__ import annotations

import msgspec

from tidegate.limits.adaptive.controller import Controller, Decision
from tidegate.limits.adaptive.interval import Interval
from tidegate.limits.adaptive.tally import quantile_ns
from tidegate.memory.adaptive import Adaptive, Counts

__all__ = ["SharedLimit", "interval_of"]


class _Remembered(msgspec.Struct, array_like=True):
    """What one worker leaves to the next, and when."""

    decided_ns: int
    learned: dict[str, float]


_decoder = msgspec.msgpack.Decoder(_Remembered)


class SharedLimit:
    """An adaptive limit as one worker sees it.

    Args:
        shared: The worker's view of the samples and limits.
        row: Which of them is this limit's.
        controller: The arithmetic, with the bounds of the limit.
        interval_ns: How long an interval lasts.
        shortest_ns: How long it lasts at least, however many samples there are.
        samples: With so many it is over before its time.
        samples_min: With fewer it goes on.
        now_ns: When this worker begins.
    """

    def __init__(
        self,
        shared: Adaptive,
        row: int,
        controller: Controller,
        *,
        interval_ns: int = 1_000_000_000,
        shortest_ns: int = 100_000_000,
        samples: int = 500,
        samples_min: int = 10,
        now_ns: int = 0,
    ) -> None:
        self.shared = shared
        self.row = row
        self.controller = controller
        self._bounds = {
            "interval_ns": interval_ns,
            "shortest_ns": shortest_ns,
            "samples": samples,
            "samples_min": samples_min,
        }
        shared.begin(row, now_ns)

    @property
    def limit(self) -> int:
        """How many may be in flight on the machine."""
        return self.shared.learned(self.row) or self.controller.limit

    def turn(self, now_ns: int) -> Decision | None:
        """Decides for all if the interval is over and nobody else has; else None. Called after samples and by timer."""
        interval = self.shared.take_turn(self.row, now_ns, **self._bounds)
        if interval is None:
            return None
        remembered = self.shared.remembered(self.row)
        if remembered:
            known = _decoder.decode(remembered)
            self.controller.restore(known.learned, known.decided_ns)
        decision = self.controller.decide(interval_of(self.shared.gather(self.row, interval), now_ns))
        state = msgspec.msgpack.encode(_Remembered(now_ns, self.controller.export(now_ns)))
        self.shared.publish(self.row, interval, decision.limit, self.controller.changed_ns, state)
        return decision

    def __repr__(self) -> str:
        return f"<SharedLimit {self.limit} in row {self.row}, {self.controller!r}>"


def interval_of(counts: Counts, now_ns: int) -> Interval:
    """What all workers measured, as algorithms see it. Waiting is given only if it was measured for every answer."""
    answered = counts.ended - counts.drops
    is_measured = answered > 0 and counts.waited == answered
    return Interval(
        started_ns=counts.started_ns if counts.ended else now_ns,
        ended_ns=now_ns,
        duration_ns=now_ns - max(counts.began_ns, counts.first_end_ns),
        count=counts.ended,
        drops=counts.drops,
        in_flight_max=counts.in_flight_max,
        in_flight_min=counts.in_flight_min,
        latency_min_ns=counts.latency_min_ns,
        latency_mean_ns=counts.latency_sum_ns // answered if answered else 0,
        latency_p90_ns=max(counts.latency_min_ns, quantile_ns(counts.latencies, 0.9)),
        waiting_p90_ns=quantile_ns(counts.waitings, 0.9) if is_measured else None,
    )
