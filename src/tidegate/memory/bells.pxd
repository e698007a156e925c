"""Who waits for what, and how to wake the next of them: a mask of waiting worker slots, and an eventfd each."""

from libc.stdint cimport uint32_t, uint64_t

cdef enum:
    BELL_ROWS = 256         # things that can be waited for
    BELL_RANKS = 4        # 0 is rung first

cdef class Bells:
    """A process's view of all bells."""
    cdef object region                      # Mapping: keeps the mapping alive
    cdef uint64_t* base
    cdef int* descriptors                   # eventfd of each slot; -1: not known here
    cdef readonly uint32_t slots
    cdef uint32_t words                     # of a mask
    cdef uint32_t stride                    # words of a row
    cdef uint64_t* mask(self, uint32_t row, uint32_t rank) noexcept nogil
    # Before the last try of somebody who is about to wait. Then try again; then wait for the bell, BELL_TIMER_MS at most.
    # True: it was marked already.
    cdef bint mark(self, uint32_t row, uint32_t rank, uint32_t slot) noexcept nogil
    # When nobody here waits any more. False: a bell was rung for us meanwhile; unless it is used, ring on.
    cdef bint unmark(self, uint32_t row, uint32_t rank, uint32_t slot) noexcept nogil
    # After something was freed by a sequentially consistent store: rings one waiting slot and returns it; -1: nobody waits.
    cdef int ring(self, uint32_t row) noexcept nogil
    cdef int ring_rank(self, uint32_t row, uint32_t rank) noexcept nogil       # the same, of one rank only
    cdef int take(self, uint64_t* mask, uint32_t begin) noexcept nogil
    cdef void clear(self, uint32_t slot) noexcept nogil
