"""Rate limits: GCRA, which is the leaky bucket of nginx ``limit_req`` and lua-resty ``limit.req`` and a token bucket at
once.

Each request takes up an interval, period / count. Its turn is now, or when what was charged before it is used up. It is
refused when its turn lies more than ``burst`` intervals ahead; then nothing is charged. So of many that come at once
``burst`` + 1 pass, the k-th with its turn after (k - 1) intervals, and in the long run no more than the rate.

``excess`` says what becomes of those whose turn is not now: with "reject" they go at once (nginx ``nodelay``), with
"delay" they wait for it, but for the first ``delay_after`` of them (nginx ``delay=``); nobody waits longer than
``max_delay``.

A cost of c is c requests at once that pass together or not at all, and go when the first of them has its turn. More than
``burst`` + 1 never pass.

Intervals are whole nanoseconds, rounded up, so that the rate is never exceeded: at 1,000,000/s by one part in a million
of its inverse, above 10,000,000/s by more than one part in a hundred.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.math cimport ceil
from libc.stdint cimport INT64_MAX, int64_t, uint64_t

from tidegate.memory.cells cimport ARRIVAL_MAX, NEVER
from tidegate.memory.fingerprints cimport Fingerprints
from tidegate.memory.rates cimport RateTable

import math

# Beyond it a double has no room for a nanosecond more, and ``ARRIVAL_MAX`` is near.
cdef double LONGEST_NS = 4e18


cdef inline int64_t whole_ns(double ns) noexcept nogil:
    return INT64_MAX if ns >= LONGEST_NS else <int64_t>ceil(ns)


@cython.final
cdef class RateLimit:
    """``count`` requests in ``period_ns``, 0: nobody; ``excess`` is "reject" or "delay".

    ``burst`` and ``delay_after`` are in requests, and may have fractions; ``max_delay_ns`` None: as ``burst`` says.
    """

    def __cinit__(
        self, RateTable table not None, double count, int64_t period_ns, double burst=0, str excess not None="reject",
        double delay_after=0, max_delay_ns=None,
    ):
        if not (math.isfinite(count) and count >= 0 and period_ns > 0):
            raise ValueError(f"expected a rate of 0 or more in a period of 1 ns or more, got {count} in {period_ns} ns")
        if not (math.isfinite(burst) and burst >= 0 and math.isfinite(delay_after) and delay_after >= 0):
            raise ValueError(f"expected 0 or more of burst and delay_after, got {burst} and {delay_after}")
        if excess not in ("reject", "delay"):
            raise ValueError(f"expected excess to be 'reject' or 'delay', got {excess!r}")
        self.table = table
        self.count, self.period_ns, self.burst, self.is_delayed = count, period_ns, burst, excess == "delay"
        self.interval_ns = whole_ns(period_ns / count) if count else INT64_MAX
        self.tolerance_ns = self._span(burst) if count else -1
        self.delay_after_ns = min(self._span(delay_after), self.tolerance_ns)
        if self.is_delayed and max_delay_ns is not None:
            self.tolerance_ns = min(self.tolerance_ns, self.delay_after_ns + max(0, max_delay_ns))

    def _span(self, double requests):
        """Intervals of so many requests, rounded down; arithmetic without bounds, then cut."""
        whole = math.floor(requests)
        return min(whole * self.interval_ns + int((requests - whole) * self.interval_ns), ARRIVAL_MAX)

    cdef int64_t emission_ns(self, double cost) noexcept nogil:
        if cost == 1:
            return self.interval_ns
        return whole_ns(cost * self.period_ns / self.count) if self.count > 0 and cost > 0 else 0

    cdef int64_t _tolerance_ns(self, int64_t emission_ns) noexcept nogil:
        # The last of those that come together has to be within the tolerance. A part of one has what is left of its room.
        if self.tolerance_ns < 0 or emission_ns <= 0 or (self.is_delayed and emission_ns < self.interval_ns):
            return self.tolerance_ns
        return self.tolerance_ns - (emission_ns - self.interval_ns)

    cdef int64_t _delay_ns(self, int64_t wait_ns) noexcept nogil:
        if wait_ns <= 0:
            return wait_ns
        return wait_ns - self.delay_after_ns if self.is_delayed and wait_ns > self.delay_after_ns else 0

    cpdef int64_t charge(self, uint64_t fingerprint, int64_t now_ns, double cost=1) noexcept nogil:
        """Charges ``cost`` requests; the delay in ns, or negative: refused, and would be for as many ns."""
        cdef int64_t arrival_ns = 0
        return self.charge_until(fingerprint, now_ns, cost, &arrival_ns)

    cdef int64_t charge_until(
        self, uint64_t fingerprint, int64_t now_ns, double cost, int64_t* arrival_ns) noexcept nogil:
        cdef int64_t emission_ns = self.emission_ns(cost)
        cdef int64_t wait_ns = self.table.charge(fingerprint, now_ns, emission_ns, self._tolerance_ns(emission_ns))
        if wait_ns >= 0:
            arrival_ns[0] = now_ns + wait_ns + emission_ns
        return self._delay_ns(wait_ns)

    cpdef int64_t peek(self, uint64_t fingerprint, int64_t now_ns, double cost=1) noexcept nogil:
        """What ``charge`` would say; changes nothing."""
        cdef int64_t emission_ns = self.emission_ns(cost)
        return self._delay_ns(self.table.peek(fingerprint, now_ns, emission_ns, self._tolerance_ns(emission_ns)))

    cpdef bint refund(self, uint64_t fingerprint, int64_t now_ns, int64_t arrival_ns, double cost=1) noexcept nogil:
        """Gives a charge back as far as nobody leans on it; ``arrival_ns`` is when all that was charged with it is used up.

        A turn that others wait behind is not given back: who came next would go at the time of one of them. False:
        nothing was given back.
        """
        cdef int64_t emission_ns = self.emission_ns(cost)
        if self.is_delayed:
            return self.table.retract(fingerprint, emission_ns, arrival_ns)
        return self.table.refund(fingerprint, now_ns, emission_ns, arrival_ns)

    cpdef void settle(self, uint64_t fingerprint, int64_t now_ns, double cost) noexcept nogil:
        """Charges what has been served already, whatever room there is: those who come next wait for it."""
        self.table.charge(fingerprint, now_ns, self.emission_ns(cost), INT64_MAX)

    def charge_key(self, Fingerprints prints not None, bytes key not None, int64_t now_ns, double cost=1) -> int:
        """``charge`` for Python code that has a key and no fingerprint of it."""
        return self.charge(prints.of(PyBytes_AS_STRING(key), PyBytes_GET_SIZE(key)), now_ns, cost)

    cdef int64_t remaining(self, uint64_t fingerprint, int64_t now_ns, int64_t* reset_ns) noexcept nogil:
        cdef int64_t ahead_ns = self.table.peek(fingerprint, now_ns, 0, INT64_MAX)
        reset_ns[0] = ahead_ns
        if ahead_ns > self.tolerance_ns:
            return 0
        return (self.tolerance_ns - ahead_ns) // self.interval_ns + 1

    def left(self, uint64_t fingerprint, int64_t now_ns) -> tuple[int, int]:
        """(requests of cost 1 that would pass now, ns until as many pass as of a new key)."""
        cdef int64_t reset_ns = 0
        cdef int64_t remaining = self.remaining(fingerprint, now_ns, &reset_ns)
        return remaining, reset_ns

    def __repr__(self):
        excess = "delay" if self.is_delayed else "reject"
        return f"<RateLimit {self.count:g} in {self.period_ns / 1e9:g} s, burst {self.burst:g}, {excess}>"
