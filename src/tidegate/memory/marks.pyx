"""Where a worker's loop is, for those who look at it from outside.

Two words of the worker's slot: ``since``, the time at which the callback began that it is in (0: none), and ``place``, whose
code runs (0: the gateway's own, else phase, filter, route and snapshot packed into one word). Rules:

1. One writer, plain stores, no clock of its own: a callback of the reactor has read it already.
2. ``place`` says the gateway's own whenever ``since`` changes, and changes only within a callback. So a place that is read
   between two equal, non-zero readings of ``since`` belongs to that callback (``tests/memory/marks_model.py``).
3. A reader that finds ``since`` different each time stops after a few tries: such a worker is getting on.
4. A worker that dies leaves its mark behind; the supervisor wipes it before a successor starts. One that is stopped leaves it
   as it is, which is what it is there for.
"""

from libc.stdint cimport uint32_t, uint64_t

from tidegate.memory.atomics cimport load_acquire, store_release
from tidegate.memory.mapping cimport Mapping

from typing import NamedTuple

cdef enum:
    TRIES = 8
    FILTER_BITS = 16
    ROUTE_BITS = 24
    SNAPSHOT_BITS = 16

PHASE_NAMES = ("", "on_request", "on_request_body", "on_response", "on_response_body", "on_finish")
"""Of the phases in a place."""

FILTERS_MAX = 1 << FILTER_BITS
ROUTES_MAX = 1 << ROUTE_BITS
SNAPSHOTS_APART = 1 << SNAPSHOT_BITS
"""Snapshots that far apart have the same number in a place."""


class Place(NamedTuple):
    """Whose code: ``phase`` is an index into ``PHASE_NAMES``, 0 for the gateway's own."""

    phase: int
    filter: int
    route: int
    snapshot: int


class MarkReading(NamedTuple):
    """A mark as it was at one moment; both 0 between two callbacks."""

    since_ns: int
    place: int


cdef uint64_t pack_place(int phase, uint32_t filter, uint32_t route, uint64_t snapshot) noexcept nogil:
    return (
        <uint64_t>phase | <uint64_t>(filter & 0xFFFF) << 8 | <uint64_t>(route & 0xFFFFFF) << 24 | (snapshot & 0xFFFF) << 48
    )


def place_word(int phase, uint32_t filter_index, uint32_t route, uint64_t snapshot) -> int:
    """The word of a place."""
    return pack_place(phase, filter_index, route, snapshot)


def read_place(uint64_t word) -> Place:
    """What a word says."""
    return Place(word & 0xFF, word >> 8 & 0xFFFF, word >> 24 & 0xFFFFFF, word >> 48)


cdef class Mark:
    """The mark of worker slot ``slot``; without a region it marks where nobody looks."""

    def __cinit__(self, Mapping mapping=None, uint32_t slot=0):
        self.words = self.own
        if mapping is not None:
            self.region = mapping
            self.words = <uint64_t*>mapping.part("marks", slot) + <int>MARK_WORD

    # For tests, and code that is not on the way of a request.

    def enter(self, uint64_t now_ns) -> None:
        """A callback begins."""
        enter(self.words, now_ns)

    def leave(self) -> None:
        """It has ended."""
        leave(self.words)

    def step_into(self, uint64_t place) -> int:
        """The code of ``place`` begins; what is returned is for ``step_out``."""
        return step_into(self.words, place)

    def step_out(self, uint64_t outer) -> None:
        """It has ended."""
        step_out(self.words, outer)

    def read(self) -> MarkReading:
        """As it is now."""
        return _read(self.words)

    def __repr__(self):
        return f"<Mark since={self.words[<int>SINCE]} {read_place(self.words[<int>PLACE])}>"


cdef class MarkReader:
    """Reads the marks of all slots of a region."""

    def __cinit__(self, Mapping mapping not None):
        self.region = mapping
        self.slots = mapping.slots

    def read(self, uint32_t slot) -> MarkReading:
        """The mark of a slot; the callback it names was under way in its place at some moment of this call.

        A worker that goes from callback to callback too fast to be read is told with the latest and no place.
        """
        return _read(<uint64_t*>(<Mapping>self.region).part("marks", slot) + <int>MARK_WORD)

    def wipe(self, uint32_t slot) -> None:
        """For a slot that nobody is in."""
        cdef uint64_t* words = <uint64_t*>(<Mapping>self.region).part("marks", slot) + <int>MARK_WORD
        store_release(words + <int>SINCE, 0)
        store_release(words + <int>PLACE, 0)


cdef object _read(const uint64_t* words):
    cdef uint64_t place = 0
    cdef uint64_t since = load_acquire(words + <int>SINCE)
    cdef uint64_t again
    cdef int tried
    for tried in range(TRIES):
        if since == 0:
            return MarkReading(0, 0)
        place = load_acquire(words + <int>PLACE)
        again = load_acquire(words + <int>SINCE)
        if again == since:
            return MarkReading(since, place)
        since = again
    return MarkReading(since, 0)
