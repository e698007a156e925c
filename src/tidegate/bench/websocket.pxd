"""A client of a load on a WebSocket: sends a message, and its exchange ends with the next message that comes."""

from libc.stdint cimport uint8_t, uint64_t

from tidegate.bench.client cimport Client

cdef class WebSocketClient(Client):
    cdef bytes opening              # the request that asks for a WebSocket
    cdef bytes accept               # what Sec-WebSocket-Accept has to be
    # the frame that is coming in
    cdef unsigned char[10] header   # of RFC 6455 section 5.2, without a mask
    cdef uint8_t header_size
    cdef bint has_header
    cdef uint64_t left              # bytes of its payload
    cdef char[125] control          # payload of a ping
    cdef uint8_t control_size
    cdef bint _take_header(self)
    cdef void _ended_frame(self)
    cdef bint _is_accepted(self, const char* head)
