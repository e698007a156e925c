"""The delay of lua-resty ``limit.conn``: who is beyond a bound on concurrency waits instead of being refused.

Of requests that are open at once, the first ``bound`` go at once, the next ``bound`` wait one unit, the next two: a backend
that serves ``bound`` at a time in one unit each would take them up then. The unit is learned: the mean of what it was and of
each latency that is told, as that library does it, so that it follows within a few requests. What a request has waited here is
no part of its latency, or delays would feed delays.

How many may be open is the affair of whoever counts them.
"""

from libc.stdint cimport int64_t, uint64_t


cdef class UnitDelay:
    """``unit_s``: what a unit is to begin with, in s."""

    def __init__(self, double unit_s):
        if not unit_s >= 0:
            raise ValueError(f"expected a delay of 0 or more, got {unit_s}")
        self.unit_s = unit_s

    cdef int64_t delay_ns(self, uint64_t opened, uint64_t bound) noexcept:
        if opened <= bound or bound == 0:
            return 0
        return <int64_t>(((opened - 1) // bound) * self.unit_s * 1e9 + 0.5)

    cdef void learn_from(self, double latency_s) noexcept:
        self.unit_s = (self.unit_s + latency_s) / 2

    # The same for tests and tools.

    def delay_s(self, uint64_t opened, uint64_t bound) -> float:
        """How long the latest waits of ``opened`` requests that are open, itself included."""
        return self.delay_ns(opened, bound) / 1e9

    def learn(self, double latency_s) -> None:
        """Takes in how long a request took, without what it waited here."""
        self.learn_from(latency_s)

    def __repr__(self):
        return f"<UnitDelay {self.unit_s:.6g} s>"
