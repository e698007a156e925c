"""A client's connection.

One read brings some bytes: the *window*. They are worked through in order: a head begins an exchange, a body goes to it, a
further head waits until the exchange is over. What cannot be used yet is kept; while anything is kept, or an exchange does not
take more, nothing is read: the rest stays with the client.

An answer to a client that is still sending is followed by a lingering close: the sending half is ended, the rest is read and
thrown away for a while. A plain close would send a reset, which can destroy the answer on its way. A half-close after a request
is no abort; a reset is. (But who waits for a limit is refused then, as he may be gone.)
"""

from cpython.mem cimport PyMem_RawFree, PyMem_RawRealloc
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memcpy, memmove

from tidegate.exchange.compose cimport forwarded_element, forwarding_lines
from tidegate.exchange.exchange cimport Exchange, give_up, take_exchange
from tidegate.exchange.plan cimport Plan
from tidegate.exchange.relay cimport HIGH_WATER, unchunk
from tidegate.exchange.state cimport PERMIT, RESPONDING, SENT, TURN, WAITING, Client
from tidegate.memory.atomics cimport load_acquire
from tidegate.memory.meters cimport BYTES_DOWNSTREAM_IN, CONNECTIONS_OPEN, TLS_FAILURES, TLS_HANDSHAKES
from tidegate.net.reactor cimport Channel
from tidegate.net.stream cimport READ_EOF, READ_NOTHING
from tidegate.net.syscalls cimport EPOLLIN, EPOLLOUT, EPOLLRDHUP, SO_LINGER, SOL_SOCKET, linger_option, setsockopt
from tidegate.net.tls cimport TlsSession
from tidegate.upstream.connection cimport NOT_SPLICED
from tidegate.wire.http1 cimport (
    COMPLETE, FRAMING_CHUNKED, FRAMING_CLOSE, FRAMING_LENGTH, HEAD_KEEP_ALIVE, NEED_MORE, parse_request_head,
    refusal_name, refusal_status,
)

from tidegate.exchange.problem import PLAIN_HTTP_TO_TLS

cdef enum:
    READS_IN_A_ROW = 4
    KEPT_STEP = 1024


