"""Counts requests that ended, until an interval is made of them.

The counts are what a worker's slot in shared memory holds: sums, a least, a most, and a histogram
(`memory.histogram`), so that those of all workers can be added up. Quantiles are read between the bounds of a bucket;
its upper end alone would make every answer look up to an eighth longer than the quickest, which is measured exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from tidegate.limits.adaptive.interval import Interval
from tidegate.memory.histogram import BUCKETS, bucket_of, upper_us

__all__ = ["Counted", "Tally", "interval_of", "quantile_ns"]


class Counted(Protocol):
    """Sums over requests that ended: a `Tally`, or what shared memory holds of all workers."""

    @property
    def began_ns(self) -> int: ...
    @property
    def ended(self) -> int: ...
    @property
    def drops(self) -> int: ...
    @property
    def in_flight_max(self) -> int: ...
    @property
    def in_flight_sum(self) -> int: ...
    @property
    def started_ns(self) -> int: ...
    @property
    def first_end_ns(self) -> int: ...
    @property
    def latency_min_ns(self) -> int: ...
    @property
    def latency_sum_ns(self) -> int: ...
    @property
    def waited(self) -> int: ...
    @property
    def latencies(self) -> Sequence[int]: ...
    @property
    def waitings(self) -> Sequence[int]: ...


class Tally:
    """Requests that ended since the last interval was closed.

    Args:
        began_ns: Since when.
    """

    def __init__(self, began_ns: int = 0) -> None:
        self.latencies = [0] * BUCKETS
        self.waitings = [0] * BUCKETS
        self.clear(began_ns)

    def __repr__(self) -> str:
        return f"<Tally {self.count} requests, {self.drops} dropped, since {self.began_ns}>"

    def clear(self, now_ns: int) -> None:
        """Begins anew."""
        self.began_ns = now_ns
        self.count = 0
        self.drops = 0
        self.in_flight_max = 0
        self.in_flight_sum = 0
        self.first_end_ns = 0
        self.started_ns = -1
        self.latency_min_ns = 0
        self.latency_sum_ns = 0
        self.waited = 0
        self.latencies[:] = [0] * BUCKETS
        self.waitings[:] = [0] * BUCKETS

    def add(
        self,
        started_ns: int,
        latency_ns: int,
        in_flight: int,
        *,
        was_dropped: bool = False,
        waiting_ns: int | None = None,
    ) -> None:
        """One request that ended.

        Args:
            started_ns: When its permit was given.
            latency_ns: From the permit to the end.
            in_flight: How many were under way on the machine when it began, itself included.
            was_dropped: Whether it ended in a time-out or an answer that means overload.
            waiting_ns: How long it waited behind the limit, where that is measured.
        """
        self.count += 1
        self.in_flight_max = max(self.in_flight_max, in_flight)
        self.in_flight_sum += in_flight
        self.first_end_ns = _least(self.first_end_ns, started_ns + latency_ns, absent=0)
        self.started_ns = _least(self.started_ns, started_ns, absent=-1)
        if was_dropped:
            self.drops += 1
            return
        latency_ns = max(1, latency_ns)  # 0 would mean that nothing is known
        self.latency_sum_ns += latency_ns
        self.latency_min_ns = _least(self.latency_min_ns, latency_ns, absent=0)
        self.latencies[bucket_of(latency_ns // 1000)] += 1
        if waiting_ns is not None:
            self.waited += 1
            self.waitings[bucket_of(waiting_ns // 1000)] += 1

    def merge(self, other: Tally) -> None:
        """Adds what another worker counted in the same stretch."""
        self.began_ns = min(self.began_ns, other.began_ns)
        self.count += other.count
        self.drops += other.drops
        self.in_flight_max = max(self.in_flight_max, other.in_flight_max)
        self.in_flight_sum += other.in_flight_sum
        self.first_end_ns = _least(self.first_end_ns, other.first_end_ns, absent=0)
        self.latency_sum_ns += other.latency_sum_ns
        self.waited += other.waited
        self.started_ns = _least(self.started_ns, other.started_ns, absent=-1)
        self.latency_min_ns = _least(self.latency_min_ns, other.latency_min_ns, absent=0)
        for bucket in range(BUCKETS):
            self.latencies[bucket] += other.latencies[bucket]
            self.waitings[bucket] += other.waitings[bucket]

    @property
    def ended(self) -> int:
        """As ``count``."""
        return self.count

    def interval(self, now_ns: int) -> Interval:
        """What was counted, as algorithms see it."""
        return interval_of(self, now_ns)


def interval_of(counted: Counted, now_ns: int) -> Interval:
    """What was counted, as algorithms see it. Waiting is given only if it was measured for every answer."""
    answered = counted.ended - counted.drops
    is_measured = answered > 0 and counted.waited == answered
    return Interval(
        started_ns=counted.started_ns if counted.ended else now_ns,
        ended_ns=now_ns,
        duration_ns=now_ns - max(counted.began_ns, counted.first_end_ns),
        count=counted.ended,
        drops=counted.drops,
        in_flight_max=counted.in_flight_max,
        in_flight_mean=counted.in_flight_sum / counted.ended if counted.ended else 0.0,
        latency_min_ns=counted.latency_min_ns,
        latency_mean_ns=counted.latency_sum_ns // answered if answered else 0,
        latency_p90_ns=max(counted.latency_min_ns, quantile_ns(counted.latencies, 0.9)),
        waiting_p90_ns=quantile_ns(counted.waitings, 0.9) if is_measured else None,
    )


def _least(one: int, other: int, *, absent: int) -> int:
    if absent in (one, other):
        return max(one, other)
    return min(one, other)


def quantile_ns(counts: Sequence[int], share: float) -> int:
    """The duration that ``share`` of the entries do not exceed, those of a bucket taken to lie evenly; 0 if empty."""
    wanted = share * sum(counts)
    seen = 0
    for bucket, count in enumerate(counts):
        if count and seen + count >= wanted:
            lower_us = upper_us(bucket - 1) if bucket else 0.0
            # The last bucket has no upper end; whatever lies in it is longer than two minutes.
            width_us = upper_us(bucket) - lower_us if bucket < BUCKETS - 1 else 0.0
            return int(1000 * (lower_us + width_us * (wanted - seen) / count))
        seen += count
    return 0
