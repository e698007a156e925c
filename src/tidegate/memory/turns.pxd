"""Which process writes the error log's line about a kind of trouble in a second: the first to take the turn."""

from libc.stdint cimport uint64_t

cdef class Turns:
    cdef object region
    cdef uint64_t* cells                    # pairs: hash of the kind, second of the latest turn
