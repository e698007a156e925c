"""Names and statuses of refusals.

A name is the enumerator in lower case. Problem answers, logs and metrics carry it, so it never changes.
"""


cdef const char* refusal_name(int refusal) noexcept nogil:
    """Name of a refusal, given as it is or negated as parsers return it; "unknown" for anything else."""
    if refusal < 0:
        refusal = -refusal
    if refusal == BARE_CR:
        return "bare_cr"
    elif refusal == BARE_LF:
        return "bare_lf"
    elif refusal == BAD_REQUEST_LINE:
        return "bad_request_line"
    elif refusal == BAD_METHOD:
        return "bad_method"
    elif refusal == BAD_TARGET:
        return "bad_target"
    elif refusal == BAD_VERSION:
        return "bad_version"
    elif refusal == UNSUPPORTED_VERSION:
        return "unsupported_version"
    elif refusal == WHITESPACE_BEFORE_COLON:
        return "whitespace_before_colon"
    elif refusal == OBS_FOLD:
        return "obs_fold"
    elif refusal == BAD_FIELD_NAME:
        return "bad_field_name"
    elif refusal == BAD_FIELD_VALUE:
        return "bad_field_value"
    elif refusal == MISSING_COLON:
        return "missing_colon"
    elif refusal == MISSING_HOST:
        return "missing_host"
    elif refusal == REPEATED_HOST:
        return "repeated_host"
    elif refusal == BAD_HOST:
        return "bad_host"
    elif refusal == TARGET_HOST_MISMATCH:
        return "target_host_mismatch"
    elif refusal == BOTH_FRAMINGS:
        return "both_framings"
    elif refusal == REPEATED_CONTENT_LENGTH:
        return "repeated_content_length"
    elif refusal == BAD_CONTENT_LENGTH:
        return "bad_content_length"
    elif refusal == REPEATED_TRANSFER_ENCODING:
        return "repeated_transfer_encoding"
    elif refusal == UNSUPPORTED_TRANSFER_ENCODING:
        return "unsupported_transfer_encoding"
    elif refusal == TRANSFER_ENCODING_IN_HTTP10:
        return "transfer_encoding_in_http10"
    elif refusal == HEAD_TOO_LARGE:
        return "head_too_large"
    elif refusal == TOO_MANY_FIELDS:
        return "too_many_fields"
    elif refusal == TARGET_TOO_LONG:
        return "target_too_long"
    elif refusal == CONNECT_REFUSED:
        return "connect_refused"
    elif refusal == BAD_STATUS_LINE:
        return "bad_status_line"
    elif refusal == BAD_STATUS:
        return "bad_status"
    elif refusal == BAD_CHUNK_SIZE:
        return "bad_chunk_size"
    elif refusal == CHUNK_SIZE_OVERFLOW:
        return "chunk_size_overflow"
    elif refusal == BAD_CHUNK_EXTENSION:
        return "bad_chunk_extension"
    elif refusal == CHUNK_EXTENSION_TOO_LONG:
        return "chunk_extension_too_long"
    elif refusal == BAD_CHUNK_END:
        return "bad_chunk_end"
    elif refusal == BAD_TRAILER:
        return "bad_trailer"
    elif refusal == TRAILER_TOO_LARGE:
        return "trailer_too_large"
    elif refusal == BAD_EXPECT:
        return "bad_expect"
    return "unknown"


cdef int refusal_status(int refusal) noexcept nogil:
    """The HTTP status that answers it. A refused response is the upstream's fault: there the exchange answers 502."""
    if refusal < 0:
        refusal = -refusal
    if refusal == TARGET_TOO_LONG:
        return 414
    elif refusal == BAD_EXPECT:
        return 417
    elif refusal == HEAD_TOO_LARGE or refusal == TOO_MANY_FIELDS:
        return 431
    elif refusal == CONNECT_REFUSED:
        return 501
    elif refusal == UNSUPPORTED_VERSION:
        return 505
    return 400
