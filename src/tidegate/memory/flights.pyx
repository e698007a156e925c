"""Who fetches a key for all processes of the machine: one flight a key, and its leader.

A flight is a cell of ``cells.h``, and to lead is to charge it: the rate of one that may be charged once, for as long as
the lease lasts. So the protocol is that of limits, with all that is known of it: two processes that meet a new key at
once end on one cell, nobody waits for anybody, and who was stopped or killed between two instructions holds nobody up.

Rules:

1. A cell says until when its key is led, and the ten lowest bits of that time are the leader's slot. A flight is known
   by it: one of another slot says another slot, and the next of the same slot begins after this one has landed, or after
   that time.
2. Who lands swaps that very time for one that is over. A leader whose lease has ended, because it was slow or stopped,
   finds another time there and changes nothing.
3. What a dead worker led is over as soon as the supervisor has reaped it (``forget``), and in any case with the lease.
4. Whoever may not lead looks again, after a bounded time, and may lead then. Nothing is handed over: who follows is
   never told that he leads, he finds out.

A full set gives up the flight that ends first, and counts it: that key is then fetched twice. There is room for more
flights than a machine has in the air at once.
"""

cimport cython
from libc.stdint cimport int64_t, uint32_t, uint64_t

from tidegate.memory.atomics cimport load_relaxed
from tidegate.memory.cells cimport CELLS_A_SET, cell, cells_are_supported, rate_charge, rate_peek, rate_retract, table_size
from tidegate.memory.mapping cimport Mapping
from tidegate.memory.tables cimport view_table

from tidegate.memory.layout import SLOTS_MAX

cdef extern from "tidegate/memory/cells.h" nogil:
    cell cell_swap(cell* at, cell seen, cell wanted) noexcept
    bint cell_equals(cell one, cell other) noexcept
    bint cell_is_announced(cell c) noexcept
    uint64_t cell_word(const uint64_t* word) noexcept

cdef enum:
    SETS = 1024
    SLOT_BITS = 10

cdef uint64_t SLOT_MASK = (<uint64_t>1 << SLOT_BITS) - 1

FLIGHTS = SETS * CELLS_A_SET
"""Flights that there is room for."""

assert SLOTS_MAX <= 1 << SLOT_BITS


def flights_size() -> int:
    """Bytes of the section; 0 on a machine that cannot compare and swap 16 bytes at once."""
    return table_size(SETS) if cells_are_supported() else 0


@cython.final
cdef class FlightTable:
    """The flights of the machine as the worker in ``slot`` sees them."""

    def __cinit__(self, Mapping mapping not None, uint32_t slot):
        if slot >= mapping.slots:
            raise IndexError(f"the region has {mapping.slots} slots, there is no slot {slot}")
        self.table = view_table(mapping, "flights", 0, SETS)
        self.region = mapping
        self.slot = slot

    cpdef int64_t lead(self, uint64_t fingerprint, int64_t now_ns, int64_t lease_ns) noexcept nogil:
        """Until when this slot leads the key, by which the flight is known; 0: somebody leads it already."""
        cdef int64_t until = <int64_t>((<uint64_t>(now_ns + max(lease_ns, <int64_t>1_000_000)) & ~SLOT_MASK) | self.slot)
        return until if rate_charge(&self.table, fingerprint, now_ns, until - now_ns, 0) == 0 else 0

    cpdef bint land(self, uint64_t fingerprint, int64_t until_ns) noexcept nogil:
        """Ends the flight that is known by ``until_ns``; False: it has ended before, with its lease or its worker."""
        return rate_retract(&self.table, fingerprint, until_ns - 1, until_ns)

    cpdef bint is_flying(self, uint64_t fingerprint, int64_t now_ns) noexcept nogil:
        """Whether somebody leads this key."""
        return rate_peek(&self.table, fingerprint, now_ns, 0, 0) != 0

    def forget(self, uint32_t slot, int64_t now_ns) -> int:
        """Ends all flights of a dead worker and returns how many there were; the supervisor's, once it is reaped."""
        cdef uint32_t at
        cdef int ended = 0
        cdef cell seen
        cdef cell over
        for at in range(SETS * CELLS_A_SET):
            while True:
                seen.key = cell_word(&self.table.cells[at].key)
                seen.used = cell_word(&self.table.cells[at].used)
                if cell_is_announced(seen) or <int64_t>seen.used <= now_ns or seen.used & SLOT_MASK != slot:
                    break
                over.key, over.used = seen.key, 1
                if cell_equals(cell_swap(&self.table.cells[at], seen, over), seen):
                    ended += 1
                    break
        return ended

    def flying(self, int64_t now_ns) -> int:
        """How many flights are in the air."""
        cdef uint32_t at
        cdef int count = 0
        cdef cell seen
        for at in range(SETS * CELLS_A_SET):
            seen.used = cell_word(&self.table.cells[at].used)
            count += not cell_is_announced(seen) and <int64_t>seen.used > now_ns
        return count

    @property
    def evictions(self) -> int:
        """Flights that were given up for want of room."""
        return load_relaxed(&self.table.header.evictions)

    def __repr__(self):
        return f"<FlightTable of slot {self.slot}>"
