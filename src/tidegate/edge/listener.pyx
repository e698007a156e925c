"""A listening socket of this worker.

Accepting goes on until the kernel has no more, some at a time so that others get their turn. It pauses, and what comes waits in
the kernel's queue, when the worker has as many connections as it may, or when the machine is out of descriptors or memory;
connections that are there go on. Too many from one address: the new one is closed at once.
"""

from libc.errno cimport errno
from libc.stdint cimport uint16_t, uint32_t, uint64_t
from libc.string cimport memset

from tidegate.edge.connection cimport Connection
from tidegate.edge.connection_settings cimport ConnectionSettings
from tidegate.exchange.context cimport Context
from tidegate.exchange.plan cimport Plan
from tidegate.exchange.witness cimport hash_of
from tidegate.memory.meters cimport (
    ACCEPT_PAUSES, ACCEPT_PAUSES_FULL, CONNECTIONS_ACCEPTED, CONNECTIONS_OPEN, CONNECTIONS_REFUSED_ADDRESS,
)
from tidegate.net.syscalls cimport (
    AF_INET, AF_INET6, AF_UNIX, EAGAIN, ECONNABORTED, EINTR, EMFILE, ENFILE, ENOBUFS, ENOMEM, EPERM, EPROTO,
    INET6_ADDRSTRLEN, IPPROTO_TCP, SOCK_CLOEXEC, SOCK_NONBLOCK, TCP_NODELAY, accept4, inet_ntop, ntohs, setsockopt,
    sockaddr, sockaddr_in, sockaddr_in6, sockaddr_storage, socklen_t,
)
from tidegate.net.syscalls cimport close as close_descriptor

import os
import socket

cdef enum:
    ACCEPTS_IN_A_ROW = 64

cdef double EXHAUSTED_PAUSE_S = 0.1


cdef class Bounds:
    """max_open: connections in this worker; max_per_address: of them from one address, or None."""

    def __init__(self, long max_open, max_per_address=None):
        self.by_address = {}
        self.listeners = []
        self.configure(max_open, max_per_address)

    def configure(self, long max_open, max_per_address=None):
        """Other bounds, for connections accepted from here on."""
        self.max_open = max_open
        self.max_per_address = max_per_address or 0
        self.wake()

    def wake(self):
        """There is room again: who waits for it goes on."""
        waiting = self.listeners
        self.listeners = []
        for listener in waiting:
            listener.resume()

    def __repr__(self):
        return f"<Bounds {self.open}/{self.max_open} connections, {len(self.by_address)} addresses counted>"


