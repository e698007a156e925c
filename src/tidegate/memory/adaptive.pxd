"""What adaptive limits measure, worker by worker, and the limit that one of them makes of it for all."""

from libc.stdint cimport int64_t, uint32_t, uint64_t

from tidegate.memory.atomics cimport load_acquire

cdef enum:
    ADAPTIVE_ROWS = 256                     # limits, and keys of limits, there is room for: config.allotment.LEARNERS
    ADAPTIVE_STATE = 1512                   # bytes of what an algorithm remembers
    ADAPTIVE_BUCKETS = 201                  # of ``memory.histogram``
    ADAPTIVE_TAG = 0xFFFE                   # bits of a name that are those of the limit

# What a row is called for a key of a limit.
cdef inline uint64_t name_of(uint64_t fingerprint, uint64_t tag) noexcept nogil:
    return fingerprint & ~<uint64_t>0xFFFF | tag | 1

cdef struct Record:
    # one a limit, or a key of one, for all
    uint64_t interval                       # when it began, the lowest bit telling one from the next
    uint64_t limit                          # age of the decision above, the limit in the lower 24 bits; 0: none yet
    uint64_t changed_ns                     # requests that began before it teach nothing
    uint64_t name                           # fingerprint of the key, tag of the limit, in the lowest bit whether in use
    uint64_t seen_ns                        # when somebody last asked for it, to about a second
    uint64_t unused[3]
    # two of them, used in turn: interval, length, checksum, content
    uint64_t states[2][192]

cdef struct Bank:
    # one a worker slot and limit, for every other interval
    uint64_t version                        # odd while its worker writes
    uint64_t interval
    uint64_t count                          # requests that ended
    uint64_t drops                          # of these, in a time-out or an answer that means overload
    uint64_t in_flight_max
    uint64_t unused
    uint64_t in_flight_sum
    uint64_t started_ns                     # the earliest; 0: none
    uint64_t first_end_ns                   # 0: none
    # of those that were answered
    uint64_t latency_min_ns                 # 0: none
    uint64_t latency_sum_ns
    uint64_t waited                         # for how many it was measured how long they waited behind the limit
    uint64_t latencies[ADAPTIVE_BUCKETS]
    uint64_t waitings[ADAPTIVE_BUCKETS]
    uint64_t padding[2]

cdef class Adaptive:
    """The section as one worker sees it."""
    cdef object region                      # Mapping: keeps the mapping alive
    cdef Record* records
    cdef Bank* banks
    cdef readonly uint32_t slots
    cdef readonly uint32_t slot
    # What was learned of limit ``row``; 0: nothing yet. One load.
    cdef inline uint32_t limit(self, uint32_t row) noexcept nogil:
        return <uint32_t>(load_acquire(&self.records[row].limit) & 0xFFFFFF)
    # One request that ended. Times in ns; ``waiting_ns`` < 0: not measured.
    cdef void observe(self, uint32_t row, int64_t started_ns, int64_t latency_ns, uint32_t in_flight, bint was_dropped,
                      int64_t waiting_ns) noexcept nogil
    # The row of a key among ``rows`` from ``first``, -1: all are of others. A key that was not seen for a minute gives its
    # row up to one that is new, and one of another limit, which was here before, does so at once.
    cdef int64_t claim(self, uint32_t first, uint32_t rows, uint64_t name, uint64_t now_ns) noexcept nogil
    cdef inline bint is_of(self, uint32_t row, uint64_t name) noexcept nogil:
        return load_acquire(&self.records[row].name) == name
    cdef uint64_t count(self, uint32_t row, uint64_t interval, uint64_t enough) noexcept nogil
    cdef Bank* bank(self, uint32_t row, uint32_t slot, uint64_t interval) noexcept nogil
    cdef bint copy(self, uint32_t row, uint32_t slot, uint64_t interval, Bank* into) noexcept nogil
