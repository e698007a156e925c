"""A quota: so much in a window, which is fixed or slides."""

from libc.stdint cimport int64_t, uint64_t

from tidegate.memory.quotas cimport QuotaTable

# Which window was looked at: what a refund goes to, and when it ends.
cdef struct QuotaWindow:
    uint64_t fingerprint
    int64_t until_ms                        # the cell's
    int64_t ends_ms                         # the window's; the same but when it slides

cdef class QuotaLimit:
    """One limit of a snapshot. ``now_ms`` is CLOCK_MONOTONIC, ``wall_ms`` the time since 1970."""
    cdef readonly QuotaTable table
    cdef readonly int64_t maximum
    cdef readonly int64_t period_ms
    cdef readonly str window                # "aligned", "first_use" or "sliding"
    cdef int kind
    # What is left after counting ``cost``; -1: refused, with nothing counted. Tells the window in both cases.
    cdef int64_t charge(
        self, uint64_t fingerprint, int64_t now_ms, int64_t wall_ms, int64_t cost, QuotaWindow* window) noexcept nogil
    # What ``charge`` would say; changes nothing.
    cdef int64_t peek(
        self, uint64_t fingerprint, int64_t now_ms, int64_t wall_ms, int64_t cost, QuotaWindow* window) noexcept nogil
    # Gives ``cost`` back to that window and to no other. False: it is gone.
    cdef bint refund(self, const QuotaWindow* window, int64_t cost) noexcept nogil
    # Counts what has been served already, whatever room there is.
    cpdef void settle(self, uint64_t fingerprint, int64_t now_ms, int64_t wall_ms, int64_t cost) noexcept nogil
    cdef int64_t _open(
        self, uint64_t fingerprint, int64_t now_ms, int64_t wall_ms, QuotaWindow* window) noexcept nogil
