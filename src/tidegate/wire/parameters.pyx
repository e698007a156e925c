"""What a request carries under a name, see ``parameters.pxd``."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stddef cimport size_t

from tidegate.wire.http1 cimport (
    COMPLETE, FIELD_COOKIE, Field, HeadLimits, RequestHead, Span, parse_request_head, reset_request_head, same_name,
)
from tidegate.wire.target cimport cookie_value, query_value


cdef bint field_of(const RequestHead* head, const char* raw, const char* name, size_t size, Span* value) noexcept nogil:
    cdef const Field* field
    cdef int i
    for i in range(head.n_fields):
        field = &head.fields[i]
        if field.name.size == size and same_name(raw + field.name.start, size, name, size):
            value[0] = field.value
            return True
    return False


cdef bint cookie_of(const RequestHead* head, const char* raw, const char* name, size_t size, Span* value) noexcept nogil:
    cdef const Field* field
    cdef int i
    for i in range(head.n_fields):
        field = &head.fields[i]
        if field.id == FIELD_COOKIE and cookie_value(raw + field.value.start, field.value.size, name, size, value):
            value.start += field.value.start
            return True
    return False


cdef bint parameter_of(const RequestHead* head, const char* raw, const char* name, size_t size, Span* value) noexcept nogil:
    if not query_value(raw + head.query.start, head.query.size, name, size, value):
        return False
    value.start += head.query.start
    return True


def parameter(str kind not None, bytes name not None, bytes head not None):
    cdef RequestHead parsed
    cdef HeadLimits limits
    cdef const char* raw = PyBytes_AS_STRING(head)
    cdef Span value
    cdef bint found
    limits.head_bytes = limits.target_bytes = 1 << 20
    limits.fields = 128
    reset_request_head(&parsed)
    if parse_request_head(raw, PyBytes_GET_SIZE(head), &limits, &parsed) != COMPLETE:
        raise ValueError("not a whole request head")
    if kind == "header":
        found = field_of(&parsed, raw, PyBytes_AS_STRING(name), PyBytes_GET_SIZE(name), &value)
    elif kind == "cookie":
        found = cookie_of(&parsed, raw, PyBytes_AS_STRING(name), PyBytes_GET_SIZE(name), &value)
    else:
        found = parameter_of(&parsed, raw, PyBytes_AS_STRING(name), PyBytes_GET_SIZE(name), &value)
    return head[value.start:value.start + value.size] if found else None
