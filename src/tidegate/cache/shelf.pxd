"""The values that a worker has at hand."""

from libc.stdint cimport uint64_t

from tidegate.memory.generations cimport Generations


cdef class Entry:
    """A value with its life, and what ``await`` takes it from: it is ready."""
    cdef readonly object key
    cdef readonly object value          # None: there is none
    cdef readonly Py_ssize_t size       # bytes that it counts for
    cdef readonly tuple tags
    # life, in seconds on the shelf's clock
    cdef readonly double loaded_at
    cdef readonly double came_at
    cdef readonly double load_s         # how long its fetch took
    cdef readonly double early_from
    cdef readonly double fresh_until
    cdef readonly double stale_until
    cdef readonly double error_until
    # what it was fetched under: slots of the generations and the numbers in them then
    cdef readonly tuple slots
    cdef readonly tuple marks
    cdef uint64_t checked_epoch         # in which they were found to be the same
    # use
    cdef public uint64_t uses           # since it was last looked at by who puts others out
    cdef public double retry_at         # not to be fetched again before: that has just failed


cdef class Shelf:
    cdef readonly dict entries          # by key
    cdef public uint64_t hits
    cdef readonly Generations generations
    cdef object clock                   # None: the machine's
    cdef double read_clock(self) except? -1.0
    cdef bint holds(self, Entry entry) except -1
