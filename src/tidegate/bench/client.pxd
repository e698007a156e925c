"""One client of a load: a connection with one exchange at a time, dialled anew when it has gone."""

from libc.stdint cimport uint8_t, uint16_t, uint64_t

from tidegate.net.reactor cimport Reactor
from tidegate.upstream.connection cimport Asker, DialSettings
from tidegate.upstream.pool cimport Pool
from tidegate.wire.http1 cimport ChunkedDecoder, ResponseHead

cdef class Client

cdef class Crew:
    """Whom clients work for: what they share, and who hears of what became of them.

    A client may be given its next exchange within ``opened``, ``answered`` and ``lost``, never within ``failed``: a
    dial that fails at once would be a call within a call, without end.
    """
    cdef Reactor reactor
    cdef Pool pool                          # counts the connections; nothing idles in it
    cdef DialSettings settings
    cdef bint is_fresh                      # a connection for each exchange
    cdef ResponseHead head                  # of the answer that is being read: never longer than one callback
    cdef readonly uint64_t bytes_in         # of answers, framing included
    cdef readonly uint64_t bytes_out
    cdef void connected(self, Client client)                        # TCP and TLS are done
    cdef void opened(self, Client client)                           # it may be used
    cdef void answered(self, Client client)                         # ``status`` says how
    cdef void failed(self, Client client, str kind, str detail)     # its exchange, or its opening
    cdef void lost(self, Client client)                             # the server closed it while it was idle

cdef enum ClientState:
    CLOSED = 0
    DIALLING
    OPENING             # connected, and what makes it usable is under way (WebSocket)
    IDLE
    AWAITING            # sent, no whole head yet
    READING             # the body

cdef class Client(Asker):
    # connection
    cdef Crew crew
    cdef uint8_t state
    # exchange
    cdef bytes request                      # None: it is only opened
    cdef bint is_head                       # HEAD: its answer has no body
    cdef uint64_t due_ns                    # when it should have begun
    cdef uint64_t begun_ns                  # when it did
    cdef uint16_t status
    cdef bint keeps                         # the connection may be used again
    cdef uint8_t framing
    cdef uint64_t body_left
    cdef ChunkedDecoder chunks
    cdef void open(self)                                            # dials, with nothing to send yet
    cdef void begin(self, bytes request, bint is_head, uint64_t due_ns)
    cdef void fail(self, str kind, str detail)
    cdef void hang_up(self)
    cdef bint is_busy(self) noexcept                                # an exchange is under way
    # for subclasses
    cdef void greet(self)                                           # connected: what makes it usable
    cdef void read(self, char* data, size_t size)
    cdef void _dial(self)
    cdef void _send(self, bytes text)
    cdef int _read_head(self, char** data, size_t* size)            # COMPLETE, NEED_MORE, or -1: failed, gone
    cdef void _read_body(self, char* data, size_t size)
    cdef void _finish(self)
