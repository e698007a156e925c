"""Lines on their way to the log: one ring per worker slot, written by the worker, emptied by control; survives its worker."""

from libc.stdint cimport uint32_t, uint64_t

from tidegate.memory.mapping cimport Mapping

cdef class LogRing:
    """The writer's end. A line that finds no room is counted as lost and dropped: a slow disk never holds a worker."""
    cdef object region                      # Mapping: keeps what the pointers point to
    cdef char* base
    cdef readonly uint64_t capacity         # a power of two
    cdef uint64_t* head                     # bytes ever written
    cdef uint64_t* wrap                     # offset at which the lap before the latest boundary ended
    cdef uint64_t* tail                     # bytes ever read
    cdef uint64_t* lost                     # lines
    cdef uint64_t reserved_at               # position of the line being written
    # Room for one line of at most ``size`` bytes, contiguous, or NULL (counted). ``commit`` publishes what was really used.
    cdef char* reserve(self, uint32_t size) noexcept
    cdef void commit(self, uint32_t size) noexcept

cdef class LogReader:
    """The reader's end."""
    cdef object region
    cdef const char* base
    cdef readonly uint64_t capacity
    cdef const uint64_t* head
    cdef const uint64_t* wrap
    cdef uint64_t* tail
    cdef const uint64_t* lost_word
    cdef uint32_t next_piece(self, uint64_t max_bytes, const char** piece) noexcept
    cdef void consume(self, uint32_t size) noexcept
