"""How a process that waits for something shared learns that it may be free: bells.

What can be waited for (a limit's permits, a fetch under way) has a row: for each rank of importance a mask with one bit
a worker slot. Each slot has an eventfd, which its worker polls.

Rules:

1. Who is about to wait marks its slot, tries once more, and only then waits. Who frees something stores that first and
   looks at the masks after, both sequentially consistent: one of the two sees the other.
2. Who frees rings one slot: it takes the bit of the next one in turn, the most important rank first, and rings if it
   was the one who took it. One system call, and none when nobody waits. A slot that is stopped is rung once and then
   no more, as its bit is gone.
3. A bell is a hint. Who hears it marks its slot anew while more of its own wait, and tries by the rule of what it
   waits for; nothing is handed over, so nothing is lost with a process.
4. Who stops waiting takes its bit back. If it is gone, a bell was rung that this slot does not need: it rings on.
5. A bell can be lost: its ringer died between taking the bit and ringing, or the slot that was rung died or is
   stopped. Whoever waits tries again after ``BELL_TIMER_MS`` in any case.
6. The supervisor takes the bits of a dead slot back before its successor starts.

The protocol is searched exhaustively in ``tests/memory/test_bells_model.py``, and by real processes killed and stopped in
``tests/memory/test_bells_killed.py``.
"""

from libc.errno cimport EINTR, errno
from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from posix.unistd cimport write

from tidegate.memory.atomics cimport fetch_and_seq, fetch_or_seq, load_relaxed, load_seq, store_relaxed
from tidegate.memory.mapping cimport Mapping

import os

cdef extern from *:
    int __builtin_ctzll(unsigned long long value) nogil

BELL_TIMER_MS = 10
"""How long a waiter waits for a bell before it tries without one."""

ROWS = BELL_ROWS
"""Things that can be waited for."""

RANKS = BELL_RANKS
"""Ranks of importance; 0 is rung first."""


cdef uint32_t words_of(uint32_t slots) noexcept nogil:
    return (slots + 63) // 64


cdef uint32_t stride_of(uint32_t slots) noexcept nogil:
    # The slot rung last, then the masks; in whole cache lines.
    return (1 + BELL_RANKS * words_of(slots) + 7) // 8 * 8


def bells_size(uint32_t slots) -> int:
    """Bytes of the section for so many worker slots."""
    return BELL_ROWS * stride_of(slots) * 8


def make_descriptors(uint32_t slots) -> list[int]:
    """An eventfd for each worker slot; closed on exec, pass them on by number."""
    return [os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK) for _ in range(slots)]


