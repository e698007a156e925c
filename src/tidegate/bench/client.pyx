"""One client: what is sent goes out whole, what comes back is read by the gateway's own strict codec.

An answer that the gateway would not pass on (two lengths, a bare line feed) is an error here too, with the same name: a
server is not fast for answering wrongly. A connection is dialled, kept, found dead and judged by ``UpstreamConnection``,
as the gateway's are, so that kinds of failure are those of the gateway's log (RFC 9209).
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport uint64_t

from tidegate.upstream.connection cimport UpstreamConnection, open_connection
from tidegate.upstream.pool cimport DIAL
from tidegate.wire.http1 cimport (
    COMPLETE, FRAMING_CHUNKED, FRAMING_CLOSE, FRAMING_LENGTH, FRAMING_NONE, FRAMING_TUNNEL, HEAD_KEEP_ALIVE, METHOD_GET,
    METHOD_HEAD, NEED_MORE, HeadLimits, Span, feed_chunked, parse_response_head, refusal_name, reset_chunked,
    reset_response_head,
)

import os

from tidegate.errors import kind_of_errno
from tidegate.upstream.retry import kind_of_dial_errno

cdef HeadLimits LIMITS
LIMITS.head_bytes = 131072
LIMITS.target_bytes = 0
LIMITS.fields = 128

cdef enum:
    # A deadline of the connection's own would be for its silence; a load has one for the whole exchange instead.
    NO_DEADLINE_MS = 86400000


cdef class Crew:

    cdef void connected(self, Client client):
        raise NotImplementedError

    cdef void opened(self, Client client):
        raise NotImplementedError

    cdef void answered(self, Client client):
        raise NotImplementedError

    cdef void failed(self, Client client, str kind, str detail):
        raise NotImplementedError

    cdef void lost(self, Client client):
        raise NotImplementedError


cdef class Client(Asker):

    cdef bint is_busy(self) noexcept:
        return self.state != CLOSED and self.state != IDLE

    # -- asking ---------------------------------------------------------------------------------------------------------

    cdef void open(self):
        self.request = None
        self.due_ns = self.begun_ns = self.crew.reactor.now_ns
        self._dial()

    cdef void begin(self, bytes request, bint is_head, uint64_t due_ns):
        self.request = request
        self.is_head = is_head
        self.due_ns = due_ns
        self.begun_ns = self.crew.reactor.now_ns
        if self.connection is None:
            self._dial()
        else:
            self._send(request)

    cdef void _dial(self):
        cdef Crew crew = self.crew
        cdef UpstreamConnection connection
        cdef int failure
        self.state = DIALLING
        if crew.pool.decide(crew.pool.peer, crew.reactor.now_ms) != DIAL:
            raise RuntimeError(f"{crew.pool!r} has no room for a client of its own load")
        connection = open_connection(crew.reactor, crew.pool, crew.settings, 0)
        connection.attach(self, NO_DEADLINE_MS)
        failure = connection.dial()
        if failure != 0:
            self.fail(str(kind_of_dial_errno(failure, is_unix=crew.pool.peer.is_unix)), os.strerror(failure))

    cdef void _send(self, bytes text):
        cdef UpstreamConnection connection = self.connection
        self.state = AWAITING
        self.crew.bytes_out += PyBytes_GET_SIZE(text)
        if connection.send(PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text)) < 0:
            if connection.error == -1:
                self.fail("tls_protocol_error", connection.tls.failure)
            else:
                self.fail(str(kind_of_errno(connection.error, connected=True)), os.strerror(connection.error))

    cdef void hang_up(self):
        if self.connection is not None:
            self.connection.end()
        self.state = CLOSED

    cdef void fail(self, str kind, str detail):
        self.hang_up()
        self.crew.failed(self, kind, detail)

    # -- what the connection says -----------------------------------------------------------------------------------------

    cdef void upstream_connected(self):
        self.crew.connected(self)
        self.greet()

    cdef void greet(self):
        self.state = IDLE
        if self.request is not None:
            self._send(self.request)
        else:
            self.crew.opened(self)

    cdef void upstream_failed(self, object kind, str detail):
        cdef bint was_idle = self.state == IDLE
        self.state = CLOSED
        if was_idle:
            self.crew.lost(self)
        else:
            self.crew.failed(self, str(kind), detail)

    cdef void upstream_ended(self, bint is_truncated):
        if self.state == IDLE:
            self.hang_up()
            self.crew.lost(self)
        elif self.state == READING and self.framing == FRAMING_CLOSE and not is_truncated:
            self._finish()
        elif self.state == READING or self.connection.held_size != 0:
            self.fail("http_response_incomplete", "closed in the middle of its answer")
        else:
            self.fail("connection_terminated", "closed before it answered")

    cdef bint awaits_upstream(self):
        return False

    cdef void upstream_bytes(self, char* data, size_t size):
        self.crew.bytes_in += size
        self.read(data, size)

    # -- answers ----------------------------------------------------------------------------------------------------------

    cdef void read(self, char* data, size_t size):
        if self.state == READING:
            self._read_body(data, size)
        elif self.state != AWAITING:
            self.hang_up()      # it sent what nobody had asked for, as the gateway's pools see it too
            self.crew.lost(self)
        elif self._read_head(&data, &size) == COMPLETE:
            self.status = self.crew.head.status
            self.keeps = self.crew.head.flags & HEAD_KEEP_ALIVE != 0
            self.framing = self.crew.head.framing
            self.body_left = self.crew.head.content_length if self.framing == FRAMING_LENGTH else 0
            self.state = READING
            if self.framing == FRAMING_CHUNKED:
                reset_chunked(&self.chunks)
            elif self.framing == FRAMING_TUNNEL:
                self.keeps = False
                self._finish()
                return
            if size != 0 or self.framing == FRAMING_NONE or (self.framing == FRAMING_LENGTH and self.body_left == 0):
                self._read_body(data, size)

    cdef int _read_head(self, char** data, size_t* size):
        """The next head that is no interim answer, into ``crew.head``; ``data`` and ``size`` are what follows it."""
        cdef UpstreamConnection connection = self.connection
        cdef ResponseHead* head = &self.crew.head
        cdef int verdict
        if connection.held_size != 0:
            connection.hold(data[0], size[0])
            data[0] = connection.held
            size[0] = connection.held_size
        while True:
            reset_response_head(head)
            verdict = parse_response_head(data[0], size[0], &LIMITS, METHOD_HEAD if self.is_head else METHOD_GET, head)
            if verdict == NEED_MORE:
                if data[0] != connection.held or size[0] != connection.held_size:
                    connection.rehold(data[0], size[0])
                return NEED_MORE
            if verdict < 0:
                self.fail("http_protocol_error", refusal_name(-verdict).decode())
                return -1
            data[0] += head.size
            size[0] -= head.size
            if head.status >= 200 or head.status == 101:
                connection.held_size = 0        # what ``data`` points to stays where it is until more is held
                return COMPLETE

    cdef void _read_body(self, char* data, size_t size):
        cdef size_t taken
        cdef Span run
        cdef int verdict
        if self.framing == FRAMING_CLOSE:
            return
        if self.framing == FRAMING_CHUNKED:
            while True:
                verdict = feed_chunked(&self.chunks, data, size, &taken, &run)
                if verdict < 0:
                    self.fail("http_protocol_error", refusal_name(-verdict).decode())
                    return
                data += taken
                size -= taken
                if verdict == COMPLETE:
                    break
                if size == 0 or taken == 0:
                    return
        elif size < self.body_left:
            self.body_left -= size
            return
        else:
            size -= self.body_left
            self.body_left = 0
        if size != 0:
            self.fail("http_protocol_error", "sent more than its answer")
            return
        self._finish()

    cdef void _finish(self):
        if self.crew.is_fresh or not self.keeps or self.framing == FRAMING_CLOSE:
            self.hang_up()
        else:
            self.state = IDLE
        self.crew.answered(self)
