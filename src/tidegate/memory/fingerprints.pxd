"""Keys as 64-bit fingerprints that nobody outside can steer: SipHash-2-4 under a secret of the region and the limit."""

from libc.stdint cimport uint64_t

cdef extern from "tidegate/memory/siphash.h" nogil:
    ctypedef struct siphash_key:
        uint64_t k0
        uint64_t k1
    uint64_t siphash(siphash_key key, const char* bytes, size_t size) noexcept

cdef class Fingerprints:
    """Those of one limit's keys."""
    cdef siphash_key key
    # Never 0, nor one whose upper 48 bits are: that is what a free cell has.
    cdef uint64_t of(self, const char* bytes, size_t size) noexcept nogil
