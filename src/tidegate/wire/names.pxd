"""Identity of field names: ASCII case is folded and "_" equals "-", because CGI and WSGI upstreams read both alike."""

from libc.stdint cimport uint8_t, uint32_t

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

cdef bint same_name(const char* a, size_t a_size, const char* b, size_t b_size) noexcept nogil
cdef uint32_t name_hash(const char* name, size_t size) noexcept nogil   # equal for names that are same_name
cdef uint8_t field_id(const char* name, size_t size) noexcept nogil     # of a token; FIELD_OTHER for all else
cdef uint8_t plain_field_id(const char* name, size_t size) noexcept nogil   # the same where no "_" is in it
cdef bint is_token(const char* text, size_t size) noexcept nogil
cdef bint is_field_value(const char* text, size_t size) noexcept nogil  # no control bytes, no surrounding white space demanded
