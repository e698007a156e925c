"""Fingerprints of keys: what a limit remembers of a client is 64 bits, keyed by a secret that is made at start.

Each limit hashes under a key of its own, derived from the region's secret and its name by BLAKE2b. So a client cannot
find keys that meet in a set, the same client has unrelated fingerprints in two limits, and a table may be given to
another limit as it is: the cells that are in it are nobody's, and expire.

Two keys of a limit share a cell by accident about once in 2^48 times the number of its keys.
"""

cimport cython
from libc.stdint cimport uint64_t
from libc.string cimport memcpy

from hashlib import blake2b


def siphash_2_4(bytes key not None, bytes content not None) -> int:
    """SipHash-2-4 of ``content`` under a key of 16 bytes, as published."""
    cdef siphash_key words
    if len(key) != sizeof(siphash_key):
        raise ValueError(f"expected a key of {sizeof(siphash_key)} bytes, got {len(key)}")
    memcpy(&words, <const char*>key, sizeof(siphash_key))
    return siphash(words, content, len(content))


@cython.final
cdef class Fingerprints:
    """Those of the keys of the limit ``name``; ``secret`` is the region's."""

    def __cinit__(self, bytes secret not None, str name not None):
        cdef bytes derived = blake2b(name.encode(), key=secret, digest_size=sizeof(siphash_key), person=b"limit").digest()
        memcpy(&self.key, <const char*>derived, sizeof(siphash_key))

    cdef uint64_t of(self, const char* bytes, size_t size) noexcept nogil:
        cdef uint64_t found = siphash(self.key, bytes, size)
        return found if found >> 16 else found | 0x10000

    def of_key(self, bytes key not None) -> int:
        """The fingerprint of a key of any bytes and length."""
        return self.of(key, len(key))
