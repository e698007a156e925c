"""The table of one quota: for each key, what is counted in the window that is open, and until when it is."""

from libc.stdint cimport int64_t, uint64_t

from tidegate.memory.cells cimport cell_table

cdef class QuotaTable:
    """A process's view of a table; one thread's. Times are CLOCK_MONOTONIC in ms, keys their fingerprint.

    ``until_ms`` is where a window would end that is opened now, and becomes where the window ends that was looked at:
    now + period counts from the first use; who wants windows aligned to the clock passes the end of the current one.
    """
    cdef object region                      # Mapping: keeps the mapping alive
    cdef cell_table table
    # What is left after counting ``cost``; -1: refused, with nothing changed.
    cdef int64_t charge(
        self, uint64_t fingerprint, int64_t now_ms, int64_t* until_ms, int64_t cost, int64_t maximum) noexcept nogil
    # What ``charge`` would say; changes nothing.
    cdef int64_t peek(
        self, uint64_t fingerprint, int64_t now_ms, int64_t* until_ms, int64_t cost, int64_t maximum) noexcept nogil
    # What is counted in the window that is open, 0 when none is.
    cdef int64_t used(self, uint64_t fingerprint, int64_t now_ms, int64_t* until_ms) noexcept nogil
    # Gives ``cost`` back to the window that ends at ``until_ms`` and to no other. False: it is gone.
    cdef bint refund(self, uint64_t fingerprint, int64_t until_ms, int64_t cost) noexcept nogil
    cdef void prefetch(self, uint64_t fingerprint) noexcept nogil
