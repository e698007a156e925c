"""One connection to a peer: dial it, send a request down it, hand what comes back to whoever asked."""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from tidegate.upstream.pool cimport Pool, PooledConnection, Waiter

cdef class UpstreamConnection

cdef class Asker(Waiter):
    """Who uses an upstream connection. It has at most one, and is the connection's ``asker`` while it has it.

    After ``upstream_failed`` the connection is closed and no longer the asker's.
    """
    cdef UpstreamConnection connection
    # about the connection that failed, for whoever decides on a retry
    cdef bint failed_reused
    cdef bint failed_answered
    cdef uint64_t failed_handed                                 # bytes of this request that the kernel had taken
    cdef void upstream_connected(self)                          # dialled, TLS done: send
    cdef void upstream_failed(self, object kind, str detail)    # an ``errors.Kind``
    cdef void upstream_bytes(self, char* data, size_t size)     # in scratch, may be changed in place
    # Moves bytes of the answer on by itself, when they need not be looked at: bytes, READ_*, or NOT_SPLICED.
    cdef ssize_t splice_answer(self)
    cdef void upstream_ended(self, bint is_truncated)           # the peer has closed its half
    cdef void upstream_drained(self)                            # the backlog is empty again
    cdef bint awaits_upstream(self)                             # it is the peer's turn: its silence counts

cdef enum:
    NOT_SPLICED = -4            # they have to be read

cdef enum ConnectionState:
    CONNECTING = 0
    HANDSHAKING
    READY

cdef class DialSettings:
    """What of an upstream's settings concerns a new connection; made once per snapshot."""
    cdef readonly uint64_t connect_timeout_ms
    cdef readonly int keepalive_s           # 0: off
    cdef readonly uint32_t user_timeout_ms  # 0: off

cdef class UpstreamConnection(PooledConnection):
    # connection
    cdef uint8_t state
    cdef DialSettings settings
    cdef uint64_t dialled_ns
    cdef uint64_t connect_ns                # how long connecting took
    cdef uint64_t connect_deadline_ms
    cdef uint64_t path_seen_ms              # when the kernel was last asked about the way there
    cdef uint32_t retransmits_seen          # … and what it had counted then
    cdef int dial_tries                     # EAGAIN on a unix socket
    cdef char* held                         # part of a response head that was not complete
    cdef size_t held_size
    cdef size_t held_room
    # exchange
    cdef Asker asker
    cdef uint64_t out_before                # bytes_out when the asker got it: what it has handed to the kernel
    cdef uint64_t read_timeout_ms
    cdef bint has_answered                  # a byte of the answer has come
    cdef int dial(self)                     # 0 on its way (or done), or an errno
    cdef void attach(self, Asker asker, uint64_t read_timeout_ms) noexcept
    cdef void detach(self) noexcept
    cdef void touch(self) noexcept          # something moved: the read deadline begins anew
    cdef void account(self) noexcept        # tells the asker what a retry will have to know
    cdef void end(self)                     # closes it and tells the pool
    cdef int hold(self, const char* data, size_t size) except -1
    cdef int rehold(self, const char* data, size_t size) except -1      # keeps this and nothing else
    cdef void drop_held(self) noexcept
    cdef int _connect(self)
    cdef int _configure(self)
    cdef bint _is_own_end(self) noexcept
    cdef void _connected(self)
    cdef void _fail(self, object kind, str detail)

cdef UpstreamConnection open_connection(object reactor, Pool pool, DialSettings settings, uint64_t serial)
