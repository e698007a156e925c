"""HTTP/1.1 heads and bodies as plain functions over (pointer, length): no I/O, no clock, no Python objects.

A head is parsed line by line into offsets, never copied. ``parse_*_head`` may be called again with the same
buffer grown at its end: it goes on at the first line that was not complete, so the cost is linear however the
bytes are cut. Offsets are relative to the start of the buffer given, so the buffer may move between calls.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

cdef enum:
    FIELDS_MAX = 128            # hard bound on header lines of one head; the configured one may be lower

cdef enum Verdict:              # what a parser says
    NEED_MORE = 0
    COMPLETE = 1
    # below zero: a refusal, see ``Refusal``

cdef enum Refusal:              # every reason to refuse, each has a name: ``refusal_name``; parsers return it negated
    BARE_CR = 1
    BARE_LF
    BAD_REQUEST_LINE
    BAD_METHOD
    BAD_TARGET
    BAD_VERSION
    UNSUPPORTED_VERSION         # a well-formed version other than 1.0 and 1.1: 505
    WHITESPACE_BEFORE_COLON
    OBS_FOLD
    BAD_FIELD_NAME
    BAD_FIELD_VALUE             # control bytes
    MISSING_COLON
    MISSING_HOST
    REPEATED_HOST
    BAD_HOST
    TARGET_HOST_MISMATCH        # absolute-form and Host disagree
    BOTH_FRAMINGS               # Content-Length and Transfer-Encoding
    REPEATED_CONTENT_LENGTH
    BAD_CONTENT_LENGTH
    REPEATED_TRANSFER_ENCODING
    UNSUPPORTED_TRANSFER_ENCODING   # anything but exactly "chunked"
    TRANSFER_ENCODING_IN_HTTP10
    HEAD_TOO_LARGE              # 431
    TOO_MANY_FIELDS             # 431
    TARGET_TOO_LONG             # 414
    CONNECT_REFUSED             # 405/501, see docs
    BAD_STATUS_LINE
    BAD_STATUS
    BAD_CHUNK_SIZE
    CHUNK_SIZE_OVERFLOW
    BAD_CHUNK_EXTENSION
    CHUNK_EXTENSION_TOO_LONG
    BAD_CHUNK_END               # data not followed by CRLF
    BAD_TRAILER
    TRAILER_TOO_LARGE
    BAD_EXPECT                  # anything but 100-continue: 417
    REFUSAL_COUNT

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

cdef enum FieldId:              # names the data plane treats itself; compared with "_" equal to "-"
    FIELD_OTHER = 0
    FIELD_HOST
    FIELD_CONNECTION
    FIELD_KEEP_ALIVE
    FIELD_PROXY_CONNECTION
    FIELD_PROXY_AUTHENTICATE
    FIELD_PROXY_AUTHORIZATION
    FIELD_TE
    FIELD_TRAILER
    FIELD_TRANSFER_ENCODING
    FIELD_UPGRADE
    FIELD_CONTENT_LENGTH
    FIELD_EXPECT
    FIELD_X_FORWARDED_FOR
    FIELD_X_FORWARDED_PROTO
    FIELD_X_FORWARDED_HOST
    FIELD_FORWARDED
    FIELD_VIA
    FIELD_X_REQUEST_ID
    FIELD_TRACEPARENT
    FIELD_COOKIE
    FIELD_SET_COOKIE
    FIELD_AUTHORIZATION
    FIELD_CONTENT_TYPE
    FIELD_DATE
    FIELD_SERVER
    FIELD_USER_AGENT
    FIELD_REFERER
    FIELD_ORIGIN
    FIELD_ACCEPT_ENCODING
    FIELD_CACHE_CONTROL
    FIELD_PROXY_STATUS
    FIELD_HTTP2_SETTINGS
    FIELD_ID_COUNT

cdef enum FieldFlag:
    FIELD_HAS_UNDERSCORE = 1    # the name was spelt with at least one "_"
    FIELD_NAMED_BY_CONNECTION = 2   # its name is listed in Connection: hop-by-hop

cdef enum HeadFlag:
    HEAD_KEEP_ALIVE = 1         # the connection may serve another message after this one (version and Connection)
    HEAD_UPGRADE = 2            # Connection names upgrade and an Upgrade field is there
    HEAD_EXPECT_CONTINUE = 4
    HEAD_TE_TRAILERS = 8        # TE names trailers
    HEAD_CONNECTION_NAMES = 16  # Connection lists names besides close, keep-alive, upgrade, te
    HEAD_HAS_UNDERSCORE = 32    # some field name has an underscore
    HEAD_CONNECTION_CLOSE = 64  # Connection: close was said

cdef enum TargetForm:
    TARGET_ORIGIN = 0
    TARGET_ABSOLUTE
    TARGET_ASTERISK

cdef struct Span:
    uint32_t start
    uint32_t size

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
    uint8_t started             # the request line is done
    # result, valid on COMPLETE (``fields`` up to n_fields also on NEED_MORE)
    uint32_t size               # bytes of the head with its empty line
    uint8_t method              # Method
    uint8_t minor               # HTTP/1.minor
    uint8_t target_form
    uint8_t framing             # Framing
    uint16_t n_fields
    uint32_t flags              # HeadFlag
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
    uint64_t content_length
    Span reason
    Span upgrade
    Field fields[FIELDS_MAX]

cdef struct ChunkedDecoder:
    # A chunked body on its way in; ``reset_chunked`` before the first byte.
    uint8_t state
    uint8_t last                # the last-chunk was seen: what follows is the trailer section
    uint16_t line_size          # bytes of the size line so far, extensions included
    uint32_t trailer_size
    uint64_t left               # data bytes of the current chunk still to come

cdef void reset_request_head(RequestHead* head) noexcept nogil
cdef void reset_response_head(ResponseHead* head) noexcept nogil

# Both return a Verdict, or a negated Refusal.
cdef int parse_request_head(const char* buf, size_t size, const HeadLimits* limits, RequestHead* head) noexcept nogil
# ``to_method``: method of the request it answers (HEAD has no body). 1xx heads are returned like any other, with
# FRAMING_NONE (101: FRAMING_TUNNEL); the caller goes on with the next head.
cdef int parse_response_head(const char* buf, size_t size, const HeadLimits* limits, uint8_t to_method,
                             ResponseHead* head) noexcept nogil

cdef void reset_chunked(ChunkedDecoder* decoder) noexcept nogil
# One step: consumes framing, then at most one run of data. Sets ``consumed`` (bytes of buf taken, data included) and
# ``data`` (the run, relative to buf; size 0: none). COMPLETE: the body has ended, its trailer section included, and
# ``consumed`` stops right behind it. NEED_MORE with data.size > 0: call again with the rest.
cdef int feed_chunked(ChunkedDecoder* decoder, const char* buf, size_t size, size_t* consumed, Span* data) noexcept nogil

cdef const char* refusal_name(int refusal) noexcept nogil      # "bare_lf", …
cdef int refusal_status(int refusal) noexcept nogil            # 400, 414, 417, 431, 501, 505
cdef bint same_name(const char* a, size_t a_size, const char* b, size_t b_size) noexcept nogil  # case-folded, "_" equal to "-"
cdef uint32_t name_hash(const char* name, size_t size) noexcept nogil   # equal for names that are same_name
cdef uint8_t field_id(const char* name, size_t size) noexcept nogil
cdef bint is_token(const char* text, size_t size) noexcept nogil
cdef bint is_field_value(const char* text, size_t size) noexcept nogil  # no control bytes, no surrounding white space demanded
