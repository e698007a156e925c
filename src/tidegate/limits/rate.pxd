"""A rate limit: so many a period, and how far ahead of that somebody may get."""

from libc.stdint cimport int64_t, uint64_t

from tidegate.memory.rates cimport RateTable

cdef class RateLimit:
    """One limit of a snapshot. Times are CLOCK_MONOTONIC in ns; a cost is in requests."""
    cdef readonly RateTable table
    cdef readonly double count              # requests that pass in ...
    cdef readonly int64_t period_ns         # ... this time
    cdef readonly double burst              # requests beyond the rate that pass, at once or delayed
    cdef readonly bint is_delayed           # they wait for their turn
    cdef readonly int64_t interval_ns       # from one request to the next at the rate
    cdef readonly int64_t tolerance_ns      # how far the turn of the last that passes may lie ahead; negative: nobody passes
    cdef readonly int64_t delay_after_ns    # a turn no further ahead than this is not waited for
    # What ``cost`` requests take up; more than can be told is told as the most.
    cdef int64_t emission_ns(self, double cost) noexcept nogil
    # ns to delay it (0: not at all), or negative: refused, with nothing charged; -n: not in n ns any more, NEVER.
    cpdef int64_t charge(self, uint64_t fingerprint, int64_t now_ns, double cost=*) noexcept nogil
    # What ``charge`` would say; changes nothing.
    cpdef int64_t peek(self, uint64_t fingerprint, int64_t now_ns, double cost=*) noexcept nogil
    # The same; ``arrival_ns`` becomes when what is charged now will be used up: what a refund asks for.
    cdef int64_t charge_until(
        self, uint64_t fingerprint, int64_t now_ns, double cost, int64_t* arrival_ns) noexcept nogil
    # Gives a charge back as far as nobody leans on it. False: nothing of it is left, or others wait behind it.
    cpdef bint refund(self, uint64_t fingerprint, int64_t now_ns, int64_t arrival_ns, double cost=*) noexcept nogil
    # Charges what has been served already, whatever room there is: those who come next wait for it.
    cpdef void settle(self, uint64_t fingerprint, int64_t now_ns, double cost) noexcept nogil
    # Requests of cost 1 that would pass now, and until when all of it is there again.
    cdef int64_t remaining(self, uint64_t fingerprint, int64_t now_ns, int64_t* reset_ns) noexcept nogil
    cdef int64_t _tolerance_ns(self, int64_t emission_ns) noexcept nogil
    cdef int64_t _delay_ns(self, int64_t wait_ns) noexcept nogil
