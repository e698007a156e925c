"""Permits to be in flight, counted for the whole machine so that no death leaves a ghost and no race exceeds a limit.

The section is blocks of rows. A row has a name (whose it is) and a cell for each worker slot; a cell is four counts of
16 bits, one for each class, and is changed only by the worker in the slot. An unkeyed limit is a table of one block
with one key, a keyed one a table of many; all blocks look the same, so that whoever still uses a row under an old
configuration harms nobody who was given the block by a new one.

Rules, each step one sequentially consistent access:

1. Acquire adds to the own cell, sums the row, and takes back what is over the limit. Of all who hold, the one that
   added last has seen the others: the limit is never exceeded. Who has taken back looks again before it is refused, and
   tries again if there is room: of two who only saw each other, the later one to look gets it.
2. A dead worker's cells are set to zero by the supervisor, after it was reaped and before a successor starts.
3. A row in use has the name of its key, "live". It is freed by name → "closing", sum, then free or restore. Acquire
   adds first and reads the name after: one of the two sees the other. Whoever wants a row that is being closed
   restores its name, and who restores one because its sum is not zero looks again after. The name while closing tells
   who closes, so that one who was slow cannot free what was restored and closed again by somebody else.
4. A key is announced in a free row before it is live: name → "announced" with the announcer, all rows the key may have
   are read again, and only then → "live". Of two announcements the one in the earlier place stays. One that is left
   (its process died or is stopped) is taken over by the next who wants that key.
5. Whoever takes the last permit back or gives it back frees the row; a row left empty by the dead is freed by the
   supervisor, or by the next who finds no free one.
6. A key has 16 rows to choose from, in two blocks of which it takes the emptier. When each is in use the request is
   refused and counted (``crowded``): more is not known of it. There are never more rows than requests in flight, so a
   table of twice as many does not fill up.

A limit whose requests may wait has a second row of the same shape that counts those who do, bounded in the same way.
With it permits are lent exactly: a class beyond its guarantee leaves what is owed to others who wait, and one who has
just come leaves room for those who came before, in all workers (``permit_fits``).

The rules are searched exhaustively in ``tests/memory/test_inflight_model.py``, each broken once; real processes are
killed and stopped in ``tests/memory/test_inflight_killed.py``.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t

from tidegate.memory.mapping cimport Mapping

from array import array

CLASSES = PERMIT_CLASSES
"""Classes that are counted apart; as many as there are ranks of bells."""

CELL_MAX = PERMIT_CELL_MAX
"""Permits of one class that one worker can hold of one row."""

NOBODY = PERMIT_NOBODY
"""In place of a worker slot: the supervisor, which holds nothing."""


cdef uint64_t words_of_block(uint32_t slots) noexcept nogil:
    return PERMIT_WAYS * (1 + <uint64_t>slots)


cdef uint64_t bytes_of_chunks(uint64_t blocks) noexcept nogil:
    return ((blocks + PERMIT_CHUNK - 1) // PERMIT_CHUNK + 63) // 64 * 64


def waiting_fingerprint(uint64_t fingerprint) -> int:
    """Under which those are counted who wait for permits of ``fingerprint``."""
    return permit_waiting_fingerprint(fingerprint)


def inflight_size(uint64_t blocks, uint32_t slots) -> int:
    """Bytes of a section with so many blocks of eight rows, for so many worker slots."""
    return bytes_of_chunks(blocks) + blocks * words_of_block(slots) * 8


cdef uint64_t blocks_in(uint64_t size, uint32_t slots) noexcept nogil:
    cdef uint64_t blocks = size // (words_of_block(slots) * 8)
    while blocks and bytes_of_chunks(blocks) + blocks * words_of_block(slots) * 8 > size:
        blocks -= 1
    return blocks


cdef class Inflight:
    """``slot``: of the worker that uses it; NOBODY for who only looks, or forgets the dead."""

    def __cinit__(self, Mapping mapping, uint32_t slot=PERMIT_NOBODY):
        if slot >= mapping.slots and slot != PERMIT_NOBODY:
            raise IndexError(f"the region has {mapping.slots} slots, there is no slot {slot}")
        self.blocks = blocks_in(mapping.part_size("inflight"), mapping.slots)
        self.region = mapping
        self.view.chunks = <unsigned char*>mapping.part("inflight", 0)
        self.view.blocks = <uint64_t*>(self.view.chunks + bytes_of_chunks(self.blocks))
        self.view.block_words = words_of_block(mapping.slots)
        self.view.slots = mapping.slots
        self.view.holder = slot

    cdef uint64_t forget_blocks(self, uint32_t slot) noexcept nogil:
        # Only where a row was ever used: reading the rest would take memory for it.
        cdef uint64_t freed = 0, chunk = 0, block
        while chunk * PERMIT_CHUNK < self.blocks:
            if self.view.chunks[chunk]:
                for block in range(chunk * PERMIT_CHUNK, min((chunk + 1) * PERMIT_CHUNK, self.blocks)):
                    freed += permit_forget(&self.view, block, slot)
            chunk += 1
        return freed

    def forget(self, uint32_t slot) -> int:
        """Gives back what a dead worker held everywhere, and its places in queues: how many of both together.

        The supervisor's, after the worker was reaped and before a successor starts.
        """
        if slot >= self.view.slots:
            raise IndexError(f"the region has {self.view.slots} slots, there is no slot {slot}")
        cdef uint64_t freed
        with nogil:
            freed = self.forget_blocks(slot)
        return freed

    def rows_in_use(self) -> int:
        """Rows that are not free."""
        cdef uint64_t row, used = 0
        with nogil:
            for row in range(self.blocks * PERMIT_WAYS):
                if self.view.chunks[row // (PERMIT_WAYS * PERMIT_CHUNK)] and permit_name(&self.view, <int64_t>row)[0]:
                    used += 1
        return used

    def rows_that_count(self) -> int:
        """Rows in which somebody holds a permit, or waits for one."""
        cdef uint64_t row, found = 0
        with nogil:
            for row in range(self.blocks * PERMIT_WAYS):
                if self.view.chunks[row // (PERMIT_WAYS * PERMIT_CHUNK)] and permit_name(&self.view, <int64_t>row)[0]:
                    found += permit_sum(&self.view, <int64_t>row).total != 0
        return found

    def __repr__(self):
        return f"<Inflight {self.blocks} blocks, {self.view.slots} slots>"


cdef class PermitTable:
    """``blocks``: a power of two of them, beginning with ``first_block``."""

    def __cinit__(self, Inflight inflight, uint64_t first_block, uint64_t blocks=1):
        if blocks == 0 or blocks & (blocks - 1) or blocks > 1 << 24:
            raise ValueError(f"a table has a power of two of blocks, not {blocks}")
        if first_block + blocks > inflight.blocks:
            raise IndexError(f"there are {inflight.blocks} blocks, none beyond: {first_block} + {blocks}")
        self.inflight = inflight
        self.view = &inflight.view
        self.table.first_block = first_block
        self.table.set_mask = blocks - 1

    cdef int64_t acquire(
        self, uint64_t fingerprint, uint64_t waiting, unsigned class_, const permit_rules* rules
    ) noexcept nogil:
        cdef int64_t row = permit_acquire_keyed(self.view, &self.table, fingerprint, waiting, class_, rules)
        if row == PERMIT_NO_ROOM:
            self.crowded = self.crowded + 1     # ``+=`` asks for the lock where Cython checks for None
        return row

    cdef void release(self, int64_t row, unsigned class_) noexcept nogil:
        permit_release_keyed(self.view, row, class_)

    cdef uint64_t held(self, uint64_t fingerprint) noexcept nogil:
        cdef int64_t row = permit_find(self.view, &self.table, fingerprint)
        return 0 if row < 0 else permit_sum(self.view, row).total

    # The same for Python code off the request path.

    def take(self, uint64_t fingerprint, uint64_t maximum, uint32_t class_=0) -> int | None:
        """A permit of the key: the row to give it back to, None when it is refused."""
        self._check(class_)
        cdef permit_rules rules
        rules.maximum = maximum
        rules.guarantee = [0, 0, 0, 0]
        cdef int64_t row = self.acquire(fingerprint, 0, class_, &rules)
        return None if row < 0 else row

    def give_back(self, int64_t row, uint32_t class_=0) -> None:
        """Ends a permit that this worker holds; nothing happens when it holds none of that class there."""
        self._check(class_)
        if not <int64_t>self.table.first_block <= row // PERMIT_WAYS <= <int64_t>(
            self.table.first_block + self.table.set_mask
        ):
            raise IndexError(f"row {row} is not in this table")
        self.release(row, class_)

    def cycle(self, fingerprints, uint64_t maximum, uint64_t times) -> int:
        """Takes a permit of each key in turn and gives it back at once, ``times`` in all; how many were refused."""
        self._check(0)
        cdef bytes packed = array("Q", fingerprints).tobytes()
        cdef const uint64_t* keys = <const uint64_t*><const char*>packed
        cdef uint64_t count = len(fingerprints), i, refused = 0
        cdef permit_rules rules
        cdef int64_t row
        rules.maximum = maximum
        rules.guarantee = [0, 0, 0, 0]
        with nogil:
            for i in range(times):
                row = self.acquire(keys[i % count], 0, 0, &rules)
                if row < 0:
                    refused += 1
                else:
                    self.release(row, 0)
        return refused

    def counts(self, uint64_t fingerprint) -> tuple[int, ...]:
        """Permits held of a key by all workers, by class."""
        cdef int64_t row = permit_find(self.view, &self.table, fingerprint)
        cdef permit_counts sum
        if row < 0:
            return (0,) * CLASSES
        sum = permit_sum(self.view, row)
        return tuple(sum.of[i] for i in range(PERMIT_CLASSES))

    def _check(self, uint32_t class_):
        if class_ >= PERMIT_CLASSES:
            raise IndexError(f"there are {CLASSES} classes, there is no class {class_}")
        if self.view.holder >= self.view.slots:
            raise ValueError("only a worker with a slot of its own can hold permits")

    def __repr__(self):
        return f"<PermitTable of {self.table.set_mask + 1} blocks from {self.table.first_block}>"
