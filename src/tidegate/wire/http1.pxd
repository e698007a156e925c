"""HTTP/1.1 heads and bodies as plain functions over (pointer, length): no I/O, no clock, no Python objects.

A head is parsed line by line into offsets, never copied. ``parse_*_head`` may be called again with the same
buffer grown at its end: it goes on at the first line that was not complete, so the cost is linear however the
bytes are cut. Offsets are relative to the start of the buffer given, so the buffer may move between calls.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

# One import for users of the codec: what these name is cimported from here.
from tidegate.wire.chunked cimport ChunkedDecoder, feed_chunked, reset_chunked
from tidegate.wire.names cimport *
from tidegate.wire.refusal cimport *

cdef enum:
    FIELDS_MAX = 128            # hard bound on header lines of one head; the configured one may be lower

cdef enum Method:               # METHOD_OTHER: any other token
    METHOD_OTHER = 0
    METHOD_GET
    METHOD_HEAD
    METHOD_POST
    METHOD_PUT
    METHOD_DELETE
    METHOD_OPTIONS
    METHOD_PATCH
    METHOD_TRACE
    METHOD_CONNECT

cdef enum Framing:
    FRAMING_NONE = 0            # no body
    FRAMING_LENGTH
    FRAMING_CHUNKED
    FRAMING_CLOSE               # until the peer closes (responses only)
    FRAMING_TUNNEL              # after 101: no longer HTTP

cdef enum FieldFlag:
    FIELD_HAS_UNDERSCORE = 1    # the name was spelt with at least one "_"
    FIELD_NAMED_BY_CONNECTION = 2   # its name is listed in Connection: hop-by-hop
    FIELD_HIDDEN = 4            # set by who reads it for himself: it goes no further

cdef enum HeadFlag:
    HEAD_KEEP_ALIVE = 1         # the connection may serve another message after this one (version and Connection)
    HEAD_UPGRADE = 2            # Connection names upgrade and an Upgrade field is there
    HEAD_EXPECT_CONTINUE = 4
    HEAD_TE_TRAILERS = 8        # TE names trailers
    HEAD_CONNECTION_NAMES = 16  # Connection lists names besides close, keep-alive, upgrade, te
    HEAD_HAS_UNDERSCORE = 32    # some field name has an underscore
    HEAD_CONNECTION_CLOSE = 64  # Connection: close was said
    HEAD_HAS_HIDDEN = 128       # some field is FIELD_HIDDEN

cdef enum TargetForm:
    TARGET_ORIGIN = 0
    TARGET_ABSOLUTE
    TARGET_ASTERISK

cdef struct Field:
    # One header line. The whole line, CRLF included, is [name.start, line_end).
    Span name
    Span value                  # without surrounding white space
    uint32_t line_end
    uint8_t id                  # FieldId
    uint8_t flags               # FieldFlag

cdef struct HeadLimits:
    uint32_t head_bytes         # whole head
    uint32_t target_bytes
    uint16_t fields

cdef struct RequestHead:
    # progress: private to the parser; ``reset_request_head`` before the first call for a message
    uint32_t at                 # start of the first line not yet parsed
    uint32_t scanned            # no line feed between ``at`` and here
    uint8_t started             # how far the request line is
    # result, valid on COMPLETE (``fields`` up to n_fields also on NEED_MORE)
    uint32_t size               # bytes of the head with its empty line
    uint8_t method              # Method
    uint8_t minor               # HTTP/1.minor
    uint8_t target_form
    uint8_t framing             # Framing
    uint16_t n_fields
    uint32_t flags              # HeadFlag
    uint64_t seen               # bit (1 << FieldId) of every field there is, but for those spelt with "_"
    uint64_t content_length
    Span method_text
    Span target                 # as sent
    Span path                   # raw path within target ("/" where absolute-form has none)
    Span query                  # after "?", without it; size 0 with start 0 when there is none
    Span host                   # authority without userinfo: from the target if absolute, else from Host; size 0 when absent (1.0)
    Span upgrade                # value of Upgrade when HEAD_UPGRADE
    Field fields[FIELDS_MAX]

cdef struct ResponseHead:
    uint32_t at
    uint32_t scanned
    uint8_t started
    uint32_t size
    uint16_t status             # 100..999
    uint8_t minor
    uint8_t framing
    uint16_t n_fields
    uint32_t flags
    uint64_t seen
    uint64_t content_length
    Span reason
    Span upgrade
    Field fields[FIELDS_MAX]

cdef void reset_request_head(RequestHead* head) noexcept nogil
cdef void reset_response_head(ResponseHead* head) noexcept nogil

# Both return a Verdict, or a negated Refusal.
cdef int parse_request_head(const char* buf, size_t size, const HeadLimits* limits, RequestHead* head) noexcept nogil
# ``to_method``: method of the request it answers (HEAD has no body). 1xx heads are returned like any other, with
# FRAMING_NONE (101: FRAMING_TUNNEL); the caller goes on with the next head.
cdef int parse_response_head(const char* buf, size_t size, const HeadLimits* limits, uint8_t to_method,
                             ResponseHead* head) noexcept nogil
