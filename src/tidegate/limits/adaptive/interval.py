"""What was measured in a stretch of time, as the algorithms see it."""

from __future__ import annotations

import msgspec

__all__ = ["Interval"]


class Interval(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Requests that ended within a stretch of time. One request is an interval as well (``Interval.one``).

    Latency is the time in the upstream, from the permit to the end: waiting for a connection is part of it, waiting for
    the permit is not, because that is the limit's own doing and grows when the limit falls.
    """

    started_ns: int
    """When the earliest of these requests began."""
    ended_ns: int
    """When the stretch ended."""
    duration_ns: int
    """For how long requests ended: after a change of the limit none can end before one has been worked on."""
    count: int
    """How many ended, dropped ones included."""
    drops: int = 0
    """How many of them ended in a time-out or an answer that means overload."""
    in_flight_max: int
    """The most that were under way at once, on the whole machine."""
    in_flight_mean: float
    """How many were under way in the mean, when one began."""
    latency_min_ns: int
    """Of those that were answered; 0 when none was."""
    latency_mean_ns: int
    latency_p90_ns: int
    waiting_p90_ns: int | None = None
    """How long they waited behind the limit, if that is measured (pool, and what the upstream reports); else None."""

    @property
    def answered(self) -> int:
        """How many were not dropped."""
        return self.count - self.drops

    @property
    def drop_share(self) -> float:
        """Which part was dropped, 0 to 1."""
        return self.drops / self.count if self.count else 0.0

    @property
    def pass_rate_per_s(self) -> float:
        """Answers a second."""
        return self.answered * 1e9 / self.duration_ns if self.duration_ns > 0 else 0.0

    @classmethod
    def one(cls, started_ns: int, latency_ns: int, in_flight: int, *, was_dropped: bool = False) -> Interval:
        """A single request."""
        return cls(
            started_ns=started_ns,
            ended_ns=started_ns + latency_ns,
            duration_ns=latency_ns,
            count=1,
            drops=int(was_dropped),
            in_flight_max=in_flight,
            in_flight_mean=in_flight,
            latency_min_ns=latency_ns,
            latency_mean_ns=latency_ns,
            latency_p90_ns=latency_ns,
        )
