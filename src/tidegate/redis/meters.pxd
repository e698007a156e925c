"""What a link counts; moved by compiled lanes, read by anybody in the process."""

from libc.stdint cimport int64_t, uint64_t

cdef enum:
    BUCKET_COUNT = 201          # histogram.BUCKETS

cdef class CommandMeter:
    cdef readonly str name
    cdef readonly int64_t count
    cdef readonly int64_t errors
    cdef readonly int64_t total_us
    cdef readonly int64_t max_us
    cdef uint64_t counts[201]
    cdef readonly int key_at    # which argument is the key; as of ``commands.key_at``
    cdef void record(self, int64_t us, int bucket) noexcept

cdef class PrefixMeter:
    cdef readonly str prefix
    cdef readonly int64_t commands
    cdef readonly int64_t bytes_out
    cdef readonly int64_t bytes_in

cdef class Meters:
    cdef dict commands          # as callers spell it -> CommandMeter
    cdef dict prefixes
    cdef dict by_name
    cdef dict by_prefix
    cdef CommandMeter command_of(self, object name)
    cdef PrefixMeter prefix_of(self, object key)

cdef int bucket_of(int64_t us) noexcept nogil