cdef class Bells:
    """All bells as this process knows them: ``descriptors`` has one eventfd a worker slot; none: it rings nobody."""

    def __cinit__(self, Mapping mapping, descriptors=()):
        cdef uint32_t i
        if mapping.part_size("bells") < bells_size(mapping.slots):
            raise ValueError("the region's section 'bells' is too small for this program")
        if descriptors and len(descriptors) != mapping.slots:
            raise ValueError(f"expected an eventfd for each of {mapping.slots} slots, got {len(descriptors)}")
        self.descriptors = <int*>malloc(mapping.slots * sizeof(int))
        if self.descriptors == NULL:
            raise MemoryError
        for i in range(mapping.slots):
            self.descriptors[i] = descriptors[i] if descriptors else -1
        self.region = mapping
        self.base = <uint64_t*>mapping.part("bells", 0)
        self.slots = mapping.slots
        self.words = words_of(self.slots)
        self.stride = stride_of(self.slots)

    def __dealloc__(self):
        free(self.descriptors)

    cdef uint64_t* mask(self, uint32_t row, uint32_t rank) noexcept nogil:
        return self.base + <uint64_t>row * self.stride + 1 + rank * self.words

    cdef bint mark(self, uint32_t row, uint32_t rank, uint32_t slot) noexcept nogil:
        cdef uint64_t bit = <uint64_t>1 << (slot & 63)
        return fetch_or_seq(self.mask(row, rank) + (slot >> 6), bit) & bit != 0

    cdef bint unmark(self, uint32_t row, uint32_t rank, uint32_t slot) noexcept nogil:
        cdef uint64_t bit = <uint64_t>1 << (slot & 63)
        return fetch_and_seq(self.mask(row, rank) + (slot >> 6), ~bit) & bit != 0

    cdef int ring(self, uint32_t row) noexcept nogil:
        cdef uint64_t* masks = self.base + <uint64_t>row * self.stride + 1
        cdef uint32_t at
        cdef int slot
        for at in range(BELL_RANKS * self.words):       # mostly nobody waits, and that is all there is to it
            if load_seq(masks + at):
                slot = self.ring_rank(row, at // self.words)
                if slot >= 0:
                    return slot
        return -1

    cdef int ring_rank(self, uint32_t row, uint32_t rank) noexcept nogil:
        cdef uint64_t* latest = self.base + <uint64_t>row * self.stride
        cdef uint64_t one = 1
        cdef int slot = self.take(self.mask(row, rank), (<uint32_t>load_relaxed(latest) + 1) % self.slots)
        if slot >= 0:
            store_relaxed(latest, slot)     # of two at once one is forgotten: the turn is fair enough
            # A full counter is readable already. Any other failure is a bell that was lost.
            while self.descriptors[slot] >= 0 and write(self.descriptors[slot], &one, 8) < 0 and errno == EINTR:
                pass
        return slot

    cdef int take(self, uint64_t* mask, uint32_t begin) noexcept nogil:
        # Takes the bit of the next slot in turn out of a mask, ``begin`` first; -1: there is none.
        cdef uint32_t turn, at
        cdef uint64_t there, bit
        # The word of ``begin`` comes twice: first what is at and behind it, at last what is before.
        for turn in range(self.words + 1):
            at = ((begin >> 6) + turn) % self.words
            while True:
                there = load_seq(mask + at)
                if turn == 0:
                    there &= ~<uint64_t>0 << (begin & 63)
                elif turn == self.words:
                    there &= (<uint64_t>1 << (begin & 63)) - 1
                if there == 0:
                    break
                bit = there & (~there + 1)
                if fetch_and_seq(mask + at, ~bit) & bit:
                    return <int>(at * 64) + __builtin_ctzll(bit)
        return -1

    cdef void clear(self, uint32_t slot) noexcept nogil:
        cdef int row, rank
        cdef uint64_t bit = <uint64_t>1 << (slot & 63)
        for row in range(BELL_ROWS):
            for rank in range(BELL_RANKS):
                if load_seq(self.mask(row, rank) + (slot >> 6)) & bit:
                    self.unmark(row, rank, slot)

    # The same for Python code off the request path.

    def begin_waiting(self, uint32_t row, uint32_t rank, uint32_t slot) -> None:
        """Marks ``slot`` as waiting; then try once more before waiting for the bell."""
        self._check(row, rank, slot)
        self.mark(row, rank, slot)

    def end_waiting(self, uint32_t row, uint32_t rank, uint32_t slot) -> bool:
        """Takes the mark back; False: it was rung meanwhile, so ring on unless the bell is used."""
        self._check(row, rank, slot)
        return self.unmark(row, rank, slot)

    def ring_next(self, uint32_t row, uint32_t times = 1) -> int | None:
        """Rings ``times`` times; the slot that was rung last, None when nobody waited."""
        cdef int slot = -1
        cdef uint32_t i
        self._check(row, 0, 0)
        with nogil:
            for i in range(times):
                slot = self.ring(row)
        return None if slot < 0 else slot

    def ring_all(self) -> None:
        """Rings everybody who waits for anything: a process died, and who knows what it held."""
        cdef uint32_t row, turn
        with nogil:
            for row in range(BELL_ROWS):
                for turn in range(BELL_RANKS * self.slots):     # not for ever: who is rung may wait again at once
                    if self.ring(row) < 0:
                        break

    def waiting(self, uint32_t row) -> list[tuple[int, int]]:
        """(rank, slot) of all that are marked, the most important first."""
        self._check(row, 0, 0)
        return [
            (rank, slot)
            for rank in range(BELL_RANKS)
            for slot in range(self.slots)
            if load_seq(self.mask(row, rank) + (slot >> 6)) >> (slot & 63) & 1
        ]

    def forget(self, uint32_t slot) -> None:
        """Takes all marks of a dead slot back; the supervisor's, before a successor starts."""
        self._check(0, 0, slot)
        self.clear(slot)

    def _check(self, uint32_t row, uint32_t rank, uint32_t slot):
        if row >= BELL_ROWS or rank >= BELL_RANKS or slot >= self.slots:
            raise IndexError(f"there is no bell for row {row}, rank {rank}, slot {slot}")

    def __repr__(self):
        return f"<Bells of {self.slots} slots>"
