"""What a request is told apart by: its id, the key it is balanced by, the endpoint its cookie names."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport uint64_t
from libc.string cimport memcpy

from tidegate.exchange.state cimport ExchangeState, client_address
from tidegate.upstream.balance cimport hash_key as hash_of
from tidegate.upstream.endpoint cimport HASH_CLIENT_IP, HASH_COOKIE, HASH_PATH, HASH_QUERY, Endpoint, Upstream
from tidegate.wire.http1 cimport FIELD_HAS_UNDERSCORE, FIELD_X_REQUEST_ID, Field, Span
from tidegate.wire.parameters cimport cookie_of, field_of, parameter_of

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
    cdef Span value
    cdef bytes address
    cdef bint found
    if upstream.hash_source == HASH_CLIENT_IP:
        address = client_address(x)
        return hash_of(PyBytes_AS_STRING(address), PyBytes_GET_SIZE(address))
    if upstream.hash_source == HASH_PATH:
        if x.path_is_own:
            return hash_of(x.path.at, x.path.size)
        return hash_of(raw + x.request.path.start, x.request.path.size)
    if upstream.hash_source == HASH_QUERY:
        found = parameter_of(&x.request, raw, name, name_size, &value)
    elif upstream.hash_source == HASH_COOKIE:
        found = cookie_of(&x.request, raw, name, name_size, &value)
    else:
        found = field_of(&x.request, raw, name, name_size, &value)
    return hash_of(raw + value.start, value.size) if found else 0


cdef Endpoint sticky_endpoint(ExchangeState x, Endpoint avoid):
    """The endpoint that the client's cookie names; None sets the cookie anew."""
    cdef Upstream upstream = x.destination.upstream
    cdef const char* raw = x.raw.at
    cdef Span value
    cdef Endpoint endpoint = None
    if cookie_of(
        &x.request, raw, PyBytes_AS_STRING(upstream.sticky_cookie), PyBytes_GET_SIZE(upstream.sticky_cookie), &value
    ):
        endpoint = upstream.by_token(raw + value.start, value.size)
    if endpoint is not None and not endpoint.is_out and endpoint is not x.failed_endpoint and endpoint is not avoid:
        return endpoint
    return None
