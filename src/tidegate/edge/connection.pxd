"""A client's connection: heads and bodies in, answers out, and an end that loses nothing."""

from libc.stdint cimport int64_t, uint8_t, uint64_t

from tidegate.edge.connection_settings cimport ConnectionSettings
from tidegate.exchange.context cimport Context
from tidegate.exchange.exchange cimport Exchange
from tidegate.exchange.state cimport Client

cdef enum Mode:
    HANDSHAKE = 0
    IDLE                        # between two requests
    READING_HEAD
    IN_EXCHANGE
    IN_TUNNEL
    LINGERING                   # answered; what the client still sends is read and thrown away

cdef class Connection(Client):
    # process
    cdef Context context
    cdef object owner                       # Listener: told when the connection ends
    # connection
    cdef ConnectionSettings settings
    cdef uint8_t mode
    cdef object address_key                 # for the bound per address; None: not counted
    cdef char* kept                         # bytes that were read and could not be used yet
    cdef size_t kept_size
    cdef size_t kept_room
    cdef bint is_consuming                  # ``window`` is valid, and being worked through further up the stack
    # exchange
    cdef Exchange exchange
    cdef uint64_t io_deadline_ms            # the client has to move something until then; 0: nothing is expected of it
    cdef void accepted(self, object tls_context)
    cdef void apply_settings(self) noexcept
    cdef void _consume(self)
    cdef void _open_window(self, char* data, size_t size) except *
    cdef void _close_window(self) except *
    cdef void _pump(self)
    cdef void _at_eof(self)
    cdef void _gone(self)
    cdef void _half_closed(self)
    cdef void _end(self)
    cdef void _close_when_taken(self)
    cdef void _rest(self) noexcept
    cdef void _linger(self)
    cdef void _arm(self) noexcept
    cdef bint _swallow_body(self)
    cdef void _reset_on_close(self)
    cdef int _keep_bytes(self, const char* data, size_t size) except -1
