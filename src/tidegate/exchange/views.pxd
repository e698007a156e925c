"""What a filter sees of an exchange: light views that read and change heads without building a dict."""

from libc.stdint cimport uint8_t

from tidegate.exchange.edits cimport Edits
from tidegate.exchange.state cimport ExchangeState
from tidegate.wire.http1 cimport Field

cdef class Headers:
    cdef ExchangeState exchange             # None: the exchange is over
    cdef bint is_response
    cdef const Field* _find(self, const char* name, size_t size) except? NULL
    cdef bint _is_hidden(self, const Field* field) noexcept
    cdef list _values(self, const char* name, size_t size)
    cdef Edits _edits(self)
    cdef int _put(self, int kind, name, value) except -1
    cdef inline const char* _raw(self) noexcept
    cdef ExchangeState _alive(self)

cdef class Request:
    cdef ExchangeState exchange
    cdef readonly Headers headers
    cdef ExchangeState _alive(self)

cdef class ResponseHead:
    cdef ExchangeState exchange
    cdef readonly Headers headers
    cdef ExchangeState _alive(self)

cdef class Response:
    cdef readonly int status
    cdef readonly bytes body
    cdef readonly object headers            # read-only mapping
    cdef bytes head                         # "HTTP/1.1 200 …" to the empty line

cdef Request request_view(ExchangeState exchange)       # the one of this exchange, made at first use
cdef ResponseHead response_view(ExchangeState exchange)
cdef void cut_off(ExchangeState exchange)               # at the end: views kept by a filter say so from now on
