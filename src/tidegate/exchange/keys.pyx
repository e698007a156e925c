"""What a request is told apart by: its id, the key it is balanced by, the endpoint its cookie names."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport uint64_t
from libc.string cimport memcpy

from tidegate.exchange.state cimport ExchangeState, client_address
from tidegate.upstream.balance cimport hash_key as hash_of
from tidegate.upstream.endpoint cimport HASH_CLIENT_IP, HASH_COOKIE, HASH_PATH, HASH_QUERY, Endpoint, Upstream
from tidegate.wire.http1 cimport FIELD_COOKIE, FIELD_HAS_UNDERSCORE, FIELD_X_REQUEST_ID, Field, Span, same_name
from tidegate.wire.target cimport cookie_value, query_value

cdef char* HEX = b"0123456789abcdef"


cdef void make_request_id(ExchangeState x) noexcept:
    cdef uint64_t word
    cdef int i, part
    for part in range(2):
        word = x.context.next_random()
        for i in range(16):
            x.request_id[part * 16 + i] = HEX[word & 15]
            word >>= 4
    x.request_id_size = 32


cdef void adopt_request_id(ExchangeState x) noexcept:
    """A trusted proxy's id is kept, if it is one. In another spelling the proxy may have let it through from anybody."""
    cdef const Field* field
    cdef int i
    for i in range(x.request.n_fields):
        field = &x.request.fields[i]
        if field.id == FIELD_X_REQUEST_ID and not field.flags & FIELD_HAS_UNDERSCORE and 0 < field.value.size <= 64:
            memcpy(x.request_id, x.raw.at + field.value.start, field.value.size)
            x.request_id_size = field.value.size
            return


cdef uint64_t hash_key(ExchangeState x):
    """Hash of what ``consistent_hash`` looks at; 0 when the request has none."""
    cdef Upstream upstream = x.destination.upstream
    cdef const char* raw = x.raw.at
    cdef const char* name = PyBytes_AS_STRING(upstream.hash_name)
    cdef size_t name_size = PyBytes_GET_SIZE(upstream.hash_name)
    cdef const Field* field
    cdef Span value
    cdef bytes address
    cdef int i
    if upstream.hash_source == HASH_CLIENT_IP:
        address = client_address(x)
        return hash_of(PyBytes_AS_STRING(address), PyBytes_GET_SIZE(address))
    if upstream.hash_source == HASH_PATH:
        if x.path_is_own:
            return hash_of(x.path.at, x.path.size)
        return hash_of(raw + x.request.path.start, x.request.path.size)
    if upstream.hash_source == HASH_QUERY:
        if query_value(raw + x.request.query.start, x.request.query.size, name, name_size, &value):
            return hash_of(raw + x.request.query.start + value.start, value.size)
        return 0
    for i in range(x.request.n_fields):
        field = &x.request.fields[i]
        if upstream.hash_source == HASH_COOKIE:
            if field.id == FIELD_COOKIE and cookie_value(
                raw + field.value.start, field.value.size, name, name_size, &value
            ):
                return hash_of(raw + field.value.start + value.start, value.size)
        elif field.name.size == name_size and same_name(raw + field.name.start, name_size, name, name_size):
            return hash_of(raw + field.value.start, field.value.size)
    return 0


cdef Endpoint sticky_endpoint(ExchangeState x):
    """The endpoint that the client's cookie names; None sets the cookie anew."""
    cdef Upstream upstream = x.destination.upstream
    cdef const char* raw = x.raw.at
    cdef const Field* field
    cdef Span value
    cdef Endpoint endpoint = None
    cdef int i
    for i in range(x.request.n_fields):
        field = &x.request.fields[i]
        if field.id == FIELD_COOKIE and cookie_value(
            raw + field.value.start, field.value.size, PyBytes_AS_STRING(upstream.sticky_cookie),
            PyBytes_GET_SIZE(upstream.sticky_cookie), &value,
        ):
            endpoint = upstream.by_token(raw + field.value.start + value.start, value.size)
            break
    if endpoint is not None and not endpoint.is_out and endpoint is not x.failed_endpoint:
        return endpoint
    return None
