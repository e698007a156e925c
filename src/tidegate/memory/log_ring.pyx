"""A ring of finished lines between one writer and one reader in different processes.

Rules:

1. ``head`` and ``tail`` count bytes since the region was made; they only grow. A position's place in the ring is the
   position modulo the capacity.
2. The writer asks for room for the longest the line can get, in one piece; where the end of the ring is too near, the
   line begins at the ring's start and ``wrap`` says where this lap's lines end.
3. Storing ``head`` is the publication, and the only one: a writer that dies at any step before it leaves nothing, and
   its successor goes on at ``head``. Therefore whatever lies between ``tail`` and ``head`` is whole lines.
4. ``wrap`` is one word although there are many laps: the span from ``tail`` to ``head`` is at most one lap and holds at
   most one boundary; the writer stores ``wrap`` for a boundary only when it has seen ``tail`` at or past the one before.
5. The reader stores ``tail`` after it has written the lines out. A reader that dies between the two leaves lines that
   are written once more; none is skipped.

``tests/memory/ring_model.py`` holds the protocol as a model whose interleavings and deaths are searched exhaustively.
"""

from libc.errno cimport EINTR, errno
from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from posix.time cimport nanosleep, timespec
from posix.unistd cimport write

from tidegate.memory.atomics cimport add_single_writer, load_acquire, load_relaxed, store_release
from tidegate.memory.mapping cimport Mapping

import os

cdef extern from "string.h":
    void* memrchr(const void* s, int c, size_t n) nogil
    void* memchr(const void* s, int c, size_t n) nogil
    void* memcpy(void* to, const void* source, size_t n) nogil

RING_HEADER_SIZE = 4096
"""Bytes before the ring's own: words of the writer and of the reader, each in cache lines of their own."""

cdef enum:
    HEAD_AT = 0
    WRAP_AT = 8
    LOST_AT = 16
    TAIL_AT = 128
    RING_AT = 4096


def ring_capacity(wanted: int) -> int:
    """The least power of two that holds ``wanted`` bytes, 64 KiB at least: the longest line must fit several times."""
    return max(1 << 16, 1 << (wanted - 1).bit_length())


cdef uint64_t checked_capacity(Mapping mapping) except 0:
    cdef uint64_t capacity = mapping.part_size("log") - <uint64_t>RING_AT
    if capacity < 4096 or capacity & (capacity - 1):
        raise ValueError(f"the region's log rings have {capacity} bytes, expected a power of two")
    return capacity


cdef class LogRing:
    def __cinit__(self, Mapping mapping, uint32_t slot):
        cdef char* part = mapping.part("log", slot)
        self.capacity = checked_capacity(mapping)
        self.region = mapping
        self.base = part + <int>RING_AT
        self.head = <uint64_t*>(part + <int>HEAD_AT)
        self.wrap = <uint64_t*>(part + <int>WRAP_AT)
        self.lost = <uint64_t*>(part + <int>LOST_AT)
        self.tail = <uint64_t*>(part + <int>TAIL_AT)
        self.reserved_at = load_acquire(self.head)

    cdef char* reserve(self, uint32_t size) noexcept:
        cdef uint64_t head = load_relaxed(self.head)
        cdef uint64_t at = head & (self.capacity - 1)
        cdef uint64_t start = head
        if at + size > self.capacity:
            start = head + self.capacity - at
            at = 0
        if start + size - load_acquire(self.tail) > self.capacity:
            add_single_writer(self.lost, 1)
            return NULL
        self.reserved_at = start
        return self.base + at

    cdef void commit(self, uint32_t size) noexcept:
        cdef uint64_t head = load_relaxed(self.head)
        cdef uint64_t end = self.reserved_at + size
        if self.reserved_at != head:
            store_release(self.wrap, head & (self.capacity - 1))
        elif end & (self.capacity - 1) == 0:
            store_release(self.wrap, self.capacity)
        store_release(self.head, end)

    def append(self, const unsigned char[::1] line not None):
        """Puts one finished line (with its line feed) into the ring; False when it was full and the line is lost."""
        cdef Py_ssize_t size = line.shape[0]
        if size == 0 or size > <Py_ssize_t>(self.capacity >> 2):
            raise ValueError(f"a line has 1 to {self.capacity >> 2} bytes, not {size}")
        cdef char* room = self.reserve(<uint32_t>size)
        if room == NULL:
            return False
        memcpy(room, &line[0], size)
        self.commit(<uint32_t>size)
        return True

    @property
    def lost_lines(self) -> int:
        """Lines dropped because the ring was full, since the region was made."""
        return load_relaxed(self.lost)

    @property
    def pending(self) -> int:
        """Bytes written and not yet read, with what was left free at the end of a lap."""
        return load_relaxed(self.head) - load_acquire(self.tail)

    def __repr__(self):
        return f"<LogRing {self.pending} of {self.capacity} bytes, {self.lost_lines} lines lost>"


