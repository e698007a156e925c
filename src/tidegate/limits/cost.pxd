"""What one request takes of a limit: known beforehand, or predicted and settled when it has ended."""

from libc.stdint cimport uint64_t

from tidegate.limits.keys cimport Asked

cdef enum CostKind:
    COST_CONSTANT = 0
    COST_HEADER
    COST_SECONDS
    COST_BYTES

cdef class CostMean:
    """What requests of one route took lately of a limit whose cost is measured."""
    cdef readonly double value
    cdef bint has_value
    cdef void learn(self, double taken) noexcept

cdef class Cost:
    """Of one limit."""
    cdef CostKind kind
    cdef readonly double constant
    cdef readonly bint is_measured
    cdef double unit                        # ns or bytes that count as one
    cdef double most                        # that a field may say; 0: what the limit holds
    cdef bytes field
    # What is charged when it comes. ``holds``: more than this would never be let in. ``mean``: of its route, or None.
    cdef double beforehand(self, const Asked* asked, double holds, CostMean mean) noexcept
    # What it has turned out to be.
    cdef double measured(self, uint64_t upstream_ns, uint64_t response_bytes) noexcept
