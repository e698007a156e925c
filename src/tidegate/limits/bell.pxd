"""The bells that one worker waits for."""

from libc.stdint cimport uint8_t, uint32_t

from tidegate.memory.bells cimport BELL_RANKS, BELL_ROWS, Bells

cdef class WorkerBells:
    """Of all rows, as the worker in one slot marks and rings them."""
    cdef readonly Bells bells
    cdef readonly uint32_t slot
    cdef uint32_t[BELL_ROWS * BELL_RANKS] rooms         # that have somebody waiting
    cdef uint8_t[BELL_ROWS * BELL_RANKS] is_marked      # as far as this worker knows: a ringer takes the mark
    cdef uint8_t[BELL_ROWS] has_missed                  # was rung and marked anew before anybody looked
    cdef void begin(self, uint32_t row, unsigned rank) noexcept nogil          # a room has somebody waiting
    cdef void mark(self, uint32_t row, unsigned rank) noexcept nogil           # … and still has
    cdef bint end(self, uint32_t row, unsigned rank) noexcept nogil            # … and has not. False: it was rung meanwhile
    cdef bint is_there(self, uint32_t row, unsigned rank) noexcept nogil       # whether it is marked, and was not rung
    cdef bint take_rung(self, uint32_t row) noexcept nogil     # whether it was rung since the last time
    cdef void ring(self, uint32_t row, unsigned rank) noexcept nogil
    cdef void ring_everybody(self, uint32_t row) noexcept nogil

cdef class LimitBell:
    """The bell of one waiting room."""
    cdef readonly WorkerBells worker
    cdef readonly uint32_t row
    cdef readonly bint is_shared
    cdef void begin(self, unsigned rank) noexcept nogil
    cdef void mark(self, unsigned rank) noexcept nogil
    cdef bint end(self, unsigned rank) noexcept nogil
    cdef void ring(self, unsigned rank) noexcept nogil
