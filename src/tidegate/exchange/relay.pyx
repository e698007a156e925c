"""Bytes between the two sides of an exchange.

Bodies are taken out of their framing as they come and framed anew as they go: what was understood is what is sent, so nobody
behind the gateway can read a message differently. A body with a length goes on under its length; one in chunks, or one that
ends with its connection, goes on in chunks (to a client of HTTP/1.0: until the connection closes). Trailer fields end here.

Nothing is stored: what one read brought is sent on in the same callback, head and body in one system call. A side that does
not take it (``HIGH_WATER``) pauses the other until it has.
"""

from libc.stdint cimport uint64_t
from libc.stdio cimport snprintf
from libc.string cimport memmove

from tidegate.exchange.compose cimport compose_request, compose_response, request_room, response_room
from tidegate.exchange.plan cimport Step
from tidegate.exchange.state cimport RESPONDING, SENT, Client, ExchangeState
from tidegate.exchange.views cimport request_view
from tidegate.memory.marks cimport step_into, step_out
from tidegate.memory.meters cimport BYTES_DOWNSTREAM_IN, BYTES_DOWNSTREAM_OUT, BYTES_UPSTREAM_IN, BYTES_UPSTREAM_OUT
from tidegate.net.reactor cimport SCRATCH_SIZE
from tidegate.net.stream cimport READ_NOTHING, WRITE_FAILED
from tidegate.net.syscalls cimport iovec
from tidegate.upstream.connection cimport NOT_SPLICED, UpstreamConnection
from tidegate.wire.http1 cimport (
    COMPLETE, FRAMING_CHUNKED, FRAMING_CLOSE, FRAMING_LENGTH, FRAMING_NONE, METHOD_HEAD, NEED_MORE, ChunkedDecoder, Span,
    feed_chunked, refusal_name, reset_chunked,
)

from tidegate.errors import Kind

cdef enum:
    # What is left of a body at least for moving it in the kernel. Of 10 MB that takes 0.6 of the CPU of copying; of
    # 100 KB 1.5 times as much: setting pages up costs more than copying what is in the cache.
    SPLICE_FROM = 524288
    SLOW_READ = 65536       # what is read at once for a client that does not keep up; it grows again if it does
    CHUNK_HEAD = 24         # a chunk's size in hexadecimal, its CRLF, and the CRLF of the one before


cdef int unchunk(ChunkedDecoder* decoder, char* data, size_t size, size_t* taken, size_t* run) noexcept:
    cdef size_t consumed
    cdef Span piece
    cdef int verdict
    taken[0] = 0
    run[0] = 0
    while True:
        verdict = feed_chunked(decoder, data + taken[0], size - taken[0], &consumed, &piece)
        if verdict < 0:
            return verdict
        if piece.size != 0:
            if taken[0] + piece.start != run[0]:
                memmove(data + run[0], data + taken[0] + piece.start, piece.size)
            run[0] += piece.size
        taken[0] += consumed
        if verdict == COMPLETE or (piece.size == 0 and consumed == 0) or taken[0] == size:
            return verdict


cdef inline iovec _part(const char* at, size_t size) noexcept:
    cdef iovec part
    part.iov_base = <void*>at
    part.iov_len = size
    return part


