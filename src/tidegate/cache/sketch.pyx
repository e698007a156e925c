"""How often keys have been asked for of late, of any number of keys in a few bytes.

A count-min sketch of small counters that are all halved after so many events, which is how TinyLFU forgets (Einziger,
Friedman, Manes, "TinyLFU: A Highly Efficient Cache Admission Policy", ACM ToS 2017). It never counts too little; too
much only when keys share all four of their counters with others.

Compiled because each value that is fetched is counted here, and asked for again when it is to make room.
"""

from cpython.mem cimport PyMem_Calloc, PyMem_Free
from libc.stdint cimport uint8_t, uint64_t

cdef enum:
    ROWS = 4
    MOST = 15

cdef uint64_t[4] SEEDS = [0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0xD6E8FEB86659FD93]


cdef class Sketch:
    """Counts up to fifteen for each key.

    Args:
        bits: Two to that many counters in each of four rows. All are halved after a fourth as many events, so that
            most counters are 0 and two keys seldom look like one.
    """

    def __cinit__(self, int bits=15):
        if not 2 <= bits <= 30:
            raise ValueError(f"expected 2 to 30 bits, got {bits}")
        self.shift = 64 - bits
        self.size = <uint64_t>1 << bits
        self.period = self.size >> 2
        self.counters = <uint8_t*>PyMem_Calloc(ROWS, self.size)
        if self.counters == NULL:
            raise MemoryError

    def __dealloc__(self):
        PyMem_Free(self.counters)

    def count(self, key):
        """One more event of ``key``."""
        cdef uint64_t mixed = <uint64_t>hash(key), i
        cdef uint8_t* counter
        for i in range(ROWS):
            counter = self.counters + i * self.size + (mixed * SEEDS[i] >> self.shift)
            if counter[0] < MOST:
                counter[0] += 1
        self.events += 1
        if self.events >= self.period:
            self.events >>= 1
            for i in range(ROWS * self.size):
                self.counters[i] >>= 1

    def estimate(self, key) -> int:
        """How many events of ``key`` there were of late, at least."""
        cdef uint64_t mixed = <uint64_t>hash(key), i
        cdef uint8_t least = MOST
        for i in range(ROWS):
            least = min(least, self.counters[i * self.size + (mixed * SEEDS[i] >> self.shift)])
        return least

    def __repr__(self):
        return f"<Sketch of {self.size} counters, {self.events} of {self.period} events>"