cdef class Connection(Client):

    def __dealloc__(self):
        PyMem_RawFree(self.kept)

    cdef void accepted(self, object tls_context):
        """It has been accepted and registered; address and settings are set."""
        self.is_tls = tls_context is not None
        self.forwarding = forwarding_lines(self.address, self.is_tls)
        self.forwarded_for = forwarded_element(self.address, self.is_tls)
        self.set_deadline(self.reactor.now_ms + self.settings.head_timeout_ms)
        self.mode = IDLE
        if tls_context is not None:
            self.mode = HANDSHAKE
            self.start_tls(TlsSession(tls_context, True))

    cdef void apply_settings(self) noexcept:
        self.max_body = self.settings.max_body
        self.body_timeout_ms = self.settings.body_timeout_ms
        self.allows_underscores = self.settings.allows_underscores

    cdef void take_snapshot(self):
        cdef Context context = self.context
        if load_acquire(context.snapshot_word) != (<Plan>context.plan).number:
            context.switch_plan()
        if self.owner is not None:
            self.owner.bring_up_to_date(self)

    cdef void on_established(self):
        self.context.meters.add(TLS_HANDSHAKES, 1)
        self.mode = IDLE
        self.set_deadline(self.reactor.now_ms + self.settings.head_timeout_ms)

    cdef bint on_plain_text(self, const char* data, size_t size):
        cdef bytes answer = PLAIN_HTTP_TO_TLS
        if not c"a" <= (data[0] | 32) <= c"z":
            return False    # a method would begin with a letter
        self.context.meters.add(TLS_FAILURES, 1)
        self.context.error_log.say(
            "plain_http_to_tls", "a request without TLS on a port of TLS; answered with 400",
            client=self.address.decode("latin-1"),
        )
        self.tls = None
        if self.send(answer, len(answer)) < 0:
            self._end()
        else:
            self._linger()
        return True

    # == bytes in =======================================================================================================

    cdef void on_readable(self):
        cdef ssize_t size
        cdef char* data = NULL
        cdef int turns = 0
        cdef Exchange exchange
        while self.is_readable and self.is_reading and self.fd >= 0:
            if turns == READS_IN_A_ROW:
                self.reactor.call_soon(self)
                return
            turns += 1
            if self.mode == IN_EXCHANGE and self.kept_size == 0:
                exchange = self.exchange
                size = exchange.splice_request()
                if size != NOT_SPLICED:
                    if size == READ_NOTHING or self.exchange is not exchange:
                        return
                    if size == READ_EOF:
                        self._at_eof()
                        return
                    if size < 0:
                        self.on_abandoned()
                        return
                    if exchange.takes_request_data():
                        self.touch()
                    else:
                        # The upstream is slower than the client; ``upstream_drained`` reads on.
                        self.is_reading = False
                        self.io_deadline_ms = 0
                        self._arm()
                    continue
            # What is thrown away is not decrypted: after our close_notify TLS takes it for an error, and the reset that
            # follows an error could destroy the answer.
            size = self._read_raw() if self.mode == LINGERING else self.read_some(&data)
            if size == READ_NOTHING:
                return
            if size == READ_EOF:
                self._at_eof()
                return
            if size < 0:
                self.on_abandoned()
                return
            self.context.meters.add(BYTES_DOWNSTREAM_IN, size)
            if self.mode == LINGERING:
                continue
            if self.mode == IN_TUNNEL:
                self.touch()
                self.exchange.tunnel_bytes(data, size)
                continue
            self._open_window(data, size)
            self._consume()
            self._close_window()

    cdef void on_ready(self):
        """Asked for when an exchange ended or a pause is over: first what is kept, then what the kernel has."""
        if self.kept_size != 0 and not self.is_consuming and self.mode != IN_TUNNEL and self.mode != LINGERING:
            self._open_window(NULL, 0)
            self._consume()
            self._close_window()
        if self.fd >= 0 and self.is_reading and self.is_readable:
            self.on_readable()

    cdef void _open_window(self, char* data, size_t size) except *:
        if self.kept_size != 0:
            if size != 0:
                self._keep_bytes(data, size)
            self.window = self.kept
            self.window_size = self.kept_size
        else:
            self.window = data
            self.window_size = size
        self.is_consuming = True

    cdef void _close_window(self) except *:
        """Keeps what is left of the window for later."""
        self.is_consuming = False
        if self.window_size == 0 or self.fd < 0:
            if self.kept != NULL:
                PyMem_RawFree(self.kept)
                self.kept = NULL
                self.kept_size = self.kept_room = 0
        elif self.kept_size != 0:
            memmove(self.kept, self.window, self.window_size)
            self.kept_size = self.window_size
        else:
            self._keep_bytes(self.window, self.window_size)
        self.window = NULL
        self.window_size = 0

    cdef int _keep_bytes(self, const char* data, size_t size) except -1:
        cdef char* grown
        cdef size_t room = self.kept_size + size
        if room > self.kept_room:
            room = (room + KEPT_STEP - 1) // KEPT_STEP * KEPT_STEP
            grown = <char*>PyMem_RawRealloc(self.kept, room)
            if grown == NULL:
                raise MemoryError
            self.kept = grown
            self.kept_room = room
        memcpy(self.kept + self.kept_size, data, size)
        self.kept_size += size
        return 0

    cdef void _consume(self):
        """Works through the window until it is empty or has to wait."""
        cdef Exchange exchange
        cdef char* head
        cdef int verdict
        while self.fd >= 0:
            if self.mode == IDLE and self.waiting_bytes() > HIGH_WATER:
                # Requests of a client that does not take its answers wait, or each would add its own to the backlog.
                self.is_reading = False
                return
            if self.mode == IN_EXCHANGE:
                if not self.exchange.body_done:
                    self._pump()
                    if self.mode != IN_EXCHANGE:
                        continue
                return
            if self.window_size == 0 or (self.mode != IDLE and self.mode != READING_HEAD):
                return
            if self.mode == IDLE:
                self.mode = READING_HEAD
                self.exchange = take_exchange(self.context)
                if self.uses != 0:
                    self.set_deadline(self.reactor.now_ms + self.settings.head_timeout_ms)
            exchange = self.exchange
            head = self.window
            verdict = parse_request_head(head, self.window_size, &self.settings.limits, &exchange.request)
            if verdict == NEED_MORE:
                return
            self.mode = IN_EXCHANGE
            self.uses += 1
            self.io_deadline_ms = 0
            if verdict != COMPLETE:
                exchange.refuse(
                    self, head, self.window_size, refusal_status(-verdict), refusal_name(-verdict).decode()
                )
                self.window_size = 0 if self.mode == LINGERING else self.window_size
                continue
            self.window += exchange.request.size
            self.window_size -= exchange.request.size
            self.keeps_alive = (exchange.request.flags & HEAD_KEEP_ALIVE) != 0 and (
                self.settings.max_uses == 0 or self.uses < self.settings.max_uses
            )
            self.is_reading = False
            exchange.begin(self, head)

    # == the request body ===============================================================================================

    cdef void pump_body(self):
        if self.is_consuming:
            return      # ``_consume`` comes to it
        if self.exchange is None or self.mode != IN_EXCHANGE:
            return
        self._open_window(NULL, 0)
        self._pump()
        if self.mode != IN_EXCHANGE:
            self.reactor.call_soon(self)
        self._close_window()

    cdef void _pump(self):
        """Hands body bytes of the window to the exchange, and settles whether more are read."""
        cdef Exchange exchange = self.exchange
        cdef uint64_t number = exchange.number
        cdef char* data
        cdef size_t taken, run
        cdef int verdict
        cdef bint is_last
        if exchange.wants_continue and exchange.takes_request_data():
            exchange.wants_continue = False
            if self.send(b"HTTP/1.1 100 Continue\r\n\r\n", 25) < 0:
                self._gone()
                return
        while self.window_size != 0 and not exchange.body_done and exchange.takes_request_data():
            data = self.window
            if exchange.request.framing == FRAMING_LENGTH:
                taken = run = min(self.window_size, <size_t>exchange.body_left)
                exchange.body_left -= run
                is_last = exchange.body_left == 0
            else:
                verdict = unchunk(&exchange.request_chunks, data, self.window_size, &taken, &run)
                if verdict < 0:
                    self.window_size = 0
                    exchange.refuse_body(refusal_status(-verdict), refusal_name(-verdict).decode())
                    return
                is_last = verdict == COMPLETE
                if exchange.body_bound >= 0 and exchange.request_bytes + run > <uint64_t>exchange.body_bound:
                    self.window_size = 0
                    exchange.refuse_body(413, "body_too_large")
                    return
            self.window += taken
            self.window_size -= taken
            if exchange.send_request_data(data, run, is_last) < 0 and exchange.number == number:
                exchange.upstream_write_failed()
            if self.exchange is not exchange or exchange.number != number:
                return
        if exchange.body_done:
            self.is_reading = False
            self.io_deadline_ms = 0
            self._arm()
        elif exchange.takes_request_data() and self.window_size == 0:
            self.touch()
            if not self.is_reading:
                self.resume_reading()
        else:
            # The upstream's turn: it takes what waits, or is not there yet. The client is not to blame.
            self.is_reading = False
            self.io_deadline_ms = 0
            self._arm()

    cdef bint _swallow_body(self):
        """Takes the rest of the body out of what has been read already; False when not all of it is there."""
        cdef Exchange exchange = self.exchange
        cdef size_t taken, run
        cdef bint had_window = self.is_consuming
        if exchange.body_done:
            return True
        if exchange.wants_continue:
            return False    # whether it will come at all is the client's choice
        if not had_window:
            self._open_window(NULL, 0)
        if exchange.request.framing == FRAMING_LENGTH:
            if self.window_size >= exchange.body_left:
                self.window += exchange.body_left
                self.window_size -= <size_t>exchange.body_left
                exchange.body_left = 0
                exchange.body_done = True
        elif self.window_size != 0:
            if unchunk(&exchange.request_chunks, self.window, self.window_size, &taken, &run) == COMPLETE:
                self.window += taken
                self.window_size -= taken
                exchange.body_done = True
            else:
                self.window_size = 0    # what was unchunked cannot be read again; the connection ends anyway
        if not had_window:
            self._close_window()
        return exchange.body_done

    # == what an exchange says ==========================================================================================

    cdef void exchange_routed(self):
        self._arm()

    cdef void answer_came(self):
        """The head of the answer is about to be written."""
        cdef Exchange exchange = self.exchange
        if self.context.is_draining or self.saw_eof:
            self.keeps_alive = False
        if exchange.is_local and self.keeps_alive and not self._swallow_body():
            self.keeps_alive = False
        if exchange.is_stream:
            exchange.deadline_ms = 0
            self._arm()

    cdef void begin_tunnel(self):
        self.mode = IN_TUNNEL
        self.is_reading = True
        self.touch()
        if self.is_consuming:
            if self.window_size != 0:
                self.exchange.tunnel_bytes(self.window, self.window_size)
                self.window_size = 0
        elif self.kept_size != 0:
            self.exchange.tunnel_bytes(self.kept, self.kept_size)
            self.kept_size = 0
        if self.is_readable:
            self.reactor.call_soon(self)

    cdef void exchange_finished(self, bint is_clean):
        cdef Exchange exchange = self.exchange
        cdef bint body_done = exchange.body_done
        self.exchange = None
        self.io_deadline_ms = 0
        if self.fd < 0:
            return
        if is_clean and self.keeps_alive and body_done and not self.is_reset:
            self.mode = IDLE
            self._rest()
            if self.is_reading and not self.is_consuming and (self.kept_size != 0 or self.is_readable):
                self.reactor.call_soon(self)
            return
        if not is_clean:
            if exchange.ends_with_connection and not exchange.response_done:
                self._reset_on_close()
            if self.mode == IN_TUNNEL and exchange.response_done and not self.is_reset:
                self._close_when_taken()    # what the upstream said last
            else:
                self._end()
        elif not body_done or self.kept_size != 0 or self.window_size != 0 or (self.is_readable and not self.saw_eof):
            self._linger()
        else:
            self._close_when_taken()

    cdef void _rest(self) noexcept:
        """Between two requests. While much of the last answer waits to be taken, no other request is begun."""
        self.is_reading = self.waiting_bytes() <= HIGH_WATER
        if self.backlog_end == 0:
            self.set_deadline(self.reactor.now_ms + self.settings.idle_timeout_ms)
        else:
            self.set_deadline(self.reactor.now_ms + self.body_timeout_ms)

    cdef void _close_when_taken(self):
        """Ends it as soon as the client has taken what waits for it; nothing more is read."""
        if self.mode == READING_HEAD:
            give_up(self.exchange)
        self.exchange = None
        self.mode = LINGERING
        self.finish_closing()
        if self.fd >= 0:
            self.set_deadline(self.reactor.now_ms + self.body_timeout_ms)
        else:
            self._ended()

    cdef void _reset_on_close(self):
        # The answer would have ended with the connection: only a reset says that it was cut.
        cdef linger_option linger
        linger.l_onoff = 1
        linger.l_linger = 0
        setsockopt(self.fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger))

    cdef void _linger(self):
        self.mode = LINGERING
        if self.half_close() < 0:
            self._end()
            return
        # The rest of the answer first, for as long as it is being taken.
        self.set_deadline(self.reactor.now_ms + (
            self.settings.lingering_timeout_ms if self.backlog_end == 0 else self.body_timeout_ms
        ))
        self.is_reading = True
        if self.is_readable and self.fd >= 0:
            self.reactor.call_soon(self)

    # == deadlines ======================================================================================================

    cdef void touch(self) noexcept:
        if self.mode == IN_TUNNEL:
            if self.exchange.route.upgrade_idle_ms:
                self.set_deadline(self.reactor.now_ms + self.exchange.route.upgrade_idle_ms)
            else:
                self.set_deadline(0)
            return
        self.io_deadline_ms = self.reactor.now_ms + self.body_timeout_ms
        self._arm()

    cdef void _arm(self) noexcept:
        """The nearer of the exchange's deadline and the client's."""
        cdef uint64_t deadline = 0
        if self.exchange is not None:
            deadline = self.exchange.deadline_ms
        if self.io_deadline_ms != 0 and (deadline == 0 or self.io_deadline_ms < deadline):
            deadline = self.io_deadline_ms
        self.set_deadline(deadline)

    cdef void on_deadline(self):
        cdef Exchange exchange = self.exchange
        cdef uint64_t now_ms = self.reactor.now_ms
        if self.mode == IN_EXCHANGE:
            if exchange.deadline_ms != 0 and now_ms >= exchange.deadline_ms:
                exchange.timed_out(False)
            elif self.io_deadline_ms != 0 and now_ms >= self.io_deadline_ms and (
                self.backlog_end != 0 and self.is_being_taken()
            ):
                self.touch()
            elif self.io_deadline_ms != 0 and now_ms >= self.io_deadline_ms:
                exchange.timed_out(True)
            else:
                self._arm()
        elif self.mode == READING_HEAD:
            self.mode = IN_EXCHANGE
            self.uses += 1
            exchange.refuse(self, self.kept, self.kept_size, 408, "head_timeout")
        elif self.mode == IN_TUNNEL:
            exchange.client_gone()
        elif self.backlog_end != 0 and self.is_being_taken():
            self.set_deadline(now_ms + self.body_timeout_ms)
        else:
            if self.mode == IDLE and self.tls is not None:
                self.tls.close_notify()
                self._push_tls()
            self._end()

    # == ends ===========================================================================================================

    cdef void on_event(self, uint32_t events):
        cdef uint64_t before = self.bytes_out
        if events & (EPOLLIN | EPOLLRDHUP) == EPOLLIN and self.mode == IDLE and not self.is_readable:
            self.context.witness.look(self.fd, self.reactor.now_ns)
        if events & EPOLLRDHUP:
            self.has_ended = True
        Client.on_event(self, events)
        if events & EPOLLOUT and self.fd >= 0 and self.backlog_end != 0 and self.bytes_out != before:   # slow, but taking
            if self.mode == IN_EXCHANGE or self.mode == IN_TUNNEL:
                self.touch()
            elif self.mode != READING_HEAD:
                self.set_deadline(self.reactor.now_ms + self.body_timeout_ms)
        elif self.fd < 0:
            self._ended()       # and there is no exchange to look at any more
        elif events & EPOLLRDHUP and self.mode == IN_EXCHANGE:
            self._half_closed()

    cdef void _half_closed(self):
        """The client has sent all it had while its request is under way. Or it is gone: that looks the same."""
        cdef Exchange exchange = self.exchange
        cdef bint is_waiting = exchange.stage == WAITING and (exchange.waits_for == TURN or exchange.waits_for == PERMIT)
        if self.settings.aborts_on_half_close:
            # With a body under way what is left of it is read; one that waits reads nothing, and would never learn it.
            if exchange.body_done or is_waiting:
                self._gone()
        elif is_waiting:
            # No place is kept for who may not be there. If he is, he hears when to come again.
            exchange.refuse_late()

    cdef void on_drained(self):
        if self.exchange is not None:
            if self.exchange.body_done or self.mode == IN_TUNNEL:
                self.io_deadline_ms = 0
            if self.mode == IN_EXCHANGE:
                self._arm()
            self.exchange.client_drained()
        elif self.mode == IDLE:
            self._rest()
            if self.kept_size != 0 or self.is_readable:
                self.reactor.call_soon(self)
        elif self.mode == LINGERING:
            self.set_deadline(self.reactor.now_ms + self.settings.lingering_timeout_ms)

    cdef void _at_eof(self):
        if self.mode == IN_TUNNEL:
            self.is_reading = False
            self.exchange.tunnel_ended()
        elif self.mode == IN_EXCHANGE:
            if not self.exchange.body_done:
                self.exchange.client_gone()     # half a body: nothing that could still be served
        else:
            self._close_when_taken()            # it has nothing more to say; what it was answered is still its own

    cdef void on_abandoned(self):
        if self.mode == IN_EXCHANGE or self.mode == IN_TUNNEL:
            self.context.witness.client_failed(self.address_hash)   # the network's doing, not the client's
        self._gone()

    cdef void on_reset(self):
        if self.mode == HANDSHAKE:
            self.context.meters.add(TLS_FAILURES, 1)
            self.context.error_log.say(
                "tls_handshake_failed", self.tls.failure or "closed", client=self.address.decode("latin-1")
            )
        self.on_abandoned()

    cdef void _gone(self):
        if self.mode == IN_EXCHANGE or self.mode == IN_TUNNEL:
            self.is_reset = True
            if self.exchange is not None:
                self.exchange.client_gone()
        if self.fd >= 0:
            self._end()

    cdef void on_fault(self, object fault):
        """A defect of the gateway: it ends this connection's exchange and this connection, nothing else."""
        self.context.error_log.say("gateway_fault", f"{type(fault).__name__}: {fault}", error=fault)
        if self.mode == IN_EXCHANGE or self.mode == IN_TUNNEL:
            exchange = self.exchange
            if exchange is not None:
                self.is_reset = True
                exchange.client_gone()
        self._end()

    cdef void _end(self):
        if self.exchange is not None and self.mode == READING_HEAD:
            give_up(self.exchange)
        self.exchange = None
        self.close_fd()
        self._ended()

    def _ended(self):
        """Tells the listener, once."""
        owner = self.owner
        if owner is not None:
            self.owner = None
            self.context.meters.take(CONNECTIONS_OPEN, 1)
            owner.connection_ended(self, self.address_key)

    def cut_off(self):
        """Closes at once, whatever is under way: a drain's deadline has passed, or everything ends."""
        if self.mode == IN_EXCHANGE or self.mode == IN_TUNNEL:
            self.is_reset = True
            if self.exchange is not None:
                self.exchange.gateway_ends("drain_deadline" if self.context.is_draining else "stopped")
        if self.fd >= 0:
            self._end()

    def __repr__(self):
        mode = ("in handshake", "idle", "reading a head", "in an exchange", "in a tunnel", "lingering")[self.mode]
        address = "?" if self.address is None else self.address.decode("latin-1")
        return f"<Connection {self.serial} from {address}:{self.port}: {mode if self.fd >= 0 else 'closed'}, {self.uses} uses>"
