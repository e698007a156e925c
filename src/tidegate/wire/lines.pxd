"""Small things that every reader of lines needs, inlined where they are used."""

from libc.stdint cimport uint32_t
from libc.string cimport memchr

from tidegate.wire.refusal cimport BARE_CR, BARE_LF, Span

cdef enum Line:                 # what a reader of one line says; below zero: a negated Refusal
    INCOMPLETE = 0              # no line feed yet
    DONE = 1

cdef inline Span span(const char* buf, const char* start, const char* end) noexcept nogil:
    cdef Span found
    found.start = <uint32_t>(start - buf)
    found.size = <uint32_t>(end - start)
    return found


cdef inline bint is_blank(char byte) noexcept nogil:
    return byte == c' ' or byte == c'\t'


cdef inline const char* find(const char* p, const char* end, char byte) noexcept nogil:
    return <const char*>memchr(p, byte, end - p) if p < end else NULL


cdef inline int line_end_refusal(const char* p, const char* end, int otherwise) noexcept nogil:
    """What to say of a byte that does not belong: a bare CR or LF is named as such, a line that is over is ``otherwise``."""
    if p[0] == c'\n':
        return -BARE_LF
    if p[0] == c'\r':
        if p + 1 == end:
            return INCOMPLETE
        if p[1] != c'\n':
            return -BARE_CR
    return -otherwise
