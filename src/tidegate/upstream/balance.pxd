"""How one of an upstream's endpoints is chosen: each way is an ``Upstream`` of its own."""

from libc.stdint cimport uint64_t

from tidegate.upstream.endpoint cimport Endpoint, Upstream

cdef uint64_t hash_key(const char* key, size_t size) noexcept nogil    # for ``pick``; never 0, the same on every machine

cdef class Balanced(Upstream):
    """Tries the usable endpoints first, then, in order, those that it should rather not take (see ``fits``)."""
    cdef Endpoint choose(self, list endpoints, int resort, uint64_t key_hash, Endpoint avoid, uint64_t now_ns)

cdef class RoundRobin(Balanced):
    pass

cdef class LeastRequest(Balanced):
    pass

cdef class P2C(Balanced):
    cdef Endpoint choose_among_fit(self, list endpoints, int resort, Endpoint avoid, uint64_t now_ns)

cdef class Random(Balanced):
    pass

cdef class ConsistentHash(Balanced):
    cdef public double load_factor         # how far over the mean an endpoint may be loaded
    cdef bint has_equal_weights