cdef class LogReader:
    def __cinit__(self, Mapping mapping, uint32_t slot):
        cdef char* part = mapping.part("log", slot)
        self.capacity = checked_capacity(mapping)
        self.region = mapping
        self.base = part + <int>RING_AT
        self.head = <const uint64_t*>(part + <int>HEAD_AT)
        self.wrap = <const uint64_t*>(part + <int>WRAP_AT)
        self.lost_word = <const uint64_t*>(part + <int>LOST_AT)
        self.tail = <uint64_t*>(part + <int>TAIL_AT)

    cdef uint32_t next_piece(self, uint64_t max_bytes, const char** piece) noexcept:
        # Whole lines, contiguous, at most ``max_bytes`` unless the first line alone is longer; 0: nothing to read.
        cdef uint64_t head = load_acquire(self.head)
        cdef uint64_t tail = load_relaxed(self.tail)
        cdef uint64_t at = tail & (self.capacity - 1)
        cdef uint64_t size = head - tail
        cdef const char* cut
        if size > self.capacity:            # never by our own writers: a damaged word must not send us out of the ring
            store_release(self.tail, head)
            return 0
        if at + size > self.capacity:
            # The span crosses the boundary: first what is left of the old lap, then, from the boundary, the new one.
            size = load_relaxed(self.wrap)
            if size > at:
                size = min(size, self.capacity) - at
            else:
                tail += self.capacity - at
                store_release(self.tail, tail)
                at = 0
                size = head - tail
        piece[0] = self.base + at
        if size > max_bytes:
            cut = <const char*>memrchr(piece[0], c'\n', max_bytes)
            if cut == NULL:
                cut = <const char*>memchr(piece[0], c'\n', size)
            if cut != NULL:
                size = cut - piece[0] + 1
        return <uint32_t>size

    cdef void consume(self, uint32_t size) noexcept:
        store_release(self.tail, load_relaxed(self.tail) + size)

    def read(self, max_bytes: int = 1 << 20) -> bytes:
        """Takes whole lines out of the ring, one contiguous piece of at most ``max_bytes``; b"" when it is empty."""
        cdef const char* piece = NULL
        cdef uint32_t size = self.next_piece(max_bytes, &piece)
        if size == 0:
            return b""
        lines = piece[:size]
        self.consume(size)
        return lines

    def write_to(self, int fd, uint64_t max_bytes = 1 << 20, uint32_t skip = 0):
        """Writes one piece of whole lines to a descriptor, straight from the shared memory and without the GIL.

        ``skip`` bytes of the piece were written by an earlier call that came to a short write. Returns (written,
        skip): the bytes written now, and the bytes of an unfinished line to be skipped by the next call, which must
        be for the same descriptor. Lines written whole are taken out of the ring. Raises ``OSError`` when nothing
        could be written.
        """
        cdef const char* piece = NULL
        cdef uint32_t size = self.next_piece(max_bytes, &piece)
        cdef uint32_t whole
        cdef ssize_t done
        cdef const char* cut
        cdef int error = 0
        if size <= skip:
            return 0, skip
        with nogil:
            done = write(fd, piece + skip, size - skip)
            if done < 0:
                error = errno
        if done < 0:
            if error == EINTR:
                return 0, skip
            raise OSError(error, os.strerror(error))
        whole = skip + <uint32_t>done
        if whole < size:
            cut = <const char*>memrchr(piece, c'\n', whole)
            skip = whole if cut == NULL else <uint32_t>(piece + whole - cut - 1)
            whole -= skip
        else:
            skip = 0
        self.consume(whole)
        return done, skip

    @property
    def lost(self) -> int:
        """Lines the writer dropped because the ring was full, since the region was made."""
        return load_relaxed(self.lost_word)

    @property
    def pending(self) -> int:
        """Bytes waiting, with what was left free at the end of a lap."""
        return load_acquire(self.head) - load_relaxed(self.tail)

    def __repr__(self):
        return f"<LogReader {self.pending} of {self.capacity} bytes, {self.lost} lines lost>"


def wait_for_lines(list readers not None, uint64_t enough, double interval_s, double timeout_s):
    """Returns when a ring holds ``enough`` bytes (True) or ``timeout_s`` is over (False).

    Looks every ``interval_s``, in C and without the GIL: a thread that did it in Python two hundred times a second
    took 0.7 % of a core from an idle gateway.
    """
    cdef Py_ssize_t count = len(readers), i
    cdef const uint64_t** words = <const uint64_t**>malloc((2 * count + 1) * sizeof(uint64_t*))
    cdef LogReader reader
    cdef timespec pause
    cdef long rounds = <long>(timeout_s / interval_s) + 1
    cdef bint found = False
    if words == NULL:
        raise MemoryError
    try:
        for i in range(count):
            reader = readers[i]
            words[2 * i] = reader.head
            words[2 * i + 1] = reader.tail
        pause.tv_sec = <long>interval_s
        pause.tv_nsec = <long>((interval_s - pause.tv_sec) * 1e9)
        with nogil:
            while True:
                for i in range(count):
                    if load_acquire(words[2 * i]) - load_relaxed(words[2 * i + 1]) >= enough:
                        found = True
                rounds -= 1
                if found or rounds < 0:
                    break
                nanosleep(&pause, NULL)
    finally:
        free(words)
    return found
