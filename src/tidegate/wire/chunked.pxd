"""The chunked coding on its way in: a byte-fed machine that hands out runs of data and keeps nothing."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from tidegate.wire.refusal cimport *

cdef enum:
    CHUNK_LINE_MAX = 4096       # bytes of one size line, extensions and CRLF included
    CHUNK_EXCESS_MAX = 16384    # bytes of framing a body may be ahead of its data, see ``excess``
    TRAILER_SECTION_MAX = 8192  # bytes of the trailer section, its empty line included

cdef struct ChunkedDecoder:
    # ``reset_chunked`` before the first byte; nothing is kept but this, so the bytes may be cut anywhere.
    uint8_t state
    uint8_t last                # the last-chunk was seen: what follows is the trailer section
    uint16_t line_size          # bytes of the size line so far, extensions included
    uint32_t trailer_size
    uint32_t excess             # framing bytes not paid for by data: bounds a body that is all extensions
    uint64_t left               # data bytes of the current chunk still to come

cdef void reset_chunked(ChunkedDecoder* decoder) noexcept nogil
# One step: consumes framing, then at most one run of data. Sets ``consumed`` (bytes of buf taken, data included) and
# ``data`` (the run, relative to buf; size 0: none). COMPLETE: the body has ended, its trailer section included, and
# ``consumed`` stops right behind it. NEED_MORE with data.size > 0: call again with the rest.
cdef int feed_chunked(ChunkedDecoder* decoder, const char* buf, size_t size, size_t* consumed, Span* data) noexcept nogil
