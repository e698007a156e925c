"""Outgoing heads: the lines that came, less those that end here, and the gateway's own."""

from libc.stdint cimport uint64_t

from tidegate.exchange.state cimport ExchangeState

cdef size_t request_room(ExchangeState x) noexcept      # bytes that composing may need at most
cdef size_t response_room(ExchangeState x) noexcept
cdef size_t compose_request(ExchangeState x, char* out, const char* host, size_t host_size, bint allow_underscores)
cdef size_t compose_response(ExchangeState x, char* out, bint close)
cdef bytes forwarding_lines(bytes address, bint is_tls)
