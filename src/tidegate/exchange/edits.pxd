"""Changes to a head that is not copied: which fields to leave out, which to write behind the others."""

from libc.stdint cimport uint8_t, uint64_t

from tidegate.wire.http1 cimport Span

cdef enum EditKind:
    EDIT_SET = 1                # this value and no other
    EDIT_ADD                    # beside those that are there
    EDIT_REMOVE
    EDIT_UNDONE                 # overtaken by a later one

cdef struct Edit:
    uint8_t kind
    Span name                   # in the arena
    Span value

cdef class Edits:
    """The changes of one head, in order; reused from exchange to exchange."""
    cdef char* arena
    cdef size_t arena_size
    cdef size_t arena_room
    cdef Edit* items
    cdef int count
    cdef int room
    cdef uint64_t lengths       # bit n: some SET or REMOVE has a name of n (mod 64) bytes; most fields end here
    cdef int put(self, int kind, const char* name, size_t name_size, const char* value, size_t value_size) except -1
    cdef bint drops(self, const char* name, size_t name_size) noexcept      # is this field of the original left out?
    cdef Edit* find(self, const char* name, size_t name_size) noexcept      # the first SET or ADD that stands
    cdef size_t bound(self) noexcept                                        # most bytes ``write`` needs
    cdef char* write(self, char* out) noexcept                              # the added lines; returns the end
    cdef void clear(self) noexcept
    cdef int extend(self, Edits other) except -1
    cdef bint _is(self, const Edit* edit, const char* name, size_t name_size) noexcept
