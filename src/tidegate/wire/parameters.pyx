"""What a request carries under a name, see ``parameters.pxd``."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stddef cimport size_t
from libc.stdint cimport uint32_t
from libc.string cimport memchr

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


cdef bint only_field_of(const RequestHead* head, const char* raw, const char* name, size_t size, Span* value) noexcept nogil:
    cdef const Field* field
    cdef bint found = False
    cdef int i
    for i in range(head.n_fields):
        field = &head.fields[i]
        if field.name.size == size and same_name(raw + field.name.start, size, name, size):
            if found:
                return False
            found = True
            value[0] = field.value
    return found


ctypedef bint (*_value_of)(const char* text, size_t size, const char* name, size_t name_size, Span* value) noexcept nogil


cdef bint _is_only(
    _value_of value_of, char separator, const char* raw, size_t start, size_t size, const char* name, size_t name_size,
    Span* value, bint* found,
) noexcept nogil:
    """Whether no piece of a list has the name again; ``found``, which may be so already, says whether one has it."""
    cdef const char* p = raw + start
    cdef const char* end = p + size
    cdef const char* stop
    cdef Span one
    while p < end:
        stop = <const char*>memchr(p, separator, end - p)
        if stop == NULL:
            stop = end
        if value_of(p, stop - p, name, name_size, &one):
            if found[0]:
                return False
            found[0] = True
            value.start = <uint32_t>(p - raw) + one.start
            value.size = one.size
        p = stop + 1
    return True


cdef bint only_cookie_of(const RequestHead* head, const char* raw, const char* name, size_t size, Span* value) noexcept nogil:
    cdef const Field* field
    cdef bint found = False
    cdef int i
    for i in range(head.n_fields):
        field = &head.fields[i]
        if field.id == FIELD_COOKIE and not _is_only(
            cookie_value, c";", raw, field.value.start, field.value.size, name, size, value, &found
        ):
            return False
    return found


cdef bint only_parameter_of(const RequestHead* head, const char* raw, const char* name, size_t size, Span* value) noexcept nogil:
    cdef bint found = False
    return _is_only(query_value, c"&", raw, head.query.start, head.query.size, name, size, value, &found) and found


def parameter(str kind not None, bytes name not None, bytes head not None, bint is_only=False):
    cdef RequestHead parsed
    cdef HeadLimits limits
    cdef const char* raw = PyBytes_AS_STRING(head)
    cdef const char* text = PyBytes_AS_STRING(name)
    cdef size_t size = PyBytes_GET_SIZE(name)
    cdef Span value
    cdef bint found
    limits.head_bytes = limits.target_bytes = 1 << 20
    limits.fields = 128
    reset_request_head(&parsed)
    if parse_request_head(raw, PyBytes_GET_SIZE(head), &limits, &parsed) != COMPLETE:
        raise ValueError("not a whole request head")
    if kind == "header":
        found = (only_field_of if is_only else field_of)(&parsed, raw, text, size, &value)
    elif kind == "cookie":
        found = (only_cookie_of if is_only else cookie_of)(&parsed, raw, text, size, &value)
    else:
        found = (only_parameter_of if is_only else parameter_of)(&parsed, raw, text, size, &value)
    return head[value.start:value.start + value.size] if found else None
