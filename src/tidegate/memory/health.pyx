"""One word an endpoint: control writes what it knows, workers read it with one load on each pick.

Rules:

1. A word is the term of its writer (upper half) and the state of the endpoint (lower half); 0: nothing is known yet.
2. Each control that begins takes the next term and stamps it on every word, states unchanged. Then it is the writer.
3. A word is changed only by compare-and-swap from a term that is not later than one's own. So a control that was
   stopped, replaced and let go again finds later terms wherever it writes, and writes nothing.
4. A reader takes the lower half. A writer that dies leaves every state as it was, for the next one to go on from.

What a state means, and which endpoint has which number, is agreed by those who use this. The protocol is searched
exhaustively in ``tests/memory/test_health_model.py``.
"""

from libc.stdint cimport uint32_t, uint64_t

from tidegate.memory.atomics cimport compare_swap, fetch_add_seq, load_acquire, load_seq
from tidegate.memory.mapping cimport Mapping

cdef enum:
    TERM_AT = 0
    WORDS_AT = 8            # in words: the term has a cache line of its own

ENDPOINTS_MAX = HEALTH_WORDS
"""Endpoints there are words for."""

HEALTH_SIZE = (WORDS_AT + HEALTH_WORDS) * 8


cdef uint64_t* words_of(Mapping mapping) except NULL:
    if mapping.part_size("health") < HEALTH_SIZE:
        raise ValueError("the region's section 'health' is too small for this program")
    return <uint64_t*>mapping.part("health", 0)


cdef class HealthReader:
    def __cinit__(self, Mapping mapping):
        self.words = words_of(mapping) + <int>WORDS_AT
        self.region = mapping

    def read(self, uint32_t number, uint32_t times = 1) -> int:
        """State of endpoint ``number``, read ``times`` times; 0 when nothing is known of it."""
        cdef uint32_t i, found = 0
        with nogil:
            for i in range(times):
                found = self.state(number)
        return found


cdef class HealthWriter:
    """Making one takes over: whoever wrote before writes no more."""

    def __cinit__(self, Mapping mapping):
        cdef uint64_t* section = words_of(mapping)
        cdef uint64_t was
        cdef int i
        self.region = mapping
        self.words = section + <int>WORDS_AT
        self.term = <uint32_t>(fetch_add_seq(section + <int>TERM_AT, 1) + 1)
        for i in range(HEALTH_WORDS):
            was = load_seq(self.words + i)
            while was >> 32 < self.term:
                if compare_swap(self.words + i, was, <uint64_t>self.term << 32 | was & 0xFFFFFFFF):
                    break
                was = load_seq(self.words + i)

    cdef bint put(self, uint32_t number, uint32_t state) noexcept nogil:
        cdef uint64_t was
        if number >= HEALTH_WORDS:
            return False
        was = load_seq(self.words + number)
        while was >> 32 <= self.term:
            if compare_swap(self.words + number, was, <uint64_t>self.term << 32 | state):
                return True
            was = load_seq(self.words + number)
        return False

    def publish(self, uint32_t number, uint32_t state) -> bool:
        """Stores what is known of endpoint ``number``; False: a later control has taken over, and nothing was stored.

        Raises ``IndexError`` for an endpoint there is no word for.
        """
        if number >= HEALTH_WORDS:
            raise IndexError(f"the region has words for {ENDPOINTS_MAX} endpoints, there is no endpoint {number}")
        return self.put(number, state)

    def __repr__(self):
        return f"<HealthWriter term {self.term}>"
