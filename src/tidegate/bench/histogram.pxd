"""Counts of durations by size, in the layout of HdrHistogram: a fixed number of significant digits over the whole range."""

from libc.stdint cimport int64_t, uint64_t

cdef class Histogram:
    cdef readonly int digits            # significant decimal digits, 1 to 5
    cdef readonly uint64_t highest      # greatest value that is told apart; greater ones are counted as this one
    cdef readonly uint64_t total        # how many values it holds
    cdef int magnitude                  # of a half bucket: a half has 1 << magnitude places
    cdef size_t size                    # places
    cdef uint64_t* counts
    cdef void record(self, uint64_t value) noexcept
    cdef void clear(self) noexcept
    cdef size_t place_of(self, uint64_t value) noexcept
    cdef uint64_t lowest_at(self, size_t place) noexcept          # first value that is counted there
    cdef uint64_t width_at(self, size_t place) noexcept           # how many values are
    cdef uint64_t quantile_of(self, double share) noexcept
