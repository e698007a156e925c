"""What was invalidated, as numbers that change: read by who holds copies, changed by who knows better."""

from libc.stdint cimport uint64_t

from tidegate.memory.atomics cimport load_acquire

cdef class Generations:
    cdef Py_buffer view                     # keeps the memory
    cdef uint64_t* words                    # the epoch, alone in its cache line, then the slots
    cdef Py_ssize_t checked(self, slot) except -1
    cdef inline uint64_t epoch(self) noexcept nogil:
        return load_acquire(self.words)
