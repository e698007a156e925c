"""What control knows of each endpoint, as one word that workers read on each pick."""

from libc.stdint cimport uint32_t, uint64_t

from tidegate.memory.atomics cimport load_acquire

cdef enum:
    HEALTH_WORDS = 4096                     # endpoints there is room for

cdef class HealthReader:
    """The workers' view. Whoever keeps ``words`` keeps this beside it."""
    cdef object region                      # Mapping: keeps the mapping alive
    cdef const uint64_t* words
    # State of endpoint ``number``; 0, "nothing is known", for one there is no word for. One load.
    cdef inline uint32_t state(self, uint32_t number) noexcept nogil:
        return <uint32_t>load_acquire(self.words + number) if number < HEALTH_WORDS else 0

cdef class HealthWriter:
    """Control's view: the one that was made last is the one that writes."""
    cdef object region
    cdef uint64_t* words
    cdef readonly uint32_t term
    cdef bint put(self, uint32_t number, uint32_t state) noexcept nogil
