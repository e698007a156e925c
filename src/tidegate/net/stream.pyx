"""A connected byte stream.

Reading: the kernel's bytes land in the reactor's scratch and are worked on there; whoever needs them longer copies them.
A read that brought less than it asked for has emptied the socket (an edge will announce more), unless the peer has closed:
then one more read finds the end. ``pause_reading`` costs nothing: bytes stay in the kernel, and TCP tells the sender.

Writing: at once, in the callback that has the bytes. What the kernel does not take is copied into ``backlog`` and sent when
it says it is writable again. The one who feeds a stream looks at ``waiting_bytes`` and pauses its source: so a backlog
holds at most one read of the other side.
"""

from cpython.buffer cimport PyBUF_READ, PyBUF_WRITE
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_RawFree, PyMem_RawRealloc
from cpython.memoryview cimport PyMemoryView_FromMemory
from libc.errno cimport errno
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcpy, memmove

from tidegate.net.reactor cimport SCRATCH_SIZE, STAGING_SIZE, Channel
from tidegate.net.syscalls cimport (
    EAGAIN, EINTR, EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT, EPOLLRDHUP, MSG_NOSIGNAL, MSG_PEEK, SHUT_WR, SIOCOUTQ, SPLICE_F_MOVE,
    SPLICE_F_NONBLOCK, ioctl, iovec, msghdr, read, recv, send, sendmsg, shutdown, splice,
)
from tidegate.net.tls cimport TlsSession

import ssl

cdef enum:
    FIRST_READ = 65536          # a stream that fills its reads gets larger ones
    BACKLOG_STEP = 4096
    RECORD_SIZE = 16384         # most plaintext of one record
    HANDSHAKE_RECORD = 22       # what every connection of TLS begins with
    SPLICE_PIECE = 524288       # moved at once; what a slow client does not take of it is kept
    TLS_PIECE = 131072          # plaintext encrypted before it is sent; bounds the ciphertext that collects


