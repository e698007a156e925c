"""Who asks most: for each series of a worker slot, the keys that lead in requests, refusals, upstream time or bytes."""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

cdef enum:                      # figures
    REQUESTS = 0
    REFUSALS
    UPSTREAM_NS
    BYTES
    FIGURES

cdef enum:                      # windows
    SHORT = 0                   # ten seconds
    LONG                        # ten minutes
    WINDOWS

cdef enum:
    HITTER_SETS = 8
    HITTER_WAYS = 8
    HITTERS_MAX = 64            # of a table
    HITTER_NAME = 84

cdef struct Panes:
    # A window is two panes of its length: the one that is filled, and the whole one before.
    uint64_t now[2][4]          # by window, figure
    uint64_t before[2][4]
    uint32_t epochs[2]          # number of the pane that is filled; 0: none ever was

cdef struct Hitter:
    # 256 bytes. What a reader copies is whole when its fingerprint is the same before and after.
    Panes panes
    float inherited[2][4]       # what the key before had when it gave way: for the choice who gives way next, never shown
    uint16_t name_size
    uint8_t spare[2]
    char name[84]

cdef struct HitterTable:
    Panes total                 # of all keys
    uint64_t spare[7]
    uint64_t fingerprints[64]   # 0: free; stored last
    Hitter hitters[64]

# Which panes are filled at that time, of both windows: the same for all series that a request is counted in.
cdef void epochs_at(uint64_t now_ns, uint32_t* epochs) noexcept nogil

cdef class Hitters:
    """The writer's view of its slot."""
    cdef object region                      # Mapping: keeps the mapping alive
    cdef HitterTable* tables                # one a series
    cdef uint32_t series_max
    cdef uint64_t random
    # Counts amounts (by figure) for a key of a series, in the panes of ``epochs``. The place for its name when the key has
    # just been taken in, which has HITTER_NAME bytes and is to be told of with ``named``; else NULL.
    cdef char* count(
        self, uint32_t series, uint64_t fingerprint, const uint32_t* epochs, const uint64_t* amounts
    ) noexcept nogil
    cdef void named(self, uint32_t series, uint64_t fingerprint, const char* place, size_t size) noexcept nogil
    cdef Hitter* _weakest(self, HitterTable* table, uint32_t set, const uint32_t* epochs, float* score) noexcept nogil

cdef class HitterReader:
    """The reader's view of all slots."""
    cdef object region
    cdef readonly uint32_t series_max
    cdef dict seen                          # (slot, series) → what its table had said when it was read last
    cdef const HitterTable* table_of(self, uint32_t slot, uint32_t series) except NULL
