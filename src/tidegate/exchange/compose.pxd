"""Outgoing heads: the lines that came, less those that end here, and the gateway's own."""

from libc.stdint cimport uint64_t

from tidegate.exchange.state cimport ExchangeState
from tidegate.wire.http1 cimport ResponseHead

cdef size_t request_room(ExchangeState x) noexcept      # bytes that composing may need at most
cdef size_t response_room(ExchangeState x) noexcept
cdef size_t compose_request(ExchangeState x, char* out, const char* host, size_t host_size, bint allow_underscores)
cdef size_t compose_response(ExchangeState x, char* out, bint close)
cdef size_t compose_interim(const ResponseHead* head, const char* raw, char* out) noexcept
cdef bytes forwarding_lines(bytes address, bint is_tls)
cdef bytes forwarded_element(bytes address, bint is_tls)
