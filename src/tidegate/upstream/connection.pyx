"""One connection to a peer.

It is dialled for one asker, carries one exchange at a time, and goes back to its pool only when the exchange ended cleanly:
answer complete, request sent whole, nothing unread. Anything else closes it; a reply can then never reach somebody else.
An event on an idle connection (the server closed it, or spoke out of turn) closes it too.

connect(2) on a unix socket answers EAGAIN when the server's listen queue is full, and no event tells when it no longer is:
that is tried again every few milliseconds until the connect deadline, and is no reason to eject anybody.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_RawFree, PyMem_RawRealloc
from libc.errno cimport errno
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memmove

from tidegate.net.reactor cimport SCRATCH_SIZE, Reactor
from tidegate.net.stream cimport READ_EOF, READ_NOTHING
from tidegate.net.syscalls cimport (
    AF_UNIX, EAGAIN, EINPROGRESS, EINTR, EPOLLERR, EPOLLHUP, EPOLLOUT, IP_BIND_ADDRESS_NO_PORT, IPPROTO_IP, IPPROTO_TCP,
    SO_ERROR, SO_KEEPALIVE, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_STREAM, SOL_SOCKET, TCP_KEEPCNT, TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_NODELAY, TCP_USER_TIMEOUT,
    bind, connect, getsockname, getsockopt, setsockopt, sockaddr, sockaddr_storage, socket, socklen_t,
)
from tidegate.net.tls cimport TlsSession
from tidegate.upstream.pool cimport Pool

import os

from tidegate.errors import Kind, kind_of_errno
from tidegate.upstream.retry import kind_of_dial_errno
from tidegate.upstream.tls import client_context

cdef enum:
    READS_IN_A_ROW = 4      # then others get their turn
    FULL_QUEUE_PAUSE_MS = 2


cdef class Asker(Waiter):

    cdef void upstream_connected(self):
        raise NotImplementedError

    cdef void upstream_failed(self, object kind, str detail):
        raise NotImplementedError

    cdef void upstream_bytes(self, char* data, size_t size):
        raise NotImplementedError

    cdef ssize_t splice_answer(self):
        return NOT_SPLICED

    cdef void upstream_ended(self, bint is_truncated):
        raise NotImplementedError

    cdef void upstream_drained(self):
        pass

    cdef bint awaits_upstream(self):
        return True


cdef class DialSettings:
    """connect_timeout in seconds; keepalive and user_timeout in seconds, or None for off."""

    def __init__(self, double connect_timeout, keepalive=None, user_timeout=None):
        self.connect_timeout_ms = <uint64_t>(connect_timeout * 1000)
        self.keepalive_s = 0 if keepalive is None else max(1, round(keepalive))
        self.user_timeout_ms = 0 if user_timeout is None else round(user_timeout * 1000)


cdef UpstreamConnection open_connection(object reactor, Pool pool, DialSettings settings, uint64_t serial):
    """A connection for a place that ``pool`` gave; not dialled yet."""
    cdef UpstreamConnection connection = UpstreamConnection.__new__(UpstreamConnection)
    connection.reactor = <Reactor>reactor
    connection.settings = settings
    connection.serial = serial
    connection.is_unix = pool.peer.is_unix
    pool.adopt(connection, connection.reactor.now_ms)
    return connection


cdef object _kind_of_tls(TlsSession session):
    """Whether we do not believe the server, it does not believe us, or it speaks something else."""
    if session.is_certificate_failure:
        return Kind.TLS_CERTIFICATE_ERROR
    if " alert " in session.failure:
        return Kind.TLS_ALERT_RECEIVED
    return Kind.TLS_PROTOCOL_ERROR


cdef class UpstreamConnection(PooledConnection):

    def __dealloc__(self):
        PyMem_RawFree(self.held)

    # -- dialling ---------------------------------------------------------------------------------------------------

    cdef int dial(self):
        """Begins to connect; the asker hears of the end. 0, or the errno of what failed at once (it is closed then)."""
        cdef int fd = socket(self.peer.family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)
        cdef int failure
        if fd < 0:
            failure = errno
            self.end()
            return failure
        self.fd = fd
        self.state = CONNECTING
        self.is_writable = False
        self.dialled_ns = self.reactor.now_ns
        self.connect_deadline_ms = self.reactor.now_ms + self.settings.connect_timeout_ms
        failure = self._configure()
        if failure == 0:
            failure = self._connect()
        if failure == 0:
            try:
                self.reactor.register(self)
            except OSError as error:
                failure = error.errno
        if failure == EAGAIN and self.peer.is_unix:
            self._wait_for_queue()
            return 0
        if failure != 0:
            self.end()
            return failure
        self.set_deadline(self.connect_deadline_ms)
        return 0

    cdef int _configure(self):
        cdef int one = 1
        cdef int value
        cdef uint32_t timeout
        cdef bytes source
        if self.peer.family == AF_UNIX:
            return 0
        setsockopt(self.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one))
        if self.settings.keepalive_s:
            setsockopt(self.fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one))
            value = self.settings.keepalive_s
            setsockopt(self.fd, IPPROTO_TCP, TCP_KEEPIDLE, &value, sizeof(value))
            value = max(1, value // 4)
            setsockopt(self.fd, IPPROTO_TCP, TCP_KEEPINTVL, &value, sizeof(value))
            value = 4
            setsockopt(self.fd, IPPROTO_TCP, TCP_KEEPCNT, &value, sizeof(value))
        if self.settings.user_timeout_ms:
            timeout = self.settings.user_timeout_ms
            setsockopt(self.fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout, sizeof(timeout))
        source = self.peer.source_sockaddr
        if PyBytes_GET_SIZE(source):
            # The port is chosen by connect(2): bind(2) would take one that no other destination could use meanwhile.
            setsockopt(self.fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one))
            if bind(self.fd, <sockaddr*>PyBytes_AS_STRING(source), PyBytes_GET_SIZE(source)) < 0:
                return errno
        return 0

    cdef int _connect(self):
        cdef bytes address = self.peer.sockaddr
        while connect(self.fd, <sockaddr*>PyBytes_AS_STRING(address), PyBytes_GET_SIZE(address)) < 0:
            if errno == EINPROGRESS:
                return 0
            if errno != EINTR:
                return errno
        return 0

    cdef bint _is_own_end(self) noexcept:
        # A closed port of this machine within the range of local ports: the kernel may choose that very port, and then the
        # two ends are one (TCP's simultaneous open). The request would come back as its own answer, and the server that
        # should listen there could not be started.
        cdef sockaddr_storage address
        cdef socklen_t size = sizeof(address)
        cdef bytes peer = self.peer.sockaddr
        return (
            not self.peer.is_unix and getsockname(self.fd, <sockaddr*>&address, &size) == 0
            and size == <socklen_t>PyBytes_GET_SIZE(peer) and memcmp(&address, PyBytes_AS_STRING(peer), size) == 0
        )

    def _wait_for_queue(self):
        self.dial_tries += 1
        delay_ms = min(FULL_QUEUE_PAUSE_MS << min(self.dial_tries, 4), 25)
        self.reactor.loop.call_later(delay_ms / 1000.0, self._try_again)

    def _try_again(self):
        cdef int failure
        if self.fd < 0 or self.asker is None:
            return
        self.reactor.refresh_clock()
        failure = self._connect()
        if failure == 0:
            try:
                self.reactor.register(self)
                self.set_deadline(self.connect_deadline_ms)
                return
            except OSError as error:
                failure = error.errno
        elif failure == EAGAIN and self.reactor.now_ms < self.connect_deadline_ms:
            self._wait_for_queue()
            return
        self._fail(kind_of_dial_errno(failure, is_unix=self.peer.is_unix), os.strerror(failure))

    cdef void _connected(self):
        self.state = READY
        self.connect_ns = self.reactor.now_ns - self.dialled_ns
        self.set_deadline(0)
        if self.asker is None:
            self.end()
            return
        self.out_before = self.bytes_out    # a TLS handshake is no part of the request
        self.asker.upstream_connected()

    # -- events -----------------------------------------------------------------------------------------------------

    cdef void on_event(self, uint32_t events):
        cdef uint64_t before = self.bytes_out
        cdef int failure = 0
        cdef socklen_t size = sizeof(failure)
        if self.state == CONNECTING:
            if not events & (EPOLLOUT | EPOLLERR | EPOLLHUP):
                return
            if getsockopt(self.fd, SOL_SOCKET, SO_ERROR, &failure, &size) < 0:
                failure = errno
            if failure != 0:
                self._fail(kind_of_dial_errno(failure, is_unix=self.peer.is_unix), os.strerror(failure))
                return
            if self._is_own_end():
                self._fail(Kind.CONNECTION_REFUSED, "nobody listens there; the kernel had connected us to ourselves")
                return
            self.is_writable = True
            if self.peer.tls is not None:
                self.state = HANDSHAKING
                try:
                    session = TlsSession(client_context(self.peer.tls), False, self.peer.tls.name)
                except (OSError, ValueError) as error:
                    self._fail(Kind.TLS_PROTOCOL_ERROR, str(error))
                    return
                self.start_tls(session)
                if self.fd < 0 or self.state != READY:
                    return
            else:
                self._connected()
                if self.fd < 0:
                    return
        PooledConnection.on_event(self, events)
        if self.backlog_end != 0 and self.bytes_out != before and self.state == READY and self.fd >= 0:
            self.touch()        # slow, but taking

    cdef void on_established(self):
        self._connected()

    cdef void on_ready(self):
        if self.state != READY:
            return
        PooledConnection.on_ready(self)
        if self.asker is not None and self.is_reset and self.is_reading and not self.is_readable:
            self._fail(kind_of_errno(self.error, connected=True), os.strerror(self.error))

    cdef void on_readable(self):
        cdef ssize_t size
        cdef char* data = NULL
        cdef Asker asker
        cdef int turns = 0
        while self.is_readable and self.is_reading and self.fd >= 0:
            asker = self.asker
            if turns == READS_IN_A_ROW:
                self.reactor.call_soon(self)
                return
            turns += 1
            size = NOT_SPLICED if asker is None else asker.splice_answer()
            if size == NOT_SPLICED:
                size = self.read_some(&data)
            elif self.asker is not asker:
                return
            elif size > 0:
                self.touch()
                continue
            if size == READ_NOTHING:
                return
            if asker is None:
                self.end()      # closed while idle, or it spoke out of turn
                return
            if size > 0:
                self.has_answered = True
                self.touch()
                asker.upstream_bytes(data, size)
                if self.asker is not asker:
                    return
            elif size == READ_EOF:
                # After a write that failed the kernel may say "end" where it was a reset.
                asker.upstream_ended(self.is_truncated or self.error != 0)
                return
            else:
                if self.error == -1:
                    self._fail(_kind_of_tls(self.tls), self.tls.failure)
                else:
                    self._fail(kind_of_errno(self.error, connected=True), os.strerror(self.error))
                return

    cdef void on_drained(self):
        if self.asker is not None and self.state == READY:
            self.touch()
            self.asker.upstream_drained()

    cdef void on_reset(self):
        if self.error == -1:
            self._fail(_kind_of_tls(self.tls), self.tls.failure)
        elif self.state != READY:
            self._fail(Kind.CONNECTION_TERMINATED, "closed during the handshake")
        else:
            # A write failed, but an answer may have come before: an early refusal is worth more than our EPIPE. It is not
            # read here: whoever was writing may still have bytes of its own in the reactor's scratch.
            self.hup_seen = True
            self.is_readable = True
            self.reactor.call_soon(self)

    cdef void on_deadline(self):
        if self.state != READY:
            self._fail(Kind.CONNECTION_TIMEOUT, "not connected in time")
        elif self.asker is None or not self.asker.awaits_upstream():
            pass                # nothing is expected of it
        elif self.has_answered:
            self._fail(Kind.CONNECTION_READ_TIMEOUT, "silent in the middle of its answer")
        elif self.backlog_end != 0 and self.is_being_taken():
            self.touch()
        elif self.backlog_end != 0:
            self._fail(Kind.CONNECTION_WRITE_TIMEOUT, "does not take the request")
        else:
            self._fail(Kind.HTTP_RESPONSE_TIMEOUT, "no answer in time")

    cdef void on_fault(self, object fault):
        cdef Asker asker = self.asker
        if asker is not None:
            self._fail(Kind.PROXY_INTERNAL_ERROR, f"{type(fault).__name__}: {fault}")
        else:
            self.end()

    cdef void _fail(self, object kind, str detail):
        cdef Asker asker = self.asker
        self.account()
        self.end()
        if asker is not None:
            asker.upstream_failed(kind, detail)

    # -- use --------------------------------------------------------------------------------------------------------

    cdef void account(self) noexcept:
        if self.asker is not None:
            self.asker.failed_reused = self.uses > 1
            self.asker.failed_answered = self.has_answered
            self.asker.failed_handed = self.bytes_out - self.out_before if self.state == READY else 0

    cdef bint is_reusable(self):
        if self.is_readable and not self.hup_seen and self.is_silent():
            # The last read was full, and by chance had all there was; or TLS had something for itself behind the answer.
            self.is_readable = False
        return (
            self.state == READY and self.fd >= 0 and self.asker is None and not self.hup_seen and not self.is_readable
            and not self.is_reset and self.backlog_end == 0 and self.held_size == 0
        )

    cdef void attach(self, Asker asker, uint64_t read_timeout_ms) noexcept:
        self.asker = asker
        asker.connection = self
        self.out_before = self.bytes_out
        self.read_timeout_ms = read_timeout_ms
        self.has_answered = False
        self.is_reading = True
        self.read_size = SCRATCH_SIZE   # an answer of 100 KB is one read and one write

    cdef void detach(self) noexcept:
        if self.asker is not None:
            self.asker.connection = None
            self.asker = None

    cdef void touch(self) noexcept:
        if self.is_reading:
            self.set_deadline(self.reactor.now_ms + self.read_timeout_ms)

    cdef void discard(self):
        """Closes it; the pool has counted it out, or is told by ``end``."""
        self.detach()
        self.drop_held()
        self.close_fd()

    cdef void end(self):
        """Closes it and tells the pool."""
        cdef Pool pool = self.pool
        self.discard()
        if pool is not None:
            pool.forget(self, self.reactor.now_ms)

    cdef int hold(self, const char* data, size_t size) except -1:
        """Keeps part of a head until the rest comes."""
        cdef char* grown
        if size == 0:
            return 0
        if self.held_size + size > self.held_room:
            grown = <char*>PyMem_RawRealloc(self.held, self.held_size + size + 1024)
            if grown == NULL:
                raise MemoryError
            self.held = grown
            self.held_room = self.held_size + size + 1024
        memcpy(self.held + self.held_size, data, size)
        self.held_size += size
        return 0

    cdef int rehold(self, const char* data, size_t size) except -1:
        """Keeps ``data``, which may be a part of what is held, and nothing else."""
        if self.held_size == 0:
            return self.hold(data, size)
        memmove(self.held, data, size)
        self.held_size = size
        return 0

    cdef void drop_held(self) noexcept:
        PyMem_RawFree(self.held)
        self.held = NULL
        self.held_size = self.held_room = 0

    def __repr__(self):
        state = ("connecting", "in handshake", "ready")[self.state] if self.fd >= 0 else "closed"
        label = self.peer.label if self.peer is not None else "?"
        use = "idle" if self.asker is None else "in use"
        return f"<UpstreamConnection {self.serial} to {label}: {state}, {use}, {self.uses} uses>"
