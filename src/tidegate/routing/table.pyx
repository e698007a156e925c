"""Building of the table that ``table.pxd`` describes; its look-up is inline there."""

from cpython.bytes cimport PyBytes_AS_STRING
from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcpy

import os

cdef enum:
    ROW = 256                   # entries made without giving way


cdef class Table:
    """Keyed hash table from (scope, bytes) to a number above zero.

    Args:
        items: the entries.
        seed: 16 bytes, random by default.
    """

    def __init__(self, items, seed=None):
        for _ in self.building(items, seed):
            pass

    def building(self, items, seed=None):
        """Builds it, giving way now and then: for a table that was made with ``Table.__new__``."""
        cdef uint32_t at, run, offset = 0, done = 0
        cdef uint64_t mixed, capacity = 2
        cdef Slot* slot
        cdef bytes key
        if self.slots != NULL:
            raise RuntimeError("a table is built once")
        seed = os.urandom(16) if seed is None else seed
        if len(seed) != 16:
            raise ValueError(f"a seed has 16 bytes, got {len(seed)}")
        memcpy(self.key, PyBytes_AS_STRING(seed), 16)
        while capacity < 2 * <uint64_t>len(items):
            capacity *= 2
        if capacity >> 32:
            raise ValueError(f"a table holds fewer than 2^31 keys, got {len(items)}")
        self.slots = <Slot*>PyMem_RawCalloc(capacity, sizeof(Slot))
        if self.slots == NULL:
            raise MemoryError
        self.kept = b"".join([key for _, key in items])
        self.text = PyBytes_AS_STRING(self.kept)
        self.mask = <uint32_t>(capacity - 1)
        self.entries = len(items)
        for (scope, key), value in items.items():
            if value <= 0:
                raise ValueError(f"values are above zero, got {value}")
            mixed = in_scope(hash_of(self, PyBytes_AS_STRING(key), len(key)), scope)
            at = <uint32_t>mixed & self.mask
            run = 1
            while self.slots[at].value != 0:
                at = (at + 1) & self.mask
                run += 1
            slot = &self.slots[at]
            slot.hash = mixed
            slot.scope = scope
            slot.value = value
            slot.at = offset
            slot.size = len(key)
            offset += slot.size
            self.longest_key = max(self.longest_key, slot.size)
            self.longest_run = max(self.longest_run, run)
            done += 1
            if done % ROW == 0:
                yield

    def __dealloc__(self):
        PyMem_RawFree(self.slots)

    def __repr__(self):
        return f"<Table {self.entries} keys, runs up to {self.longest_run}>"

    def get(self, uint32_t scope, bytes key):
        """The value, 0 when there is none."""
        cdef uint32_t steps = 0
        cdef uint64_t hash = hash_of(self, PyBytes_AS_STRING(key), len(key))
        return find(self, scope, hash, PyBytes_AS_STRING(key), len(key), &steps)

    def hash(self, bytes text):
        """SipHash-1-3 of the text under the table's seed."""
        return hash_of(self, PyBytes_AS_STRING(text), len(text))