cdef class Relay(ExchangeState):

    # -- towards the upstream ---------------------------------------------------------------------------------------

    cdef int send_request(self):
        """Hands head and the body so far to the upstream's connection, in one system call."""
        cdef UpstreamConnection connection = self.connection
        cdef Client client = self.client
        cdef char* out = self.context.reactor.compose
        cdef bytes host = None
        cdef const char* host_text = NULL
        cdef size_t host_size = 0, head_size, body_size = 0
        cdef iovec[2] parts
        if request_room(self) > SCRATCH_SIZE:
            self.fault(ValueError("the request's head is too large with what filters added"), "compose")
            return -1
        if not self.route.keeps_host or self.request.host.size == 0:
            host = self.destination.upstream.host_header or connection.peer.label.encode()
            host_text = <const char*>host
            host_size = len(host)
        head_size = compose_request(self, out, host_text, host_size, client.allows_underscores)
        self.stage = SENT
        self.sent_ns = self.context.reactor.now_ns
        self.connect_ns = connection.connect_ns if connection.uses == 1 else 0
        self.upstream_serial = connection.serial
        self.upstream_uses = connection.uses
        parts[0] = _part(out, head_size)
        if self.body_done:
            self.request_sent = True
        elif self.request.framing == FRAMING_LENGTH and not self.request_is_chunked_out and client.window_size != 0:
            body_size = client.window_size if client.window_size < self.body_left else <size_t>self.body_left
            parts[1] = _part(client.window, body_size)
            client.window += body_size
            client.window_size -= body_size
            self.body_left -= body_size
            self.request_bytes += body_size
            if self.body_left == 0:
                self.body_done = True
                self.request_sent = True
        connection.touch()
        self.context.meters.add(BYTES_UPSTREAM_OUT, head_size + body_size)
        if body_size == 0:
            return connection.send(out, head_size)
        if connection.send_parts(parts, 2) == 0:
            return 0
        if connection.bytes_out == connection.out_before:
            # Nothing of it has left: what was taken from the client goes back, so that it can be sent elsewhere.
            client.window -= body_size
            client.window_size += body_size
            self.body_left += body_size
            self.request_bytes -= body_size
            self.body_done = self.request_sent = False
        return -1

    cdef bint takes_request_data(self) noexcept:
        return (
            (self.stage == SENT or self.stage == RESPONDING) and self.connection is not None
            and self.connection.waiting_bytes() < HIGH_WATER and not self.connection.is_reset
        )

    cdef ssize_t splice_request(self):
        """A large body that nobody looks at goes from socket to socket in the kernel; its last part is read as usual."""
        cdef UpstreamConnection connection = self.connection
        cdef ssize_t size
        cdef uint64_t taken
        if (
            self.request.framing != FRAMING_LENGTH or self.body_left <= SPLICE_FROM or self.request_is_chunked_out
            or not self.takes_request_data() or self.route.on_request_body is not None or self.wants_continue
            or not connection.can_splice(self.client)
        ):
            return NOT_SPLICED
        taken = self.client.bytes_in
        # But for its last byte, which ends the body where all bodies end.
        size = connection.splice_from(self.client, <size_t>self.body_left - 1)
        taken = self.client.bytes_in - taken
        self.body_left -= taken
        self.request_bytes += taken
        if size == WRITE_FAILED:
            # What was taken is lost: with ``request_bytes`` counted, nobody tries to send the request once more.
            self.upstream_write_failed()
            return READ_NOTHING
        if size > 0:
            connection.touch()
            self.context.meters.add(BYTES_DOWNSTREAM_IN, size)
            self.context.meters.add(BYTES_UPSTREAM_OUT, size)
        return size

    cdef int send_request_data(self, char* data, size_t size, bint is_last):
        """One run of body data from the client. ``data`` may be used up."""
        cdef UpstreamConnection connection = self.connection
        cdef char[CHUNK_HEAD] chunk
        cdef iovec[3] parts
        cdef bytes changed
        cdef int count = 0
        self.request_bytes += size
        if is_last:
            self.body_done = True
            self.handed_ns = self.context.reactor.now_ns
        if self.route.on_request_body is not None and (size != 0 or is_last):
            changed = self._through(self.route.on_request_body, data, size, is_last)
            if changed is None or self.connection is not connection:
                return 0 if self.connection is not connection else -1
            data = <char*>changed
            size = len(changed)
        connection.touch()
        self.context.meters.add(BYTES_UPSTREAM_OUT, size)
        if not self.request_is_chunked_out:
            if is_last:
                self.request_sent = True
            return connection.send(data, size)
        if size != 0:
            parts[0] = _part(chunk, snprintf(chunk, CHUNK_HEAD, "%zx\r\n", size))
            parts[1] = _part(data, size)
            parts[2] = _part(b"\r\n0\r\n\r\n", 7 if is_last else 2)
            count = 3
        elif is_last:
            parts[0] = _part(b"0\r\n\r\n", 5)
            count = 1
        if is_last:
            self.request_sent = True
        if count == 0:
            return 0
        return connection.send_parts(parts, count)

    # -- towards the client -----------------------------------------------------------------------------------------

    cdef void begin_answer(self, char* body, size_t size):
        """The answer's head has been settled: sends it with what there is of the body."""
        cdef Client client = self.client
        cdef bint has_filter = self.route is not None and self.route.on_response_body is not None
        cdef bint has_body
        if response_room(self) > SCRATCH_SIZE:
            self.fault(ValueError("the answer's head is too large with what filters added"), "compose")
            return
        self.has_no_body_out = (
            self.request.method == METHOD_HEAD or self.status == 204 or self.status == 304
        )
        has_body = self.response.framing != FRAMING_NONE and not self.has_no_body_out
        client.answer_came()
        self.response_is_chunked_out = False    # of an upstream's answer that broke before its head was sent
        self.ends_with_connection = False
        if has_body:
            if self.response.framing == FRAMING_LENGTH:
                self.answer_left = self.response.content_length
            elif self.response.framing == FRAMING_CHUNKED:
                reset_chunked(&self.response_chunks)
            if has_filter or self.response.framing != FRAMING_LENGTH:
                if self.request.minor == 1:
                    self.response_is_chunked_out = True
                else:
                    client.keeps_alive = False
                    self.ends_with_connection = True
        if not has_body:
            self.response_done = True
            if self._send_answer(True, NULL, 0, True) == 0:
                self.answer_complete(size == 0)
            return
        self._relay(True, body, size)

    cdef int send_switch(self):
        cdef size_t size
        if response_room(self) > SCRATCH_SIZE:
            self.fault(ValueError("the answer's head is too large with what filters added"), "compose")
            return -1
        size = compose_response(self, self.context.reactor.compose, False)
        if self.client.send(self.context.reactor.compose, size) < 0:
            self.client_failed()
            return -1
        return 0

    cdef void relay_answer(self, char* data, size_t size):
        self._relay(False, data, size)

    cdef void _relay(self, bint with_head, char* data, size_t size):
        """Unframes what came, and sends it on."""
        cdef size_t taken = size, run = size
        cdef int verdict
        cdef bint is_last = False
        if self.response.framing == FRAMING_LENGTH:
            if size >= self.answer_left:
                taken = run = <size_t>self.answer_left
                is_last = True
            self.answer_left -= run
        elif self.response.framing == FRAMING_CHUNKED:
            verdict = unchunk(&self.response_chunks, data, size, &taken, &run)
            if verdict < 0:
                self.answer_broken(Kind.HTTP_PROTOCOL_ERROR, refusal_name(-verdict).decode())
                return
            is_last = verdict == COMPLETE
        if is_last:
            self.response_done = True
        if self._send_answer(with_head, data, run, is_last) < 0:
            return
        if is_last:
            self.answer_complete(taken == size)
        else:
            self._let_client_catch_up()

    cdef int _send_answer(self, bint with_head, char* data, size_t size, bint is_last):
        """Frames one run of body data and sends it, with the head in front if asked. -1: the exchange is over."""
        cdef Client client = self.client
        cdef char[CHUNK_HEAD] chunk
        cdef iovec[4] parts
        cdef int count = 0
        cdef bytes changed
        cdef size_t total = 0
        if (
            self.route is not None and self.route.on_response_body is not None and not self.has_no_body_out
            and not self.skips_filters and (size != 0 or is_last)
        ):
            changed = self._through(self.route.on_response_body, data, size, is_last)
            if changed is None:
                return -1
            data = <char*>changed
            size = len(changed)
        if with_head:
            total = compose_response(self, self.context.reactor.compose, not client.keeps_alive)
            parts[count] = _part(self.context.reactor.compose, total)
            count += 1
            self.stage = RESPONDING
        total += size
        self.response_bytes += size
        if self.response_is_chunked_out:
            if size != 0:
                parts[count] = _part(chunk, snprintf(chunk, CHUNK_HEAD, "%zx\r\n", size))
                parts[count + 1] = _part(data, size)
                parts[count + 2] = _part(b"\r\n0\r\n\r\n", 7 if is_last else 2)
                count += 3
            elif is_last:
                parts[count] = _part(b"0\r\n\r\n", 5)
                count += 1
        elif size != 0:
            parts[count] = _part(data, size)
            count += 1
        if count == 0:
            return 0
        self.context.meters.add(BYTES_DOWNSTREAM_OUT, total)
        if client.send_parts(parts, count) < 0:
            self.client_failed()
            return -1
        if client.backlog_end != 0:
            client.touch()
        return 0

    cdef bint answer_can_be_spliced(self) noexcept:
        return (
            self.stage == RESPONDING and self.response.framing == FRAMING_LENGTH and self.answer_left > SPLICE_FROM
            and not self.response_is_chunked_out and self.connection is not None
            and (self.route is None or self.route.on_response_body is None)
            and self.client.can_splice(self.connection)
        )

    cdef ssize_t splice_answer(self):
        """A body that nobody looks at goes from socket to socket in the kernel."""
        cdef Client client = self.client
        cdef UpstreamConnection connection = self.connection
        cdef ssize_t size
        if not self.answer_can_be_spliced():
            return NOT_SPLICED
        # But for its last byte: only a read that finds the socket empty leaves a connection that can be used again.
        size = client.splice_from(connection, <size_t>self.answer_left - 1)
        if size == WRITE_FAILED:
            self.client_failed()
            return READ_NOTHING
        if size <= 0:
            return size
        self.answer_left -= size
        self.response_bytes += size
        self.context.meters.add(BYTES_UPSTREAM_IN, size)
        self.context.meters.add(BYTES_DOWNSTREAM_OUT, size)
        if client.backlog_end != 0:
            client.touch()
            self._let_client_catch_up()
        return size

    cdef void _let_client_catch_up(self) noexcept:
        # The client is slower than the upstream. Its silence is not the upstream's: no read deadline meanwhile.
        if self.client.waiting_bytes() > HIGH_WATER and self.connection is not None:
            self.connection.pause_reading()
            self.connection.set_deadline(0)
            self.connection.read_size = SLOW_READ

    cdef void end_answer_at_eof(self, bint is_truncated):
        """The upstream has closed its half in the middle of a body."""
        if self.response.framing == FRAMING_CLOSE and not is_truncated:
            self.response_done = True
            if self._send_answer(False, NULL, 0, True) == 0:
                self.answer_complete(False)
        else:
            self.answer_broken(Kind.HTTP_RESPONSE_INCOMPLETE, "closed in the middle of its answer")

    cdef bytes _through(self, tuple steps, char* data, size_t size, bint is_last):
        """Body data through the filters that want it. None: one of them failed, and the exchange has been ended."""
        cdef bytes piece = data[:size] if size != 0 else b""
        cdef Step step
        cdef uint64_t* mark = self.context.reactor.mark
        cdef uint64_t outer
        for step in steps:
            outer = step_into(mark, step.place)
            try:
                changed = step.call(request_view(self), piece, is_last)
                step_out(mark, outer)
                if changed is not None:
                    if type(changed) is not bytes:
                        raise TypeError(f"a body phase returns bytes or None, not {type(changed).__name__}")
                    piece = changed
            except BaseException as error:
                step_out(mark, outer)
                self.fault(error, step.filter_name)
                return None
        return piece

    # -- decisions --------------------------------------------------------------------------------------------------

    cdef void answer_complete(self, bint upstream_is_reusable):
        raise NotImplementedError

    cdef void answer_broken(self, object kind, str detail):
        raise NotImplementedError

    cdef void upstream_write_failed(self):
        raise NotImplementedError

    cdef void client_failed(self):
        raise NotImplementedError

    cdef void fault(self, object error, str where):
        raise NotImplementedError
