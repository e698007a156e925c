"""The bells that one worker waits for: marks that several waiting rooms of it share.

A mark in shared memory (``memory.bells``) is a worker's, and a worker may have several rooms at one row: of keys that fall on
it, and of a limit beside the one that a reload has put in its place. So the rooms are counted here, and the mark is taken back
with the last of them; or the others would wait for the timer.

A bell does not say for which row it was rung. Who hears it finds that out by the marks that are gone: the ringer has taken
them. One that was set again before anybody looked is remembered.

Where keys share a row, whoever frees something rings all who are marked there, as the next one might wait for another key.
"""

from libc.stdint cimport uint32_t, uint64_t

from tidegate.memory.atomics cimport load_seq
from tidegate.memory.bells cimport BELL_RANKS, BELL_ROWS, Bells


cdef class WorkerBells:
    """``slot``: of the worker."""

    def __cinit__(self, Bells bells not None, uint32_t slot):
        bells._check(0, 0, slot)
        self.bells = bells
        self.slot = slot

    cdef void begin(self, uint32_t row, unsigned rank) noexcept nogil:
        cdef uint32_t at = row * BELL_RANKS + rank
        # Not with `+=`: Cython's own checks of the sanitized build would want the lock of the interpreter for that.
        self.rooms[at] = self.rooms[at] + 1
        self.mark(row, rank)

    cdef void mark(self, uint32_t row, unsigned rank) noexcept nogil:
        cdef bint was_there = self.bells.mark(row, rank, self.slot)
        if self.is_marked[row * BELL_RANKS + rank] and not was_there:
            self.has_missed[row] = True
        self.is_marked[row * BELL_RANKS + rank] = True

    cdef bint end(self, uint32_t row, unsigned rank) noexcept nogil:
        cdef uint32_t at = row * BELL_RANKS + rank
        self.rooms[at] = self.rooms[at] - 1
        if self.rooms[at]:
            return self.is_there(row, rank)
        self.is_marked[at] = False
        return self.bells.unmark(row, rank, self.slot)

    cdef bint is_there(self, uint32_t row, unsigned rank) noexcept nogil:
        cdef uint64_t mask = load_seq(self.bells.mask(row, rank) + (self.slot >> 6))
        return mask >> (self.slot & 63) & 1

    cdef bint take_rung(self, uint32_t row) noexcept nogil:
        cdef bint found = self.has_missed[row]
        cdef unsigned rank
        self.has_missed[row] = False
        for rank in range(BELL_RANKS):
            if self.is_marked[row * BELL_RANKS + rank] and not self.is_there(row, rank):
                self.is_marked[row * BELL_RANKS + rank] = False
                found = True
        return found

    cdef void ring(self, uint32_t row, unsigned rank) noexcept nogil:
        if self.bells.ring_rank(row, rank) < 0:
            self.bells.ring(row)

    cdef void ring_everybody(self, uint32_t row) noexcept nogil:
        cdef uint32_t turn
        for turn in range(BELL_RANKS * self.bells.slots):   # not for ever: who is rung may wait again at once
            if self.bells.ring(row) < 0:
                break

    # For tests and for Python that stands beside the request path.

    def heard(self, uint32_t row) -> bool:
        """Whether the bell of ``row`` was rung since this was asked last."""
        self.bells._check(row, 0, self.slot)
        return self.take_rung(row)

    def __repr__(self):
        return f"<WorkerBells of slot {self.slot}: {sum([1 for count in self.rooms if count])} marked>"


cdef class LimitBell:
    """``row``: which bell; ``is_shared``: other keys have it too."""

    def __cinit__(self, WorkerBells worker not None, uint32_t row, bint is_shared=False):
        worker.bells._check(row, 0, worker.slot)
        self.worker = worker
        self.row = row
        self.is_shared = is_shared

    cdef void begin(self, unsigned rank) noexcept nogil:
        self.worker.begin(self.row, rank)

    cdef void mark(self, unsigned rank) noexcept nogil:
        self.worker.mark(self.row, rank)

    cdef bint end(self, unsigned rank) noexcept nogil:
        return self.worker.end(self.row, rank)

    cdef void ring(self, unsigned rank) noexcept nogil:
        if self.is_shared:
            self.worker.ring_everybody(self.row)
        else:
            self.worker.ring(self.row, rank)

    def __repr__(self):
        return f"<LimitBell {self.row} of slot {self.worker.slot}>"
