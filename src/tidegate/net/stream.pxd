"""A connected byte stream: reads into the reactor's scratch, writes at once, keeps what the kernel did not take."""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from tidegate.net.reactor cimport Channel
from tidegate.net.syscalls cimport iovec
from tidegate.net.tls cimport TlsSession

cdef enum:
    READ_NOTHING = -1           # the kernel has nothing now; an event will tell
    READ_FAILED = -2            # ``error`` says why
    READ_EOF = 0
    WRITE_FAILED = -3

cdef class Stream(Channel):
    """One TCP or unix stream, plain or TLS."""
    # readiness, as the edges told it
    cdef bint is_readable       # the kernel (or TLS) may hold bytes that no further event will announce
    cdef bint is_writable
    cdef bint is_reading        # wants ``on_readable``
    cdef bint hup_seen          # the peer has closed its sending half, or more
    cdef bint is_reset          # both halves are gone: nothing can be delivered any more
    cdef bint saw_eof           # … and it has been read up to there
    cdef bint is_truncated      # TLS ended without close_notify
    cdef bint is_closing        # close when the backlog is empty
    cdef bint is_half_closing   # end the sending half when the backlog is empty
    cdef bint is_unix           # a unix socket takes spliced pages one by one: slower than copying
    cdef int error              # errno of what failed; -1: TLS, see ``tls.failure``
    cdef uint32_t read_size
    # what the kernel did not take yet (ciphertext under TLS)
    cdef char* backlog
    cdef size_t backlog_start
    cdef size_t backlog_end
    cdef size_t backlog_room
    # TLS
    cdef TlsSession tls         # None: plain
    # statistics
    cdef uint64_t bytes_in
    cdef uint64_t bytes_out
    cdef int queue_seen         # bytes in the kernel's queue when ``is_being_taken`` was last asked

    cdef ssize_t read_some(self, char** data)       # bytes at ``data`` in scratch, or one of READ_*
    cdef int send(self, const char* data, size_t size)      # 0, or -1 when the stream is dead
    cdef int send_parts(self, iovec* parts, int count)      # the same in one system call; changes ``parts``
    cdef int flush(self)
    # Moves up to ``size`` bytes from ``source`` to here without copying them; only for ``can_splice`` pairs. What the
    # kernel does not take waits in the backlog. Bytes moved, or READ_*, or WRITE_FAILED.
    cdef ssize_t splice_from(self, Stream source, size_t size)
    cdef bint can_splice(self, Stream source) noexcept
    # Whether the peer has taken anything since this was last asked: the kernel announces room only in large steps, so a
    # slow reader looks like a silent one until its queue is looked at.
    cdef bint is_being_taken(self) noexcept
    # Whether the peer has said nothing that was not read, and has not closed: the kernel is asked, one system call. Under
    # TLS what came is decrypted, as a session ticket or a new key is said to nobody. After False the stream can only be
    # closed; the reactor's scratch is left alone.
    cdef bint is_silent(self)
    cdef size_t waiting_bytes(self) noexcept        # in the backlog
    cdef int start_tls(self, TlsSession session) except -1
    cdef void resume_reading(self)
    cdef void pause_reading(self) noexcept
    cdef int half_close(self)                       # ends the sending half (TLS: close_notify)
    cdef void finish_closing(self)                  # closes when what is in the backlog has been sent
    # for subclasses
    cdef void on_readable(self)
    cdef void on_drained(self)                      # the backlog has become empty
    cdef void on_reset(self)                        # a write failed, or TLS did
    cdef void on_abandoned(self)                    # the peer is gone for good while nobody reads
    cdef void on_established(self)                  # TLS handshake done
    # A client's first bytes are no TLS. True: it has been answered; by default the handshake fails on it.
    cdef bint on_plain_text(self, const char* data, size_t size)
    cdef int _keep(self, const char* data, size_t size) except -1
    cdef int _empty_pipe(self, bint keeping) except -1
    cdef int _send_raw(self, const char* data, size_t size)
    cdef int _send_tls(self, const char* data, size_t size) except -2
    cdef int _send_tls_parts(self, iovec* parts, int count) except -2
    cdef int _encrypt(self, const char* data, size_t size) except -2
    cdef int _push_tls(self) except -2
    cdef ssize_t _read_raw(self)
    cdef ssize_t _read_tls(self) except -3
    cdef void _shake(self)
