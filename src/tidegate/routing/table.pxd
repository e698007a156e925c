"""Keyed hash table from (scope, bytes) to a number: built once, then only read, without Python objects.

Open addressing, at most half full. The hash is SipHash-1-3 (Aumasson & Bernstein) under a random key, so that nobody
can choose hosts that meet in one place; and the longest run of slots that any stored key needs is known, so that a
look-up never looks at more whatever it is asked for.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy

cdef struct Slot:
    uint64_t hash
    uint32_t scope
    uint32_t value              # 0: free
    uint32_t at                 # where the key is in ``text``
    uint32_t size

cdef class Table:
    cdef Slot* slots
    cdef const char* text       # all keys; in ``kept``
    cdef bytes kept
    cdef uint64_t key[2]
    cdef uint32_t mask
    cdef readonly uint32_t longest_key
    cdef readonly uint32_t longest_run
    cdef readonly uint32_t entries


cdef inline uint64_t rotated(uint64_t x, int by) noexcept nogil:
    return (x << by) | (x >> (64 - by))


cdef inline void sip_round(uint64_t* v) noexcept nogil:
    v[0] += v[1]
    v[1] = rotated(v[1], 13) ^ v[0]
    v[0] = rotated(v[0], 32)
    v[2] += v[3]
    v[3] = rotated(v[3], 16) ^ v[2]
    v[0] += v[3]
    v[3] = rotated(v[3], 21) ^ v[0]
    v[2] += v[1]
    v[1] = rotated(v[1], 17) ^ v[2]
    v[2] = rotated(v[2], 32)


cdef inline uint64_t last_bytes(const char* text, size_t size) noexcept nogil:
    # The bytes after the last whole word, by loads that overlap what was read before: a copy of 0 to 7 bytes would be a
    # loop, and most names and segments are that short. Little endian; elsewhere it is another hash, as good.
    cdef size_t n = size & 7
    cdef uint64_t word = 0
    cdef uint32_t low = 0, high = 0
    if n == 0:
        return 0
    if size >= 8:
        memcpy(&word, text + size - 8, 8)
        return word >> (64 - 8 * n)
    if n >= 4:
        memcpy(&low, text, 4)
        memcpy(&high, text + n - 4, 4)
        return low | <uint64_t>high << (8 * n - 32)
    return (<uint64_t><uint8_t>text[0] | <uint64_t><uint8_t>text[n >> 1] << (8 * (n >> 1))
            | <uint64_t><uint8_t>text[n - 1] << (8 * n - 8))


cdef inline uint64_t sip13(const uint64_t* key, const char* text, size_t size) noexcept nogil:
    cdef uint64_t v[4]
    cdef uint64_t word
    cdef size_t at = 0
    v[0] = key[0] ^ 0x736F6D6570736575ULL
    v[1] = key[1] ^ 0x646F72616E646F6DULL
    v[2] = key[0] ^ 0x6C7967656E657261ULL
    v[3] = key[1] ^ 0x7465646279746573ULL
    while size - at >= 8:
        memcpy(&word, text + at, 8)
        v[3] ^= word
        sip_round(v)
        v[0] ^= word
        at += 8
    word = last_bytes(text, size) | <uint64_t>(size & 0xFF) << 56
    v[3] ^= word
    sip_round(v)
    v[0] ^= word
    v[2] ^= 0xFF
    sip_round(v)
    sip_round(v)
    sip_round(v)
    return v[0] ^ v[1] ^ v[2] ^ v[3]


cdef inline uint64_t hash_of(Table table, const char* text, size_t size) noexcept nogil:
    # Of the bytes alone: a segment is hashed once and then looked up in several scopes.
    return sip13(table.key, text, size)


cdef inline uint64_t in_scope(uint64_t hash, uint32_t scope) noexcept nogil:
    # A bijection for each scope (multiplication by an odd number): what SipHash told apart stays apart.
    cdef uint64_t mixed = (hash ^ (scope * 0x9E3779B97F4A7C15ULL)) * 0xD6E8FEB86659FD93ULL
    return mixed ^ (mixed >> 32)


cdef inline uint32_t find(Table table, uint32_t scope, uint64_t hash, const char* text, size_t size,
                          uint32_t* steps) noexcept nogil:
    # The value, or 0. ``hash`` is hash_of the text. Adds the slots it looked at to ``steps``.
    cdef uint64_t mixed = in_scope(hash, scope)
    cdef uint32_t at = <uint32_t>mixed & table.mask
    cdef uint32_t left = table.longest_run
    cdef const Slot* slot
    while left:
        steps[0] += 1
        slot = &table.slots[at]
        if slot.value == 0:
            return 0
        if (slot.hash == mixed and slot.scope == scope and slot.size == size
                and memcmp(table.text + slot.at, text, size) == 0):
            return slot.value
        at = (at + 1) & table.mask
        left -= 1
    return 0
