"""One limit: what it allows whom, and a look at it, a charge, a refund."""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from tidegate.limits.keys cimport RequestKey
from tidegate.memory.rates cimport RateTable

cdef enum Missing:
    MISSING_OWN = 0
    MISSING_REFUSE
    MISSING_SKIP

cdef struct Allowed:
    # What the limit allows somebody.
    int64_t emission_ns         # between two requests, of the limit's cost each
    int64_t tolerance_ns        # how far ahead of the rate one may be; negative: nobody is let in
    int64_t free_ns             # of that, what is not waited for
    int64_t longest_ns          # wait

cdef struct Override:
    uint64_t fingerprint        # 0: free
    uint32_t which

cdef class Limit:
    # what it is
    cdef readonly str name
    cdef bytes name_text
    cdef readonly object settings           # config.Limit
    cdef readonly RequestKey key
    cdef readonly bint needs_auth
    cdef readonly bint has_upstream         # its key can be told only where the upstream is known
    cdef readonly bint is_dry
    cdef readonly bint delays
    cdef readonly bint charges_failures     # and nothing else
    cdef uint8_t missing                    # Missing
    # whom it allows what
    cdef object allowed_owner
    cdef Allowed* allowed                   # the first: of everybody else
    cdef readonly list policies             # (requests, seconds) of each: what it holds, and what it takes to fill again
    cdef dict tiers                         # to the number of what is allowed
    cdef object overrides_owner
    cdef Override* overrides
    cdef uint32_t overrides_mask
    # what it remembers
    cdef readonly RateTable rates
    # where it is counted
    cdef uint32_t series
    cdef bint has_series
    cdef uint32_t allowance(self, uint64_t fingerprint, str tier) noexcept
    # Nanoseconds to wait; negative: refused, and for so long (``cells.NEVER``: for ever). ``look`` changes nothing; a charge
    # is taken back by ``refund`` as long as nobody can have leaned on it: in the same stretch, or by who was to wait and
    # has not had its turn.
    cdef int64_t look(self, uint64_t fingerprint, uint32_t which, int64_t now_ns) noexcept nogil
    cdef int64_t charge(self, uint64_t fingerprint, uint32_t which, int64_t now_ns) noexcept nogil
    cdef void refund(self, uint64_t fingerprint, uint32_t which, int64_t now_ns) noexcept nogil
    cdef int64_t verdict(self, int64_t wait_ns, uint32_t which) noexcept nogil
