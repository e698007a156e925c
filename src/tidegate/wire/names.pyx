"""Which field a name is, whoever spells it how.

The names the data plane treats itself are told apart by their length first, then by two or three words compared at
once; anything else is FIELD_OTHER and costs little more than the look at its length.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memchr, memcmp

cdef extern from "scan.h" nogil:
    enum: CLASS_TOKEN
    int scan_is(char byte, int wanted)
    const char* scan_table(const char* p, const char* end, int wanted)
    const char* scan_value(const char* floor, const char* p, const char* end)
    int folds_to(const char* name, const char* lower, size_t size)
    uint8_t fold_byte(char byte)

cdef enum:
    LONGEST_KNOWN = 19          # proxy-authorization


cdef uint8_t plain_field_id(const char* name, size_t size) noexcept nogil:
    if size == 2:
        if folds_to(name, "te", 2):
            return FIELD_TE
    elif size == 3:
        if folds_to(name, "via", 3):
            return FIELD_VIA
    elif size == 4:
        if folds_to(name, "host", 4):
            return FIELD_HOST
        if folds_to(name, "date", 4):
            return FIELD_DATE
    elif size == 6:
        if folds_to(name, "cookie", 6):
            return FIELD_COOKIE
        if folds_to(name, "server", 6):
            return FIELD_SERVER
        if folds_to(name, "origin", 6):
            return FIELD_ORIGIN
        if folds_to(name, "expect", 6):
            return FIELD_EXPECT
    elif size == 7:
        if folds_to(name, "referer", 7):
            return FIELD_REFERER
        if folds_to(name, "upgrade", 7):
            return FIELD_UPGRADE
        if folds_to(name, "trailer", 7):
            return FIELD_TRAILER
    elif size == 9:
        if folds_to(name, "forwarded", 9):
            return FIELD_FORWARDED
    elif size == 10:
        if folds_to(name, "connection", 10):
            return FIELD_CONNECTION
        if folds_to(name, "user-agent", 10):
            return FIELD_USER_AGENT
        if folds_to(name, "set-cookie", 10):
            return FIELD_SET_COOKIE
        if folds_to(name, "keep-alive", 10):
            return FIELD_KEEP_ALIVE
    elif size == 11:
        if folds_to(name, "traceparent", 11):
            return FIELD_TRACEPARENT
    elif size == 12:
        if folds_to(name, "content-type", 12):
            return FIELD_CONTENT_TYPE
        if folds_to(name, "x-request-id", 12):
            return FIELD_X_REQUEST_ID
        if folds_to(name, "proxy-status", 12):
            return FIELD_PROXY_STATUS
    elif size == 13:
        if folds_to(name, "authorization", 13):
            return FIELD_AUTHORIZATION
        if folds_to(name, "cache-control", 13):
            return FIELD_CACHE_CONTROL
    elif size == 14:
        if folds_to(name, "content-length", 14):
            return FIELD_CONTENT_LENGTH
        if folds_to(name, "http2-settings", 14):
            return FIELD_HTTP2_SETTINGS
    elif size == 15:
        if folds_to(name, "accept-encoding", 15):
            return FIELD_ACCEPT_ENCODING
        if folds_to(name, "x-forwarded-for", 15):
            return FIELD_X_FORWARDED_FOR
    elif size == 16:
        if folds_to(name, "x-forwarded-host", 16):
            return FIELD_X_FORWARDED_HOST
        if folds_to(name, "proxy-connection", 16):
            return FIELD_PROXY_CONNECTION
    elif size == 17:
        if folds_to(name, "transfer-encoding", 17):
            return FIELD_TRANSFER_ENCODING
        if folds_to(name, "x-forwarded-proto", 17):
            return FIELD_X_FORWARDED_PROTO
    elif size == 18:
        if folds_to(name, "proxy-authenticate", 18):
            return FIELD_PROXY_AUTHENTICATE
    elif size == LONGEST_KNOWN:
        if folds_to(name, "proxy-authorization", 19):
            return FIELD_PROXY_AUTHORIZATION
    return FIELD_OTHER


cdef uint8_t field_id(const char* name, size_t size) noexcept nogil:
    cdef char spelt[LONGEST_KNOWN]
    cdef size_t i
    if size > LONGEST_KNOWN or memchr(name, c'_', size) == NULL:
        return plain_field_id(name, size)
    for i in range(size):
        spelt[i] = <char>fold_byte(name[i])
    return plain_field_id(spelt, size)


cdef bint same_name(const char* a, size_t a_size, const char* b, size_t b_size) noexcept nogil:
    cdef size_t i
    if a_size != b_size or (a_size != 0 and fold_byte(a[0]) != fold_byte(b[0])):
        return False
    if memcmp(a, b, a_size) == 0:       # as most are spelt, and several bytes at once
        return True
    for i in range(a_size):
        if a[i] != b[i] and fold_byte(a[i]) != fold_byte(b[i]):
            return False
    return True


cdef uint32_t name_hash(const char* name, size_t size) noexcept nogil:
    """FNV-1a of the folded name. Not keyed: for tables made from the configuration, whose names no client chooses."""
    cdef uint32_t value = 2166136261u
    cdef size_t i
    for i in range(size):
        value = (value ^ fold_byte(name[i])) * 16777619u
    return value


cdef bint is_token(const char* text, size_t size) noexcept nogil:
    return size > 0 and scan_table(text, text + size, CLASS_TOKEN) == text + size


cdef bint is_field_value(const char* text, size_t size) noexcept nogil:
    return scan_value(text, text, text + size) == text + size
