"""One limit on what is in flight at the same time, as one worker sees it."""

from libc.stdint cimport int64_t, uint32_t, uint64_t

from tidegate.memory.bells cimport Bells
from tidegate.memory.inflight cimport PermitTable, permit_asker, permit_counts, permit_rules

cdef class LimitBell:
    """The bell of one limit, and the slot of the worker that waits for it."""
    cdef readonly Bells bells
    cdef readonly uint32_t row
    cdef readonly uint32_t slot
    cdef void mark(self, unsigned class_) noexcept nogil
    cdef bint unmark(self, unsigned class_) noexcept nogil
    cdef void ring(self, unsigned class_) noexcept nogil

cdef class ConcurrencyLimit:
    # for good
    cdef readonly PermitTable table
    cdef readonly LimitBell bell
    cdef readonly object room               # WaitingRoom
    cdef uint64_t fingerprint
    cdef uint64_t waiting_fingerprint
    cdef tuple shares
    # changes with the limit
    cdef permit_rules rules
    cdef permit_rules places                # of the queue: as many as may wait on the machine
    # rows of this limit; -1: not claimed yet, or lost to another limit while nobody held anything
    cdef int64_t row
    cdef int64_t waiting_row
    # True: go on, and give back with ``release``. Takes no time beyond a look at the counts.
    cdef bint acquire_nowait(self, unsigned class_) noexcept nogil
    cdef void release(self, unsigned class_) noexcept nogil
    cdef bint acquire(self, unsigned class_, permit_asker asker) noexcept nogil
    cdef bint claim(self) noexcept nogil
    cdef permit_counts held(self) noexcept nogil
    cdef permit_counts waiting(self) noexcept nogil
    cdef void ring_next(self, bint has_freed) noexcept nogil
    cdef void left(self, unsigned class_) noexcept
