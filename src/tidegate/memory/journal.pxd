"""The latest records of something, written by any process, each found whole or not at all."""

from libc.stdint cimport uint32_t, uint64_t

cdef struct Cell:
    # ``ticket`` is stored last; the sum is over ticket, size and content.
    uint64_t ticket             # 0: nothing is here
    uint32_t sum
    uint32_t size
    # the content follows

cdef class Journal:
    cdef object region                      # Mapping: keeps the mapping alive
    cdef uint64_t* latest                   # ticket given out last
    cdef char* cells
    cdef readonly uint32_t capacity         # cells
    cdef readonly uint32_t room             # bytes of content in each
    cdef Cell* cell_of(self, uint64_t ticket) noexcept nogil