cdef class Stream(Channel):

    def __cinit__(self):
        self.is_reading = True
        self.is_writable = True
        self.read_size = FIRST_READ

    def __dealloc__(self):
        PyMem_RawFree(self.backlog)

    # -- events -----------------------------------------------------------------------------------------------------

    cdef void on_event(self, uint32_t events):
        if events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR):
            self.hup_seen = True
            # EPOLLHUP after our own half-close is the ordinary end of both directions, with bytes perhaps still to be read.
            if events & EPOLLERR or (events & EPOLLHUP and not self.is_half_closing):
                self.is_reset = True
        if events & EPOLLOUT:
            self.is_writable = True
            if self.backlog_end != 0:
                if self.flush() < 0:
                    self.on_reset()
                    return
                if self.fd < 0:
                    return
        if events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR):
            self.is_readable = True
            if self.tls is not None and not self.tls.is_established:
                self._shake()
                if self.fd < 0 or self.tls is None or not self.tls.is_established:
                    return
            if self.is_reading:
                self.on_readable()
            elif self.is_reset:
                self.on_abandoned()

    cdef void on_ready(self):
        if self.is_reading and self.is_readable:
            self.on_readable()

    cdef void on_readable(self):
        raise NotImplementedError

    cdef void on_drained(self):
        pass

    cdef void on_reset(self):
        self.close_fd()

    cdef void on_abandoned(self):
        pass

    cdef void on_established(self):
        pass

    cdef bint on_plain_text(self, const char* data, size_t size):
        return False

    # -- reading ----------------------------------------------------------------------------------------------------

    cdef void pause_reading(self) noexcept:
        self.is_reading = False

    cdef void resume_reading(self):
        """Reads again; what came meanwhile is handed over after this batch, never within the caller."""
        if self.is_reading:
            return
        self.is_reading = True
        if self.is_readable and self.fd >= 0:
            self.reactor.call_soon(self)

    cdef ssize_t read_some(self, char** data):
        cdef ssize_t size
        if self.tls is None:
            size = self._read_raw()
        else:
            size = self._read_tls()
        data[0] = self.reactor.scratch
        return size

    cdef ssize_t _read_raw(self):
        cdef ssize_t size
        cdef int failure
        while True:
            size = recv(self.fd, self.reactor.scratch, self.read_size, 0)
            if size > 0:
                self.bytes_in += size
                if size < self.read_size:
                    self.is_readable = self.hup_seen
                else:
                    self.is_readable = True
                    if self.read_size < SCRATCH_SIZE:
                        self.read_size *= 2
                return size
            if size == 0:
                self.is_readable = False
                self.saw_eof = True
                self.hup_seen = True
                return READ_EOF
            failure = errno
            if failure == EINTR:
                continue
            self.is_readable = False
            if failure == EAGAIN:
                return READ_NOTHING
            self.error = failure
            self.is_reset = True
            return READ_FAILED

    cdef ssize_t _read_tls(self) except -3:
        cdef TlsSession tls = self.tls
        cdef ssize_t size, total = 0
        cdef bint kernel_empty = False
        cdef char* scratch = self.reactor.scratch
        while True:
            # What TLS holds is announced by nobody. A record has at most 16 KiB of plaintext, so each read empties one.
            while tls.has_input and total <= SCRATCH_SIZE - RECORD_SIZE:
                try:
                    size = tls.read(RECORD_SIZE, PyMemoryView_FromMemory(scratch + total, RECORD_SIZE, PyBUF_WRITE))
                except ssl.SSLWantReadError:
                    tls.has_input = False   # part of a record
                    break
                except ssl.SSLZeroReturnError:
                    size = 0
                except ssl.SSLError as error:
                    tls.failure = (error.reason or str(error)).lower().replace("_", " ")
                    self.error = -1
                    self.is_readable = total != 0       # what came before it first; then it fails again
                    return READ_FAILED if total == 0 else total
                if size == 0:       # close_notify
                    self.saw_eof = True
                    tls.has_input = False
                    break
                total += size
                tls.has_input = tls.incoming.pending != 0
            if tls.outgoing.pending and self._push_tls() < 0:
                return READ_FAILED
            if total != 0 or self.saw_eof or kernel_empty:
                break
            size = self._read_raw()
            if size == READ_EOF:
                self.is_truncated = True
                return READ_EOF
            if size < 0:
                return size
            tls.feed(scratch, size)
            kernel_empty = not self.is_readable
        if tls.has_input or (self.saw_eof and total != 0):
            self.is_readable = True     # more behind it; the reader asks again
        if total != 0:
            return total
        if self.saw_eof:
            return READ_EOF
        return READ_NOTHING

    cdef bint is_silent(self):
        cdef char* room = self.reactor.staging
        cdef TlsSession tls = self.tls
        cdef ssize_t size
        if self.fd < 0:
            return False
        if tls is None:
            return recv(self.fd, room, 1, MSG_PEEK) < 0 and errno == EAGAIN
        size = recv(self.fd, room, STAGING_SIZE, 0)
        if size < 0 and errno != EAGAIN:
            return False
        if size == 0 or size == STAGING_SIZE:       # closed; or more than anybody but a server out of turn has to say
            return False
        if size > 0:
            self.bytes_in += size
            tls.feed(room, size)
        while tls.has_input:
            try:
                tls.read(RECORD_SIZE, PyMemoryView_FromMemory(room, RECORD_SIZE, PyBUF_WRITE))
                return False
            except ssl.SSLWantReadError:
                tls.has_input = False
            except ssl.SSLError:        # close_notify among them
                return False
        if tls.outgoing.pending and self._push_tls() < 0:
            return False
        return tls.is_between_records()

    # -- writing ----------------------------------------------------------------------------------------------------

    cdef bint is_being_taken(self) noexcept:
        cdef int queued = 0
        cdef int before = self.queue_seen
        if self.fd < 0 or ioctl(self.fd, SIOCOUTQ, &queued) < 0:
            return False
        self.queue_seen = queued
        return queued != before

    cdef size_t waiting_bytes(self) noexcept:
        return self.backlog_end - self.backlog_start

    cdef int send(self, const char* data, size_t size):
        if self.tls is not None:
            return self._send_tls(data, size)
        return self._send_raw(data, size)

    cdef int _send_raw(self, const char* data, size_t size):
        cdef ssize_t sent
        cdef int failure
        if self.fd < 0:
            return -1
        while size != 0 and self.backlog_end == 0 and self.is_writable:
            sent = send(self.fd, data, size, MSG_NOSIGNAL)
            if sent >= 0:
                self.bytes_out += sent
                data += sent
                size -= sent
                if size != 0:
                    self.is_writable = False
                break
            failure = errno
            if failure == EINTR:
                continue
            if failure == EAGAIN:
                self.is_writable = False
                break
            self.error = failure
            self.is_reset = True
            return -1
        if size != 0:
            self._keep(data, size)
        return 0

    cdef int send_parts(self, iovec* parts, int count):
        """All parts, in order, in one system call; ``parts`` is used up."""
        cdef msghdr message
        cdef ssize_t sent
        cdef int failure, i = 0
        if self.tls is not None:
            return self._send_tls_parts(parts, count)
        if self.fd < 0:
            return -1
        while self.backlog_end == 0 and self.is_writable:
            message.msg_name = NULL
            message.msg_namelen = 0
            message.msg_iov = parts
            message.msg_iovlen = count
            message.msg_control = NULL
            message.msg_controllen = 0
            message.msg_flags = 0
            sent = sendmsg(self.fd, &message, MSG_NOSIGNAL)
            if sent < 0:
                failure = errno
                if failure == EINTR:
                    continue
                if failure == EAGAIN:
                    self.is_writable = False
                    break
                self.error = failure
                self.is_reset = True
                return -1
            self.bytes_out += sent
            while i < count and <size_t>sent >= parts[i].iov_len:
                sent -= parts[i].iov_len
                i += 1
            if i == count:
                return 0
            parts[i].iov_base = <char*>parts[i].iov_base + sent
            parts[i].iov_len -= sent
            self.is_writable = False
        while i < count:
            if parts[i].iov_len:
                self._keep(<const char*>parts[i].iov_base, parts[i].iov_len)
            i += 1
        return 0

    cdef bint can_splice(self, Stream source) noexcept:
        return (
            self.tls is None and source.tls is None and not self.is_unix and not source.is_unix and self.backlog_end == 0
            and self.is_writable and self.fd >= 0
        )

    cdef ssize_t splice_from(self, Stream source, size_t size):
        cdef int* pipe = self.reactor.pipe
        cdef ssize_t moved, sent
        cdef size_t left
        cdef int failure
        while True:
            moved = splice(source.fd, NULL, pipe[1], NULL, min(size, SPLICE_PIECE), SPLICE_F_MOVE | SPLICE_F_NONBLOCK)
            if moved > 0:
                break
            if moved == 0:
                source.is_readable = False
                source.saw_eof = True
                source.hup_seen = True
                return READ_EOF
            failure = errno
            if failure == EINTR:
                continue
            if failure == EAGAIN:
                source.is_readable = source.hup_seen and source.is_reset
                return READ_NOTHING
            source.error = failure
            source.is_readable = False
            source.is_reset = True
            return READ_FAILED
        source.bytes_in += moved
        left = moved
        while left != 0:
            # No SPLICE_F_MORE: it holds what fills no segment back for 200 ms, and nobody knows whether more comes soon.
            sent = splice(pipe[0], NULL, self.fd, NULL, left, SPLICE_F_MOVE | SPLICE_F_NONBLOCK)
            if sent > 0:
                left -= sent
                self.bytes_out += sent
                continue
            failure = errno
            if sent < 0 and failure == EINTR:
                continue
            if sent < 0 and failure != EAGAIN:
                self.error = failure
                self.is_reset = True
                self._empty_pipe(False)
                return WRITE_FAILED
            self.is_writable = False
            self._empty_pipe(True)
            break
        return moved

    cdef int _empty_pipe(self, bint keeping) except -1:
        """The pipe is everybody's: what is left in it comes out before the next one uses it, whatever happens."""
        cdef ssize_t size
        cdef object trouble = None
        while True:
            size = read(self.reactor.pipe[0], self.reactor.scratch, SCRATCH_SIZE)
            if size <= 0:
                if size < 0 and errno == EINTR:
                    continue
                break
            if keeping and trouble is None:
                try:
                    self._keep(self.reactor.scratch, size)
                except MemoryError as error:
                    trouble = error
        if trouble is not None:
            raise trouble
        return 0

    cdef int _keep(self, const char* data, size_t size) except -1:
        cdef size_t waiting = self.backlog_end - self.backlog_start
        cdef size_t room
        cdef char* grown
        if self.backlog_end + size > self.backlog_room:
            if self.backlog_start != 0:
                memmove(self.backlog, self.backlog + self.backlog_start, waiting)
                self.backlog_start = 0
                self.backlog_end = waiting
            if waiting + size > self.backlog_room:
                room = (waiting + size + BACKLOG_STEP - 1) // BACKLOG_STEP * BACKLOG_STEP
                grown = <char*>PyMem_RawRealloc(self.backlog, room)
                if grown == NULL:
                    raise MemoryError
                self.backlog = grown
                self.backlog_room = room
        memcpy(self.backlog + self.backlog_end, data, size)
        self.backlog_end += size
        return 0

    cdef int flush(self):
        """Sends what waits. 0, or -1 when the stream is dead; calls ``on_drained`` when nothing is left."""
        cdef ssize_t sent
        cdef int failure
        while self.backlog_end != self.backlog_start:
            sent = send(self.fd, self.backlog + self.backlog_start, self.backlog_end - self.backlog_start, MSG_NOSIGNAL)
            if sent >= 0:
                self.bytes_out += sent
                self.backlog_start += sent
                if self.backlog_start != self.backlog_end:
                    self.is_writable = False
                    return 0
                break
            failure = errno
            if failure == EINTR:
                continue
            if failure == EAGAIN:
                self.is_writable = False
                return 0
            self.error = failure
            self.is_reset = True
            return -1
        PyMem_RawFree(self.backlog)
        self.backlog = NULL
        self.backlog_start = self.backlog_end = self.backlog_room = 0
        if self.is_closing:
            self.close_fd()
            return 0
        if self.is_half_closing:
            shutdown(self.fd, SHUT_WR)
        self.on_drained()
        return 0

    cdef int half_close(self):
        if self.fd < 0:
            return -1
        if self.tls is not None:
            self.tls.close_notify()
            if self._push_tls() < 0:
                return -1
        self.is_half_closing = True
        if self.backlog_end == 0:
            return shutdown(self.fd, SHUT_WR)
        return 0

    cdef void finish_closing(self):
        if self.fd < 0:
            return
        if self.tls is not None and not self.is_reset:
            self.tls.close_notify()
            self._push_tls()
        if self.backlog_end == 0 or self.is_reset:
            self.close_fd()
            return
        self.is_closing = True
        self.is_reading = False

    # -- TLS --------------------------------------------------------------------------------------------------------

    cdef int start_tls(self, TlsSession session) except -1:
        """Everything from here on is TLS. A client speaks first; a server waits for it."""
        self.tls = session
        if not session.is_server:
            self._shake()
        return 0

    cdef void _shake(self):
        cdef ssize_t size
        cdef int done
        while True:
            done = self.tls.shake()
            if self.tls.outgoing.pending and self._push_tls() < 0:
                self.on_reset()
                return
            if done > 0:
                # Bytes behind the handshake are in ``incoming`` already, and no event will announce them.
                self.tls.has_input = self.tls.incoming.pending != 0
                if self.tls.has_input:
                    self.is_readable = True
                self.on_established()
                return
            if done < 0:
                self.error = -1
                self.on_reset()
                return
            if not self.is_readable:
                return
            size = self._read_raw()
            if size == READ_NOTHING:
                return
            if size <= 0:
                if self.tls.failure is None:
                    self.tls.failure = "closed during the handshake"
                self.on_reset()
                return
            if self.bytes_in == <uint64_t>size and self.tls.is_server and self.reactor.scratch[0] != HANDSHAKE_RECORD and (
                self.on_plain_text(self.reactor.scratch, size)
            ):
                return
            self.tls.feed(self.reactor.scratch, size)

    cdef int _push_tls(self) except -2:
        cdef bytes ciphertext = self.tls.take_outgoing()
        if not ciphertext:
            return 0
        return self._send_raw(PyBytes_AS_STRING(ciphertext), PyBytes_GET_SIZE(ciphertext))

    cdef int _send_tls_parts(self, iovec* parts, int count) except -2:
        """The first parts share a record: a head and a small body are one record and one system call."""
        cdef char* staged = self.reactor.staging
        cdef size_t size = 0, piece
        cdef int i
        for i in range(count):
            piece = min(parts[i].iov_len, RECORD_SIZE - size)
            if piece != 0:
                memcpy(staged + size, parts[i].iov_base, piece)
                size += piece
            if piece != parts[i].iov_len:
                break
        else:
            return self._send_tls(staged, size)
        if self._encrypt(staged, size) < 0:
            return -1
        if self._send_tls(<const char*>parts[i].iov_base + piece, parts[i].iov_len - piece) < 0:
            return -1
        for i in range(i + 1, count):
            if parts[i].iov_len and self._send_tls(<const char*>parts[i].iov_base, parts[i].iov_len) < 0:
                return -1
        return 0

    cdef int _encrypt(self, const char* data, size_t size) except -2:
        if self.fd < 0 or not self.tls.is_established or self.tls.is_shut:
            return -1
        try:
            self.tls.write(PyMemoryView_FromMemory(<char*>data, size, PyBUF_READ))
        except ssl.SSLError as error:
            self.tls.failure = (error.reason or str(error)).lower().replace("_", " ")
            self.error = -1
            return -1
        return 0

    cdef int _send_tls(self, const char* data, size_t size) except -2:
        cdef size_t piece
        while size != 0:
            piece = size if size < TLS_PIECE else TLS_PIECE
            if self._encrypt(data, piece) < 0:
                return -1
            data += piece
            size -= piece
            if self._push_tls() < 0:
                return -1
        return 0
