"""How often keys have been asked for of late."""

from libc.stdint cimport uint8_t, uint64_t

cdef class Sketch:
    cdef uint8_t* counters      # four rows of ``size``
    cdef uint64_t size
    cdef int shift              # of a mixed hash, to a place in a row
    cdef uint64_t events        # since the last halving, with half of those before
    cdef readonly uint64_t period