cdef class Listener(Channel):
    """fd: a listening socket, this object's from here on. tls: for its connections, or None."""

    def __init__(self, Context context not None, Bounds bounds not None, int fd, settings not None, tls=None):
        os.set_blocking(fd, False)
        self.fd = fd
        self.context = context
        self.bounds = bounds
        self.settings = ConnectionSettings(settings)
        self.source = settings
        self.tls = tls
        self.label = settings.bind
        self.is_unix = settings.bind.startswith("unix:")
        self.connections = set()

    def configure(self, settings, tls):
        """The settings of another snapshot: for connections accepted from here on, and for the others from their next
        request on, but for TLS."""
        if settings != self.source:
            self.settings = ConnectionSettings(settings)
            self.source = settings
        self.tls = tls

    def bring_up_to_date(self, Connection connection not None):
        """Gives a connection that was accepted under another snapshot what the active one has for it."""
        cdef Plan plan = self.context.plan
        connection.settings = self.settings
        connection.apply_settings()
        connection.is_trusted = plan.trusted.trusts(connection.address, len(connection.address))
        connection.snapshot_number = plan.number

    def count_by_address(self):
        """Counts the connections that came when nobody did, because there was no bound."""
        cdef Connection connection
        for connection in self.connections:
            if connection.address_key is None:
                self.count(connection)

    def start(self):
        self.is_accepting = True
        self.context.reactor.register(self)

    def accept_what_waits(self):
        """Accepts once more what the kernel has, pause or not."""
        while self.fd >= 0 and self._accept():
            pass

    def stop(self):
        """Stops listening; connections go on."""
        self.is_accepting = False
        self.close_fd()

    def close_connections(self):
        for connection in list(self.connections):
            connection.cut_off()

    cdef void on_event(self, uint32_t events):
        if self.is_accepting and not self.is_paused:
            self._accept()

    cdef void on_ready(self):
        if self.is_accepting and not self.is_paused:
            self._accept()

    cdef void on_fault(self, object fault):
        # The listening socket is the last thing to give up.
        self.context.error_log.say("accept_failed", f"{type(fault).__name__}: {fault}", listener=self.label, error=fault)
        self._pause(EXHAUSTED_PAUSE_S)

    cdef bint _accept(self):
        """Accepts some; True when others may wait still."""
        cdef sockaddr_storage address
        cdef socklen_t size
        cdef int fd, failure, turns = 0
        cdef int one = 1
        cdef Connection connection
        while self.fd >= 0:
            if self.bounds.open >= self.bounds.max_open:
                # The next one that ends calls us; what comes meanwhile waits in the kernel's queue.
                self.is_paused = True
                self.bounds.listeners.append(self)
                self.context.meters.add(ACCEPT_PAUSES_FULL, 1)
                self.context.error_log.say(
                    "max_connections", "as many connections as server.max_connections allows; the next ones wait",
                    listener=self.label, open=self.bounds.open,
                )
                return False
            if turns == ACCEPTS_IN_A_ROW:
                self.context.reactor.call_soon(self)
                return True
            turns += 1
            size = sizeof(address)
            fd = accept4(self.fd, <sockaddr*>&address, &size, SOCK_NONBLOCK | SOCK_CLOEXEC)
            if fd < 0:
                failure = errno
                if failure == EAGAIN:
                    return False
                if failure == EMFILE or failure == ENFILE or failure == ENOBUFS or failure == ENOMEM:
                    self.context.meters.add(ACCEPT_PAUSES, 1)
                    self.context.error_log.say(
                        "accept_paused", f"{os.strerror(failure)}: accepting pauses, open connections go on",
                        listener=self.label,
                    )
                    self._pause(EXHAUSTED_PAUSE_S)
                    return False
                if failure == ECONNABORTED or failure == EINTR or failure == EPERM or failure == EPROTO:
                    continue    # of that one connection, not of the socket
                raise OSError(failure, os.strerror(failure))
            connection = Connection.__new__(Connection)
            connection.fd = fd
            connection.reactor = self.context.reactor
            connection.context = self.context
            connection.is_unix = address.ss_family == AF_UNIX
            _read_address(connection, &address)
            if not self._admit(connection):
                connection.close_fd()
                continue
            if not self.is_unix:
                setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one))
            self.accepted += 1
            self.context.meters.add(CONNECTIONS_ACCEPTED, 1)
            self.context.meters.add(CONNECTIONS_OPEN, 1)
            self.context.last_serial += 1
            connection.serial = self.context.last_serial
            connection.owner = self
            connection.listener = self.label
            self.connections.add(connection)
            try:
                self.context.reactor.register(connection)
                self.bring_up_to_date(connection)
                connection.accepted(None if self.tls is None else self.tls.context)
            except BaseException:
                connection._end()       # it is counted already
                raise
        return False

    def _admit(self, Connection connection):
        """Counts it, unless its address has too many already."""
        if self.bounds.max_per_address and not self.is_unix:
            if self.bounds.by_address.get(_address_key(connection.address), 0) >= self.bounds.max_per_address:
                self.context.meters.add(CONNECTIONS_REFUSED_ADDRESS, 1)
                self.context.error_log.say(
                    "max_connections_per_address", "one address has as many connections as it may; closed",
                    client=connection.address.decode("latin-1"),
                )
                return False
            self.count(connection)
        self.bounds.open += 1
        return True

    cdef int count(self, Connection connection) except -1:
        if not self.is_unix:
            key = _address_key(connection.address)
            self.bounds.by_address[key] = self.bounds.by_address.get(key, 0) + 1
            connection.address_key = key
        return 0

    def connection_ended(self, connection, key):
        self.connections.discard(connection)
        self.bounds.open -= 1
        if key is not None:
            count = self.bounds.by_address[key] - 1
            if count:
                self.bounds.by_address[key] = count
            else:
                del self.bounds.by_address[key]
        if self.bounds.listeners:
            self.bounds.wake()

    cdef void _pause(self, double seconds):
        if not self.is_paused:
            self.is_paused = True
            self.context.loop.call_later(seconds, self.resume)

    def resume(self):
        self.is_paused = False
        if self.fd >= 0 and self.is_accepting:
            self.context.reactor.call_soon(self)

    def __repr__(self):
        state = "paused" if self.is_paused else "accepting" if self.is_accepting else "stopped"
        return f"<Listener {self.label}: {state}, {len(self.connections)} connections, {self.accepted} accepted>"


cdef int _read_address(Connection connection, sockaddr_storage* address) except -1:
    cdef char[INET6_ADDRSTRLEN] text
    memset(text, 0, INET6_ADDRSTRLEN)
    if address.ss_family == AF_INET:
        inet_ntop(AF_INET, &(<sockaddr_in*>address).sin_addr, text, INET6_ADDRSTRLEN)
        connection.port = ntohs((<sockaddr_in*>address).sin_port)
        connection.address = text
    elif address.ss_family == AF_INET6:
        inet_ntop(AF_INET6, &(<sockaddr_in6*>address).sin6_addr, text, INET6_ADDRSTRLEN)
        connection.port = ntohs((<sockaddr_in6*>address).sin6_port)
        connection.address = text
        if connection.address.startswith(b"::ffff:") and b"." in connection.address:
            connection.address = connection.address[7:]     # an IPv4 client on an IPv6 socket is an IPv4 client
    else:
        connection.address = b"unix"
    connection.address_hash = hash_of(connection.address)
    return 0


cdef bytes _address_key(bytes address):
    """What is counted as one address: an IPv4 address, or the /64 of an IPv6 one."""
    if b":" not in address:
        return address
    return socket.inet_pton(socket.AF_INET6, address.decode())[:8]
