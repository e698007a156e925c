"""The shared region mapped into this process.

The descriptor must be sealed against shrinking: a file cut short under a mapping is SIGBUS at the next touch, and
no process may be able to do that to the others.
"""

from libc.errno cimport errno
from libc.stdint cimport uint32_t, uint64_t
from posix.mman cimport MAP_FAILED, MAP_SHARED, PROT_READ, PROT_WRITE, mmap, munmap

from tidegate.memory.atomics cimport load_seq, store_seq

import fcntl
import os

from tidegate.memory.layout import HEADER_SIZE, SNAPSHOT_OFFSET, parse_header


cdef class Mapping:
    def __cinit__(self, int fd):
        cdef void* at
        cdef uint64_t size = os.fstat(fd).st_size
        try:
            seals = fcntl.fcntl(fd, fcntl.F_GET_SEALS)
        except OSError as error:
            raise ValueError(f"descriptor {fd} is no memory file: {error}") from error
        if not seals & fcntl.F_SEAL_SHRINK:
            raise ValueError(f"descriptor {fd} is not sealed against shrinking")
        if size < HEADER_SIZE:
            raise ValueError(f"descriptor {fd} has {size} bytes, too few for a region")
        layout = parse_header(os.pread(fd, HEADER_SIZE, 0), size)
        at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)
        if at == MAP_FAILED:
            raise OSError(errno, os.strerror(errno))
        self.base = <char*>at
        self.size = size
        self.layout = layout
        self.slots = layout.slots
        self.snapshot_word = <const uint64_t*>(self.base + <uint64_t>SNAPSHOT_OFFSET)

    def __dealloc__(self):
        if self.base != NULL:
            munmap(self.base, self.size)

    cdef char* part(self, str name, uint32_t slot) except NULL:
        section = self.layout.sections.get(name)
        if section is None:
            raise LookupError(f"the region has no section {name!r}")
        if section.size == 0:
            raise LookupError(f"the region has no room for {name!r}")
        if slot >= self.slots:
            raise IndexError(f"the region has {self.slots} slots, there is no slot {slot}")
        cdef uint64_t offset = section.offset
        cdef uint64_t stride = section.stride
        return self.base + offset + stride * slot

    cdef uint64_t part_size(self, str name) except 0:
        section = self.layout.sections.get(name)
        if section is None:
            raise LookupError(f"the region has no section {name!r}")
        if section.size == 0:
            raise LookupError(f"the region has no room for {name!r}")
        return section.stride or section.size

    def load_word(self, str name, uint32_t slot, uint32_t index):
        """The 64-bit word ``index`` of a slot's part of a section, read at once."""
        if index * 8 >= self.part_size(name):
            raise IndexError(f"section {name!r} has no word {index}")
        return load_seq(<const uint64_t*>self.part(name, slot) + index)

    def store_word(self, str name, uint32_t slot, uint32_t index, uint64_t value):
        """Stores the 64-bit word ``index`` of a slot's part of a section at once."""
        if index * 8 >= self.part_size(name):
            raise IndexError(f"section {name!r} has no word {index}")
        store_seq(<uint64_t*>self.part(name, slot) + index, value)

    def load_snapshot(self):
        """The number of the snapshot that new exchanges are served with."""
        return load_seq(self.snapshot_word)

    def store_snapshot(self, uint64_t number):
        """The switch: from now on every exchange begins with snapshot ``number``."""
        store_seq(<uint64_t*>self.snapshot_word, number)

    def __repr__(self):
        return f"<Mapping {self.size} bytes, {self.slots} slots, {', '.join(self.layout.sections)}>"
