"""Where a worker's loop is: in which callback, since when, and in whose code. One writer, two words, read from outside."""

from libc.stdint cimport uint32_t, uint64_t

from tidegate.memory.atomics cimport load_relaxed, store_release

cdef enum:
    MARK_WORD = 16              # of a slot's part of "marks": a cache line of its own
    SINCE = 0                   # offsets from there; 0: in no callback
    PLACE = 1                   # 0: the gateway's own code

cdef enum Phase:                # in the order of PHASE_NAMES
    NO_PHASE = 0
    ON_REQUEST
    ON_REQUEST_BODY
    ON_RESPONSE
    ON_RESPONSE_BODY
    ON_FINISH

cdef class Mark:
    """The writer's end. ``words`` is never NULL: without a slot it is memory of its own, so nobody asks on the way."""
    cdef object region                      # Mapping: keeps what ``words`` points to
    cdef uint64_t* words
    cdef uint64_t[2] own

# A callback begins: it is the gateway's own until ``step_into`` says otherwise. ``now_ns`` is CLOCK_MONOTONIC and differs from
# one callback to the next.
cdef inline void enter(uint64_t* words, uint64_t now_ns) noexcept nogil:
    store_release(words + <int>PLACE, 0)
    store_release(words + <int>SINCE, now_ns)

# It has ended.
cdef inline void leave(uint64_t* words) noexcept nogil:
    store_release(words + <int>SINCE, 0)

# The code of ``place`` begins; returns where it was called from, which ``step_out`` takes back.
cdef inline uint64_t step_into(uint64_t* words, uint64_t place) noexcept nogil:
    cdef uint64_t outer = load_relaxed(words + <int>PLACE)
    store_release(words + <int>PLACE, place)
    return outer

cdef inline void step_out(uint64_t* words, uint64_t outer) noexcept nogil:
    store_release(words + <int>PLACE, outer)

cdef uint64_t pack_place(int phase, uint32_t filter, uint32_t route, uint64_t snapshot) noexcept nogil

cdef class MarkReader:
    """The reader's end of all slots."""
    cdef object region
    cdef readonly uint32_t slots
