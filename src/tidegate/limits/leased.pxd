"""A limit of a whole fleet, as a request sees it: credits that the machine has, and whoever borrows more."""

from libc.stdint cimport int64_t, uint64_t

from tidegate.memory.leases cimport LeaseTable

# What a request is told when the machine has too few credits and the store may have more: refused, for a nanosecond.
cdef enum:
    LEASE_PENDING = -1

cdef class LeasedLimit:
    """What one limit of a snapshot allows somebody. ``now_ns`` is CLOCK_MONOTONIC."""
    cdef readonly LeaseTable table
    cdef readonly int which
    cdef object lender                      # fleet.lender.Lender; None: nobody borrows
    cdef int64_t low                        # with less of the current epoch more is borrowed
    # 0, or negative: refused, for so many ns or `LEASE_PENDING`. ``charge`` tells which epoch's credits it took, and has
    # more borrowed when few are left. ``fleet``: the key's fingerprint in the store.
    cdef int64_t charge(
        self, uint64_t fingerprint, uint64_t fleet, int64_t now_ns, int64_t cost, int64_t* epoch) noexcept
    # What ``charge`` would say; changes nothing.
    cdef int64_t peek(self, uint64_t fingerprint, int64_t now_ns, int64_t cost) noexcept nogil
    cdef int64_t left(self, uint64_t fingerprint, int64_t now_ns) noexcept nogil
    cdef void refund(self, uint64_t fingerprint, int64_t now_ns, int64_t epoch, int64_t cost) noexcept nogil
    # Takes as much of it as there is: it has been served already. What there is no credit for.
    cdef int64_t settle(self, uint64_t fingerprint, int64_t now_ns, int64_t cost) noexcept nogil
    # Has somebody ask the store, unless somebody does.
    cdef int borrow(self, uint64_t fingerprint, uint64_t fleet, int64_t now_ns, int64_t cost) except -1
    # Whether the caller is the one to ask for so much.
    cdef bint marks(self, uint64_t fingerprint, int64_t now_ns, int64_t cost) noexcept nogil
    # Nobody waits any longer: what the machine may do without the store is done.
    cdef int decide(self, uint64_t fingerprint, uint64_t fleet, int64_t cost) except -1
    cdef int64_t _refusal_ns(self, uint64_t fingerprint, int64_t now_ns, int64_t cost) noexcept nogil
