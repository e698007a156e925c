"""What was invalidated, as numbers that change: workers see at once that a copy of theirs is no longer good.

Rules:

1. Every name that can be invalidated has a slot by its hash; names that share one are invalidated together, which costs
   a fetch and is never wrong.
2. Whoever fetches notes the numbers of all slots that concern it *before* the fetch begins. The copy is good as long as
   they are the same. So what was invalidated while its fetch was under way is not good when it comes.
3. To invalidate is to store another number in the slot, and then to count up the epoch. A reader compares the epoch only,
   and the slots once when it has changed: it reads the epoch first, so that a change that it may have missed leaves
   an older epoch noted, and is looked for again.
4. To stamp a number that is there already changes nothing: what several workers hear of the same invalidation costs one.

Nothing waits for anybody. One that dies between number and epoch has not invalidated anything yet, and has told nobody
that it had. Modelled in ``tests/memory/test_generations_model.py``.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport uint64_t

from tidegate.memory.atomics cimport compare_swap, fetch_add_seq, load_acquire, load_seq, store_release

cdef enum:
    VERSION_AT = 1                          # in words
    SLOTS_AT = 8
    SLOT_COUNT = 16384

GENERATION_SLOTS = SLOT_COUNT
"""How many slots there are."""

GENERATIONS_SIZE = (SLOTS_AT + SLOT_COUNT) * 8
"""Bytes of the table."""


cdef class Generations:
    """buffer: writable memory of ``GENERATIONS_SIZE`` bytes, zero at first, that all who look at it share."""

    def __cinit__(self, buffer):
        PyObject_GetBuffer(buffer, &self.view, PyBUF_SIMPLE | PyBUF_WRITABLE)
        if self.view.len < (SLOTS_AT + SLOT_COUNT) * 8:
            PyBuffer_Release(&self.view)
            raise ValueError(f"expected {GENERATIONS_SIZE} bytes for generations, got {len(buffer)}")
        self.words = <uint64_t*>self.view.buf

    def __dealloc__(self):
        if self.words != NULL:
            PyBuffer_Release(&self.view)

    def current_epoch(self) -> int:
        """Changes whenever something is invalidated."""
        return self.epoch()

    def read(self, slots) -> tuple:
        """The numbers in these slots."""
        return tuple([load_acquire(self.words + <int>SLOTS_AT + self.checked(slot)) for slot in slots])

    def hold(self, tuple slots not None, tuple marks not None) -> bool:
        """Whether these numbers are what is in these slots: as `read` would find them, without making them anew."""
        cdef Py_ssize_t i
        if len(slots) != len(marks):
            return False
        for i in range(len(slots)):
            if load_acquire(self.words + <int>SLOTS_AT + self.checked(slots[i])) != marks[i]:
                return False
        return True

    def stamp(self, slot: int, number: int) -> bool:
        """Invalidates what ``slot`` is about; False when this number stands there already."""
        cdef uint64_t* word = self.words + <int>SLOTS_AT + self.checked(slot)
        cdef uint64_t wanted = number
        cdef uint64_t was = load_seq(word)
        while was != wanted:
            if compare_swap(word, was, wanted):
                fetch_add_seq(self.words, 1)
                return True
            was = load_seq(word)
        return False

    @property
    def version(self) -> int:
        """A number for who keeps these: what has been heard of others until now."""
        return load_acquire(self.words + <int>VERSION_AT)

    @version.setter
    def version(self, number: int):
        store_release(self.words + <int>VERSION_AT, number)

    cdef Py_ssize_t checked(self, slot) except -1:
        cdef Py_ssize_t at = slot
        if not 0 <= at < SLOT_COUNT:
            raise IndexError(f"there is no slot {slot}")
        return at

    def __repr__(self):
        return f"<Generations, epoch {self.epoch()}>"
