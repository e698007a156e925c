"""An adaptive limit as the requests of one worker meet it: how many may be in flight, and what they teach."""

from libc.stdint cimport int64_t, uint32_t, uint64_t

from tidegate.memory.adaptive cimport Adaptive

cdef enum:
    KNOWN = 256                 # keys whose row this worker knows without looking

cdef struct KnownRow:
    uint64_t name               # of the row; 0: free
    int64_t row                 # -1: it has none
    uint64_t at_ns              # when that was looked up

cdef class Learner:
    # for good
    cdef readonly Adaptive shared
    cdef readonly uint32_t first            # of its rows
    cdef readonly uint32_t rows
    cdef readonly uint32_t initial
    cdef uint64_t tag                       # of the limit, in the names of its rows
    cdef bytes waiting_field                # in lower case; b"": waiting is not reported
    cdef uint64_t[4] overload               # a bit for each status from 400
    cdef list deciders                      # SharedLimit, one a row
    # now
    cdef uint64_t now_ns                    # of the latest tick
    cdef KnownRow[KNOWN] known
    cdef readonly uint64_t crowded          # times that a key found no row
    # The row of a key, -1: there is none for it.
    cdef int64_t row_of(self, uint64_t fingerprint) noexcept nogil
    # How many requests of a key may be in flight on the machine.
    cdef uint64_t maximum(self, uint64_t fingerprint) noexcept nogil
    cdef bint is_overload(self, int status) noexcept nogil
    # One that ended, and learns in ``row`` if that is still its key's. Times in ns; ``waiting_ns`` < 0: not measured.
    cdef void observe(self, int64_t row, uint64_t fingerprint, int64_t started_ns, int64_t latency_ns, uint32_t in_flight,
                      bint was_dropped, int64_t waiting_ns) noexcept nogil
