"""One line a second about a kind of trouble from all processes together.

Eight workers that cannot reach an upstream each see thousands of failures; the operator wants one line. A cell holds a
kind and the latest second in which somebody wrote about it; storing a later second by compare-and-swap is the turn. The
others keep their counts and try in the next second. A process that dies after taking a turn costs one line.
"""

from libc.stdint cimport uint64_t

from tidegate.memory.atomics cimport compare_swap, load_seq
from tidegate.memory.mapping cimport Mapping

from zlib import crc32

cdef enum:
    CELLS = 256

TURNS_SIZE = CELLS * 16


cdef class Turns:
    def __cinit__(self, Mapping mapping):
        if mapping.part_size("turns") < TURNS_SIZE:
            raise ValueError("the region's section 'turns' is too small for this program")
        self.region = mapping
        self.cells = <uint64_t*>mapping.part("turns", 0)

    def take(self, kind: str, uint64_t second) -> bool:
        """True for the first caller, of all processes, that asks for this kind in this second or a later one."""
        cdef uint64_t name = crc32(kind.encode()) | 1 << 32    # never 0: that is a free cell
        cdef uint64_t at = name % CELLS
        cdef uint64_t there, last
        cdef int tried
        for tried in range(CELLS):
            there = load_seq(&self.cells[2 * at])
            if there == 0 and compare_swap(&self.cells[2 * at], 0, name):
                there = name
            elif there == 0:
                there = load_seq(&self.cells[2 * at])
            if there == name:
                last = load_seq(&self.cells[2 * at + 1])
                return last < second and compare_swap(&self.cells[2 * at + 1], last, second)
            at = (at + 1) % CELLS
        return True                 # more kinds than cells: rather too many lines than silence
