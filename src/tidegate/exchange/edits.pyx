"""Changes to a head that is not copied.

A head travels as the bytes that came. ``Edits`` says which of its lines are left out and which are written behind it; nothing
is allocated per change once the arena has grown to what a route's filters usually write.
"""

from cpython.mem cimport PyMem_RawFree, PyMem_RawRealloc
from libc.stdint cimport uint64_t
from libc.string cimport memcpy

from tidegate.wire.http1 cimport is_field_value, is_token, same_name

cdef enum:
    ARENA_MAX = 65536           # of one head's changes: with the largest head it still fits what heads are composed in
    COUNT_MAX = 1000            # each is compared with those before it


cdef class Edits:

    def __dealloc__(self):
        PyMem_RawFree(self.arena)
        PyMem_RawFree(self.items)

    cdef int put(self, int kind, const char* name, size_t name_size, const char* value, size_t value_size) except -1:
        """Adds a change. Raises ValueError when name or value could not stand in a head, or there is too much of it."""
        cdef Edit* edit
        cdef void* grown
        cdef size_t need = self.arena_size + name_size + value_size
        cdef int i
        if name_size == 4 and same_name(name, name_size, b"host", 4):
            # A request has one Host, neither two nor none.
            if kind == EDIT_REMOVE:
                return 0
            kind = EDIT_SET
        if name_size == 0 or not is_token(name, name_size):
            raise ValueError(f"{name[:name_size]!r} is not the name of a header field")
        if not is_field_value(value, value_size):
            raise ValueError(f"the value of {name[:name_size].decode('latin-1')} has control characters")
        if self.count >= COUNT_MAX:
            raise ValueError(f"there are over {COUNT_MAX} changes to one head")
        if need > ARENA_MAX:
            raise ValueError(f"the changes to one head are over {ARENA_MAX} bytes")
        if need > self.arena_room:
            grown = PyMem_RawRealloc(self.arena, need + 512)
            if grown == NULL:
                raise MemoryError
            self.arena = <char*>grown
            self.arena_room = need + 512
        if self.count == self.room:
            grown = PyMem_RawRealloc(self.items, (self.room + 8) * sizeof(Edit))
            if grown == NULL:
                raise MemoryError
            self.items = <Edit*>grown
            self.room += 8
        edit = &self.items[self.count]
        edit.kind = kind
        edit.name.start = self.arena_size
        edit.name.size = name_size
        memcpy(self.arena + self.arena_size, name, name_size)
        self.arena_size += name_size
        edit.value.start = self.arena_size
        edit.value.size = value_size
        if value_size:
            memcpy(self.arena + self.arena_size, value, value_size)
            self.arena_size += value_size
        if kind != EDIT_ADD:
            self.lengths |= <uint64_t>1 << (name_size & 63)
            for i in range(self.count):
                if self._is(&self.items[i], name, name_size):
                    self.items[i].kind = EDIT_UNDONE
        self.count += 1
        return 0

    cdef bint _is(self, const Edit* edit, const char* name, size_t name_size) noexcept:
        # Two or three names, most of other lengths: comparing them costs less than a hash of each.
        return edit.name.size == name_size and same_name(self.arena + edit.name.start, name_size, name, name_size)

    cdef bint drops(self, const char* name, size_t name_size) noexcept:
        cdef int i
        if not self.lengths & (<uint64_t>1 << (name_size & 63)):
            return False
        for i in range(self.count):
            if (
                self.items[i].kind == EDIT_SET or self.items[i].kind == EDIT_REMOVE
            ) and self._is(&self.items[i], name, name_size):
                return True
        return False

    cdef Edit* find(self, const char* name, size_t name_size) noexcept:
        cdef int i
        if self.count == 0:
            return NULL
        for i in range(self.count):
            if (
                self.items[i].kind == EDIT_SET or self.items[i].kind == EDIT_ADD
            ) and self._is(&self.items[i], name, name_size):
                return &self.items[i]
        return NULL

    cdef size_t bound(self) noexcept:
        return self.arena_size + 4 * <size_t>self.count

    cdef char* write(self, char* out) noexcept:
        cdef Edit* edit
        cdef int i
        for i in range(self.count):
            edit = &self.items[i]
            if edit.kind != EDIT_SET and edit.kind != EDIT_ADD:
                continue
            memcpy(out, self.arena + edit.name.start, edit.name.size)
            out += edit.name.size
            out[0] = c":"
            out[1] = c" "
            out += 2
            memcpy(out, self.arena + edit.value.start, edit.value.size)
            out += edit.value.size
            out[0] = c"\r"
            out[1] = c"\n"
            out += 2
        return out

    cdef void clear(self) noexcept:
        self.count = 0
        self.arena_size = 0
        self.lengths = 0

    cdef int extend(self, Edits other) except -1:
        """Adds all that stands in ``other``."""
        cdef Edit* edit
        cdef int i
        for i in range(other.count):
            edit = &other.items[i]
            if edit.kind != EDIT_UNDONE:
                self.put(
                    edit.kind, other.arena + edit.name.start, edit.name.size, other.arena + edit.value.start,
                    edit.value.size,
                )
        return 0
