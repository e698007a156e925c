"""When requests are due: the points at which the integral of the rate passes one number after the other."""

from libc.stdint cimport uint64_t

cdef struct Stretch:
    # A time in which the rate changes evenly, or not at all.
    double begin_s
    double end_s
    double rate             # at its beginning, in requests per second
    double slope            # per second
    double begun            # requests that are due before it

cdef class Schedule:
    cdef readonly double seconds
    cdef readonly double requests       # expected over the whole time; even arrivals: exactly, rounded down
    cdef readonly bint is_poisson
    cdef Stretch* stretches
    cdef int count
    cdef int at
    cdef double mark                    # the number whose point is next
    cdef double step                    # of even arrivals
    cdef uint64_t random
    cdef double next_s(self) noexcept   # seconds from the beginning; infinite after the end
    cdef double exponential(self) noexcept
