"""Limits of a whole fleet, as a request sees them: credits in cells that the workers of the machine share.

Nobody waits here. A request takes credits while there are some; when few are left one worker has more borrowed, which
``fleet.lender`` does off the request path. Who finds too few is refused, and told whether it is worth to look again.
"""

cimport cython
from libc.stdint cimport int64_t, uint64_t

from tidegate.memory.leases cimport (
    LEASE_ASKED_MS, LEASE_EPOCH_MS, LeaseTable, lease_ask, lease_closed, lease_credits, lease_put, lease_take,
)

PENDING = LEASE_PENDING

cdef int64_t MILLISECOND_NS = 1000000


@cython.final
cdef class LeasedLimit:
    def __cinit__(self, LeaseTable table not None, int which, lender=None):
        self.table, self.which = table, which
        self.lend_by(lender)

    def lend_by(self, lender) -> None:
        self.lender = lender
        self.low = 0 if lender is None else lender.low(self.which)

    cdef int64_t charge(
        self, uint64_t fingerprint, uint64_t fleet, int64_t now_ns, int64_t cost, int64_t* epoch) noexcept:
        cdef int64_t now_ms = now_ns // MILLISECOND_NS
        if cost <= 0:
            return 0
        epoch[0] = lease_take(&self.table.table, fingerprint, now_ms, cost)
        if epoch[0] < 0:
            return self._refusal_ns(fingerprint, now_ns, cost)
        if self.low and lease_credits(
            &self.table.table, fingerprint, now_ms, now_ms // <int64_t>LEASE_EPOCH_MS
        ) < self.low:
            self.borrow(fingerprint, fleet, now_ns, 1)
        return 0

    cdef int64_t _refusal_ns(self, uint64_t fingerprint, int64_t now_ns, int64_t cost) noexcept nogil:
        cdef int64_t until_ms = lease_closed(&self.table.table, fingerprint, now_ns // MILLISECOND_NS, cost)
        # One more than there is left of it, so that it is never told from what is worth to look at again.
        return LEASE_PENDING if until_ms == 0 else now_ns - until_ms * MILLISECOND_NS - 1

    cdef int64_t peek(self, uint64_t fingerprint, int64_t now_ns, int64_t cost) noexcept nogil:
        cdef int64_t now_ms = now_ns // MILLISECOND_NS
        cdef int64_t epoch = now_ms // <int64_t>LEASE_EPOCH_MS
        if (
            lease_credits(&self.table.table, fingerprint, now_ms, epoch - 1) >= cost
            or lease_credits(&self.table.table, fingerprint, now_ms, epoch) >= cost
        ):
            return 0
        return self._refusal_ns(fingerprint, now_ns, cost)

    cdef int64_t left(self, uint64_t fingerprint, int64_t now_ns) noexcept nogil:
        cdef int64_t now_ms = now_ns // MILLISECOND_NS
        cdef int64_t epoch = now_ms // <int64_t>LEASE_EPOCH_MS
        return lease_credits(&self.table.table, fingerprint, now_ms, epoch - 1) + lease_credits(
            &self.table.table, fingerprint, now_ms, epoch
        )

    cdef void refund(self, uint64_t fingerprint, int64_t now_ns, int64_t epoch, int64_t cost) noexcept nogil:
        lease_put(&self.table.table, fingerprint, now_ns // MILLISECOND_NS, epoch, cost)

    cdef int64_t settle(self, uint64_t fingerprint, int64_t now_ns, int64_t cost) noexcept nogil:
        cdef int64_t now_ms = now_ns // MILLISECOND_NS
        cdef int64_t epoch = now_ms // <int64_t>LEASE_EPOCH_MS
        cdef int64_t one, part
        if cost <= 0 or lease_take(&self.table.table, fingerprint, now_ms, cost) >= 0:
            return 0
        for one in range(epoch - 1, epoch + 1):     # a part of each
            part = min(cost, lease_credits(&self.table.table, fingerprint, now_ms, one))
            if part > 0 and lease_take(&self.table.table, fingerprint, now_ms, part) >= 0:
                cost -= part
        return cost

    cdef bint marks(self, uint64_t fingerprint, int64_t now_ns, int64_t cost) noexcept nogil:
        cdef int64_t now_ms = now_ns // MILLISECOND_NS
        return lease_ask(&self.table.table, fingerprint, now_ms, now_ms + LEASE_ASKED_MS, cost)

    cdef int borrow(self, uint64_t fingerprint, uint64_t fleet, int64_t now_ns, int64_t cost) except -1:
        if self.lender is not None and self.marks(fingerprint, now_ns, cost):
            self.lender.borrow(self.which, fingerprint, fleet, cost)
            self.low = self.lender.low(self.which)      # it changes with the number of nodes
        return 0

    cdef int decide(self, uint64_t fingerprint, uint64_t fleet, int64_t cost) except -1:
        if self.lender is not None:
            self.lender.decide(self.which, fingerprint, fleet, cost)
        return 0

    def take(self, uint64_t fingerprint, int64_t now_ns, int64_t cost=1) -> int:
        cdef int64_t epoch = 0
        cdef int64_t verdict = self.charge(fingerprint, fingerprint, now_ns, cost, &epoch)
        if verdict == LEASE_PENDING:
            self.borrow(fingerprint, fingerprint, now_ns, cost)
        return verdict

    def look(self, uint64_t fingerprint, int64_t now_ns, int64_t cost=1) -> int:
        return self.peek(fingerprint, now_ns, cost)

    def __repr__(self):
        return f"<LeasedLimit {self.which} of {self.table!r}>"
