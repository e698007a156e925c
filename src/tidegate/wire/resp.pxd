"""Replies of a Redis server (RESP2 and RESP3) out of the bytes of a connection; large values are assembled in place."""

from libc.stdint cimport int64_t

cdef enum:
    NESTING_MAX = 32            # aggregates within aggregates; servers send three at most
    HEADER_MAX = 32             # of a line this much is looked at: its type and a number
    LINE_MAX = 1 << 20          # bytes of a line that has no end yet

cdef struct Scan:
    int64_t left                # bytes of a payload still to come, its CRLF included
    int64_t elements[32]        # of each open aggregate, still to come
    int depth
    int line_size               # of a line that was cut, inside an aggregate
    char line[32]
    bint is_lost                # what came is no RESP: the reader will say so

# From ``at`` to where a large top-level string begins, to where a line was cut between two replies, or to ``size``.
# ``large`` is set to the size of that string and ``header`` to that of its header line; -1: there is none.
cdef int64_t scan_replies(
    Scan* scan, const char* p, int64_t at, int64_t size, int64_t least, int64_t* large, int64_t* header
) noexcept nogil

cdef class ReplyStream:
    cdef object reader          # hiredis.Reader
    cdef object incomplete
    cdef object too_large
    cdef int64_t least
    cdef int64_t largest
    cdef Scan scan
    cdef bytes held             # the beginning of a line between two replies
    # a large value under way: the bytes it will be (None: it is skipped), and how far it has come
    cdef bytes value
    cdef int64_t value_size     # -1: none is under way
    cdef int64_t filled         # the CRLF behind it included
    cdef void pass_on(self, bytes data, int64_t at, int64_t end, list replies) except *
    cdef int64_t fill(self, const char* p, int64_t size, list replies) except -1
