"""What a request is told apart by."""

from libc.stdint cimport uint64_t

from tidegate.exchange.state cimport ExchangeState
from tidegate.upstream.endpoint cimport Endpoint

cdef void make_request_id(ExchangeState x) noexcept         # 32 hexadecimal digits
cdef void adopt_request_id(ExchangeState x) noexcept        # a trusted proxy's, if it is one
cdef uint64_t hash_key(ExchangeState x)                     # of what the upstream's ``hash_key`` names; 0: there is none
cdef Endpoint sticky_endpoint(ExchangeState x, Endpoint avoid)              # that the client's cookie names; None: it has none that is usable
