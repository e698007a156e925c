"""Replies of a Redis server out of the bytes of a connection, with hiredis for all but large values.

hiredis copies what comes into a buffer of its own and, when a string is complete, once more into the object: for 20 MB
the second copy alone holds the loop for 10 ms. So this module walks ahead of it, from reply to reply, and takes a string
of ``large`` bytes or more that is a reply by itself out of the stream: each piece that arrives is copied to where it will
stay. Values inside arrays and maps are hiredis's, whatever their size.

Rules:

1. Every byte goes to the reader or into one large value, in order; replies come out in the order of their first bytes.
2. A line that is cut between two replies is held back until it is whole, because it may announce a large value.
3. What is no RESP is passed on: the reader says what is wrong with it.
4. A value over ``largest`` is read and thrown away; ``too_large(size)`` stands in its place.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport int64_t
from libc.string cimport memchr, memcpy, memset

cdef inline bint number_of(const char* line, int size, int64_t* value) noexcept nogil:
    """The integer behind the type byte of a line, without its CRLF; False when it is none."""
    cdef int64_t found = 0
    cdef int i = 1
    cdef bint is_negative = False
    if size > 1 and line[1] == c'-':
        is_negative = True
        i = 2
    if i >= size or size - i > 18:
        return False
    while i < size:
        if not c'0' <= line[i] <= c'9':
            return False
        found = found * 10 + (line[i] - c'0')
        i += 1
    value[0] = -found if is_negative else found
    return True


cdef inline void end_item(Scan* scan) noexcept nogil:
    """One reply or element is whole, and with it perhaps the aggregates around it."""
    while scan.depth > 0:
        scan.elements[scan.depth - 1] -= 1
        if scan.elements[scan.depth - 1] > 0:
            return
        scan.depth -= 1


cdef inline void read_header(Scan* scan, const char* line, int size) noexcept nogil:
    """Takes a whole line, without its CRLF (a simple string may have been cut off at HEADER_MAX)."""
    cdef char kind = line[0]
    cdef int64_t number = 0
    if kind == c'$' or kind == c'=' or kind == c'!':
        if not number_of(line, size, &number):
            scan.is_lost = True
        elif number < 0:
            end_item(scan)
        else:
            scan.left = number + 2
    elif kind == c'*' or kind == c'%' or kind == c'~' or kind == c'>':
        if not number_of(line, size, &number) or scan.depth == NESTING_MAX:
            scan.is_lost = True
        elif number <= 0:
            end_item(scan)
        else:
            scan.elements[scan.depth] = number * 2 if kind == c'%' else number
            scan.depth += 1
    else:
        end_item(scan)


cdef int64_t scan_replies(
    Scan* scan, const char* p, int64_t at, int64_t size, int64_t least, int64_t* large, int64_t* header
) noexcept nogil:
    cdef const char* end
    cdef int64_t step, number, length
    cdef int kept
    large[0] = -1
    while at < size and not scan.is_lost:
        if scan.left > 0:
            step = min(scan.left, size - at)
            scan.left -= step
            at += step
            if scan.left == 0:
                end_item(scan)
            continue
        end = <const char*>memchr(p + at, c'\n', <size_t>(size - at))
        if end == NULL and scan.depth == 0:
            return at
        length = (size if end == NULL else end - p) - at
        if end == NULL or scan.line_size > 0:
            kept = min(<int>(HEADER_MAX - scan.line_size), <int>min(length, HEADER_MAX))
            memcpy(scan.line + scan.line_size, p + at, <size_t>kept)
            scan.line_size += kept
            at += length
            if end == NULL:
                return at
            at += 1
            length = scan.line_size
            scan.line_size = 0
            read_header(scan, scan.line, <int>(length - 1 if length > 0 and scan.line[length - 1] == c'\r' else length))
            continue
        if length > 0 and p[at + length - 1] == c'\r':
            length -= 1
        if scan.depth == 0 and p[at] == c'$' and length < HEADER_MAX and number_of(p + at, <int>length, &number):
            if number >= least:
                large[0] = number
                header[0] = end + 1 - p - at
                return at
        read_header(scan, p + at, <int>min(length, HEADER_MAX))
        at = end + 1 - p
    return size


cdef class ReplyStream:
    """The replies of one connection.

    Args:
        reader: A ``hiredis.Reader`` that returns ``incomplete`` when it has no whole reply.
        incomplete: That object.
        large: Bytes from which on a string is assembled in place.
        largest: Bytes beyond which one is thrown away.
        too_large: Makes what stands for such a one, of its size.
    """

    def __init__(self, reader, incomplete, *, int64_t large=64 << 10, int64_t largest=512 << 20, too_large):
        self.reader = reader
        self.incomplete = incomplete
        self.least = large
        self.largest = largest
        self.too_large = too_large
        self.held = b""
        self.value_size = -1
        memset(&self.scan, 0, sizeof(Scan))

    def feed(self, bytes data not None):
        """Takes what was read and returns the replies that are whole by now. Raises what the reader raises for bytes that
        are no RESP, and ValueError for a line without end."""
        cdef list replies = []
        cdef int64_t at = 0, size, end, large, header = 0
        cdef const char* p
        if self.held:
            data = self.held + data
            self.held = b""
        size = len(data)
        p = PyBytes_AS_STRING(data)
        while at < size:
            if self.value_size >= 0:
                at += self.fill(p + at, size - at, replies)
                continue
            end = scan_replies(&self.scan, p, at, size, self.least, &large, &header)
            if end > at:
                self.pass_on(data, at, end, replies)
            at = end
            if large >= 0:
                at += header
                self.value_size = large
                self.filled = 0
                self.value = PyBytes_FromStringAndSize(NULL, large) if large <= self.largest else None
            elif at < size:
                if size - at > LINE_MAX:
                    raise ValueError(f"a line of more than {LINE_MAX} bytes")
                self.held = data[at:]
                break
        return replies

    cdef void pass_on(self, bytes data, int64_t at, int64_t end, list replies) except *:
        if at == 0 and end == len(data):
            self.reader.feed(data)
        else:
            self.reader.feed(data, at, end - at)
        gets = self.reader.gets
        incomplete = self.incomplete
        while True:
            reply = gets()
            if reply is incomplete:
                break
            replies.append(reply)

    cdef int64_t fill(self, const char* p, int64_t size, list replies) except -1:
        cdef int64_t taken = min(size, self.value_size + 2 - self.filled)
        cdef int64_t copied = min(taken, self.value_size - self.filled)
        if copied > 0 and self.value is not None:
            # Nobody else has seen this object yet, so it may still be written to.
            memcpy(PyBytes_AS_STRING(self.value) + self.filled, p, <size_t>copied)
        self.filled += taken
        if self.filled == self.value_size + 2:
            replies.append(self.value if self.value is not None else self.too_large(self.value_size))
            self.value = None
            self.value_size = -1
        return taken

    @property
    def is_between_replies(self):
        """Whether every byte so far belonged to a whole reply."""
        return self.value_size < 0 and self.scan.depth == 0 and self.scan.left == 0 and not self.held

    def __repr__(self):
        state = "between replies" if self.is_between_replies else "inside a reply"
        return f"<ReplyStream {state}>"
