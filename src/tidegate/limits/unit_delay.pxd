"""The delay of those who are beyond a bound on concurrency, in units that are learned."""

from libc.stdint cimport int64_t, uint64_t

cdef class UnitDelay:
    cdef readonly double unit_s             # what a unit is now
    cdef int64_t delay_ns(self, uint64_t opened, uint64_t bound) noexcept       # of the latest of those that are open
    cdef void learn_from(self, double latency_s) noexcept
