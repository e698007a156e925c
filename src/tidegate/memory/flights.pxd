"""Who fetches what, on this machine: one flight a key, with a lease."""

from libc.stdint cimport int64_t, uint32_t, uint64_t

from tidegate.memory.cells cimport cell_table

cdef class FlightTable:
    """A process's view of the table of flights, as the worker in ``slot`` has it; one thread's. Times are
    CLOCK_MONOTONIC in ns, keys their fingerprint."""
    cdef object region                      # Mapping: keeps the mapping alive
    cdef cell_table table
    cdef readonly uint32_t slot
    # The end of the lease, by which the flight is known, when nobody leads this key: one leads it now. 0: somebody does.
    cpdef int64_t lead(self, uint64_t fingerprint, int64_t now_ns, int64_t lease_ns) noexcept nogil
    # Ends a flight that is known by ``until_ns``; False: it was not in the air any more.
    cpdef bint land(self, uint64_t fingerprint, int64_t until_ns) noexcept nogil
    # Whether somebody leads this key.
    cpdef bint is_flying(self, uint64_t fingerprint, int64_t now_ns) noexcept nogil
