"""What the codecs say: where something is in the caller's buffer, how far they are, and why they refuse."""

from libc.stdint cimport uint32_t

cdef struct Span:               # offsets from the start of the buffer given
    uint32_t start
    uint32_t size

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

cdef const char* refusal_name(int refusal) noexcept nogil      # "bare_lf", …
cdef int refusal_status(int refusal) noexcept nogil            # 400, 414, 417, 431, 501, 505
