"""Lines on their way to the log: one ring per worker slot, written by the worker, emptied by control; survives its worker."""

from libc.stdint cimport uint32_t, uint64_t

cdef class LogRing:
    """The writer's end. A line that finds no room is counted as lost and dropped: a slow disk never holds a worker."""
    cdef object region
    cdef char* base
    cdef uint64_t capacity
    cdef uint64_t* head                     # bytes ever written
    cdef uint64_t* tail                     # bytes ever read
    cdef uint64_t* lost                     # lines
    # Room for one line of at most ``size`` bytes, contiguous, or NULL (counted). ``commit`` publishes what was really used.
    cdef char* reserve(self, uint32_t size) noexcept
    cdef void commit(self, uint32_t size) noexcept
