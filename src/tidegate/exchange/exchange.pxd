"""One request with its response, from head to ``finish``."""

from libc.stdint cimport uint8_t, uint64_t

from tidegate.exchange.context cimport Context
from tidegate.exchange.state cimport Client
from tidegate.exchange.steps cimport Steps

cdef Exchange take_exchange(Context context)            # a used one if there is one to spare
cdef void give_up(Exchange exchange)                    # one whose head never came whole

cdef class Exchange(Steps):
    # what the client's connection says
    cdef void begin(self, Client client, const char* data)      # ``request`` has been parsed out of ``data``
    cdef void refuse(self, Client client, const char* data, size_t size, int status, str name)   # it could not be
    cdef void refuse_body(self, int status, str name)
    cdef void client_gone(self)                         # reset, or closed while nothing can reach it any more
    cdef void timed_out(self, bint client_is_slow)
    cdef void gateway_ends(self, str reason)            # by the gateway, which closes the client's connection next
    cdef void _enter(self, Client client)
    # phases
    cdef bint _shed(self)                               # True: answered
    cdef void _route(self)
    cdef bint _shed(self)                               # True: it has been answered
    cdef void _begin_tunnel(self)
    # inside
    cdef void _record(self, uint8_t stage, uint64_t took_ns)
    cdef bint _is_websocket(self)
    cdef bint _is_event_stream(self) noexcept
    cdef void _no_route(self, bint method_mismatch, const char* path, size_t size)
    cdef void _redirect(self)
