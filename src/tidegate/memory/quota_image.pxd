"""The cells of a quota as bytes that outlive the region."""

from libc.stdint cimport int64_t, uint64_t

cdef struct CellRecord:
    uint64_t index              # of the cell in its table
    uint64_t key
    uint64_t used
