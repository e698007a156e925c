"""The shared region mapped into this process, and where its sections are."""

from libc.stdint cimport uint32_t, uint64_t

cdef class Mapping:
    """Whoever keeps a pointer into the region keeps a reference to this beside it."""
    cdef readonly object layout             # Layout
    cdef readonly uint64_t size
    cdef readonly uint32_t slots
    cdef char* base
    # The switch: workers read it at the head of each exchange, ``atomics.load_acquire(mapping.snapshot_word)``.
    cdef const uint64_t* snapshot_word
    # Start of the part of ``slot`` in a section that has one per slot, of the section where all share it.
    cdef char* part(self, str name, uint32_t slot) except NULL
    cdef uint64_t part_size(self, str name) except 0
