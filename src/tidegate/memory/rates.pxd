"""The table of one rate limit: for each key, until when its share is used up (GCRA)."""

from libc.stdint cimport int64_t, uint64_t

from tidegate.memory.cells cimport cell_table

cdef class RateTable:
    """A process's view of a table; one thread's. Times are CLOCK_MONOTONIC in ns, keys their fingerprint."""
    cdef object region                      # Mapping: keeps the mapping alive
    cdef cell_table table
    # ns to wait for one's turn (0: none), or negative: refused, with nothing changed; -n: not in n ns any more, NEVER.
    # ``emission_ns`` is cost / rate, ``tolerance_ns`` burst / rate; a negative tolerance lets nobody pass.
    cpdef int64_t charge(
        self, uint64_t fingerprint, int64_t now_ns, int64_t emission_ns, int64_t tolerance_ns) noexcept nogil
    # What ``charge`` would say; changes nothing.
    cpdef int64_t peek(
        self, uint64_t fingerprint, int64_t now_ns, int64_t emission_ns, int64_t tolerance_ns) noexcept nogil
    # Gives back what of a charge is still ahead of now; nobody waits behind it. ``arrival_ns`` is what the charge made of
    # the cell: its now + its wait + ``emission_ns``. False: nothing of it is left, or the cell was evicted.
    cpdef bint refund(
        self, uint64_t fingerprint, int64_t now_ns, int64_t emission_ns, int64_t arrival_ns) noexcept nogil
    # Gives back a turn. False: somebody has one behind it, or the cell was evicted.
    cpdef bint retract(self, uint64_t fingerprint, int64_t emission_ns, int64_t arrival_ns) noexcept nogil
    # Asks for the memory of a key that will be charged soon.
    cdef void prefetch(self, uint64_t fingerprint) noexcept nogil
