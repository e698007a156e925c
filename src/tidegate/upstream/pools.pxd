"""The worker's pools, by peer; they outlive every snapshot."""

from libc.stdint cimport uint64_t

from tidegate.upstream.peer cimport Peer
from tidegate.upstream.pool cimport Pool

cdef class Pools:
    cdef dict claimed           # Peer -> Pool: in some snapshot
    cdef object retired         # Peer -> Pool, weak: in none, kept by connections or exchanges that are still out
    cpdef Pool get(self, Peer peer, object bounds, bint keeps_bounds=*)
    cpdef release(self, Pool pool)
    cpdef expire(self, uint64_t now_ms)
    cpdef long count_open(self)
    cpdef long count_waiting(self)
    cpdef long fullest_ppm(self)
