"""The way of a request to its upstream, and of the answer back.

    (pick) ─> connect ─> send ─> (answer)

Every failure of an upstream, or of the way to it, comes in through ``fail``: one retry if that is safe, an answer if the client
has none yet, and else the end of the client's connection.
"""

from cpython.bytes cimport PyBytes_GET_SIZE
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memset

from tidegate.exchange.compose cimport compose_interim
from tidegate.exchange.learning cimport hear_waiting, teach
from tidegate.exchange.placement cimport Placement
from tidegate.exchange.plan cimport Destination
from tidegate.exchange.relay cimport HIGH_WATER, Relay
from tidegate.exchange.state cimport (
    DIAL, LEASE, NOTHING, PERMIT, POOL, RESPONDING, RUNNING, SENT, TUNNEL, TURN, WAITING, Client,
)
from tidegate.exchange.views cimport Response
from tidegate.memory.meters cimport (
    BYTES_UPSTREAM_IN, EXCHANGES_ASYNC_DIAL, EXCHANGES_ASYNC_POOL, GATEWAY_EXHAUSTED, SERIES_UPSTREAM,
    UPSTREAM_DIAL_FAILURES, UPSTREAM_DIALS, UPSTREAM_RETRIES, UPSTREAM_REUSES,
)
from tidegate.net.stream cimport READ_NOTHING
from tidegate.net.syscalls cimport IPPROTO_TCP, TCP_INFO, getsockopt, socklen_t, tcp_info
from tidegate.upstream.connection cimport UpstreamConnection, open_connection
from tidegate.upstream.endpoint cimport HASH_NONE, Endpoint, Upstream
from tidegate.upstream.pool cimport DIAL as POOL_DIAL
from tidegate.upstream.pool cimport FULL, REUSE, WAIT, Pool, PooledConnection
from tidegate.wire.http1 cimport (
    FRAMING_CLOSE, HEAD_KEEP_ALIVE, HEAD_UPGRADE, METHOD_DELETE, METHOD_GET, METHOD_HEAD, METHOD_OPTIONS, METHOD_PUT,
    METHOD_TRACE, NEED_MORE, HeadLimits, parse_response_head, refusal_name, reset_response_head, same_name,
)
from tidegate.wire.refusal cimport HEAD_TOO_LARGE, TOO_MANY_FIELDS, UNSUPPORTED_TRANSFER_ENCODING

import asyncio
import os

from tidegate.errors import Kind
from tidegate.exchange.problem import problem_for
from tidegate.upstream.retry import blames_endpoint, is_lost, kind_of_dial_errno, may_retry

cdef enum:
    ATTEMPTS_MAX = 2
    PATH_PERIOD_MS = 1000

RESPONSE_LIMITS.head_bytes = 131072
RESPONSE_LIMITS.target_bytes = 0
RESPONSE_LIMITS.fields = 128


cdef object _kind_of_refusal(int refusal):
    """The word of RFC 9209 for what is wrong with an answer's head."""
    if refusal == HEAD_TOO_LARGE or refusal == TOO_MANY_FIELDS:
        return Kind.HTTP_RESPONSE_HEADER_SECTION_SIZE
    if refusal == UNSUPPORTED_TRANSFER_ENCODING:
        return Kind.HTTP_RESPONSE_TRANSFER_CODING
    return Kind.HTTP_PROTOCOL_ERROR


cdef class Forward(Placement):

    cdef void connect(self):
        cdef Pool pool = self.endpoint.pool
        cdef UpstreamConnection connection
        cdef int decision = pool.decide(self.endpoint.peer, self.context.reactor.now_ms)
        if decision == REUSE:
            connection = <UpstreamConnection>pool.chosen
            pool.chosen = None
            self.context.meters.add(UPSTREAM_REUSES, 1)
            connection.attach(self, self.destination.upstream.read_timeout_ms)
            self.send()
        elif decision == POOL_DIAL:
            self.dial()
        elif decision == WAIT:
            self.left_sync(EXCHANGES_ASYNC_POOL)
            self.stage = WAITING
            self.waits_for = POOL
            pool.wait(self, self.context.reactor.now_ms)
        elif decision == FULL:
            self.fail(Kind.CONNECTION_LIMIT_REACHED, "all connections are in use, and the queue for them is full", 0)
        else:
            self.fault(RuntimeError("a pool was asked for another peer than its own"), "connect")

    cdef void dial(self):
        cdef Pool pool = self.endpoint.pool
        cdef UpstreamConnection connection
        cdef int failure
        self.left_sync(EXCHANGES_ASYNC_DIAL)
        self.context.last_serial += 1
        connection = open_connection(self.context.reactor, pool, self.destination.dial, self.context.last_serial)
        self.context.meters.add(UPSTREAM_DIALS, 1)
        self.stage = WAITING
        self.waits_for = DIAL
        connection.attach(self, self.destination.upstream.read_timeout_ms)
        failure = connection.dial()
        if failure != 0:
            self.upstream_failed(
                kind_of_dial_errno(failure, is_unix=self.endpoint.peer.is_unix), os.strerror(failure)
            )

    cdef void connection_available(self, PooledConnection connection):
        """The pool has a connection for us, or room to dial one."""
        cdef uint64_t number = self.number
        if self.stage != WAITING or self.waits_for != POOL:
            if connection is not None:
                (<UpstreamConnection>connection).end()
            else:
                self.endpoint.pool.dial_failed(self.context.reactor.now_ms)
            return
        try:
            self.waits_for = NOTHING
            self.note_wait()
            if connection is None:
                self.dial()
            else:
                self.stage = RUNNING
                self.context.meters.add(UPSTREAM_REUSES, 1)
                (<UpstreamConnection>connection).attach(self, self.destination.upstream.read_timeout_ms)
                self.send()
        except Exception as error:
            self.caught(number, error)

    cdef void note_wait(self) noexcept:
        """How long it waited for a connection of the pool."""
        cdef Pool pool = self.endpoint.pool
        cdef uint64_t since_ms = self.wait_deadline_ms - pool.wait_timeout_ms
        if self.wait_deadline_ms >= pool.wait_timeout_ms and self.context.reactor.now_ms > since_ms:
            self.pool_waited_ns = (self.context.reactor.now_ms - since_ms) * 1000000
            self.context.witness.waited(self.pool_waited_ns)

    cdef void wait_failed(self):
        cdef uint64_t number = self.number
        if self.stage != WAITING or self.waits_for != POOL:
            return
        try:
            self.waits_for = NOTHING
            self.stage = RUNNING
            self.note_wait()
            self.fail(Kind.CONNECTION_LIMIT_REACHED, "no connection became free in time", 0)
        except Exception as error:
            self.caught(number, error)

    # What an upstream's connection says. Whatever fails in it ends this exchange, and not that connection, which may serve
    # another one by then.

    cdef void upstream_connected(self):
        cdef uint64_t number = self.number
        try:
            self._go_on()
        except Exception as error:
            self.caught(number, error)

    cdef void upstream_drained(self):
        cdef uint64_t number = self.number
        try:
            self._feed()
        except Exception as error:
            self.caught(number, error)

    cdef void upstream_bytes(self, char* data, size_t size):
        cdef uint64_t number = self.number
        try:
            self._take(data, size)
        except Exception as error:
            self.caught(number, error)

    cdef ssize_t splice_answer(self):
        cdef uint64_t number = self.number
        try:
            return Relay.splice_answer(self)
        except Exception as error:
            self.caught(number, error)
            return READ_NOTHING

    cdef void upstream_ended(self, bint is_truncated):
        cdef uint64_t number = self.number
        try:
            self._at_end(is_truncated)
        except Exception as error:
            self.caught(number, error)

    cdef void upstream_failed(self, object kind, str detail):
        cdef uint64_t number = self.number
        try:
            self._cut_off(kind, detail)
        except Exception as error:
            self.caught(number, error)

    cdef void caught(self, uint64_t number, object error):
        self.context.reactor.faults += 1
        if self.number == number and self.client is not None:
            self.client.on_fault(error)
        else:
            self.context.error_log.say("gateway_fault", f"{type(error).__name__}: {error}", error=error)

    cdef void _go_on(self):
        """Connected."""
        if self.stage != WAITING or self.waits_for != DIAL:
            self.connection.end()
            return
        self.waits_for = NOTHING
        self.send()

    cdef void send(self):
        """Hands the request over; what is still to come of its body follows as the client sends it."""
        cdef UpstreamConnection connection = self.connection
        cdef Client client = self.client
        cdef uint64_t number = self.number
        reset_response_head(&self.response)
        if self.send_request() < 0:
            if self.number == number and self.connection is connection:
                self.upstream_write_failed()
            return
        if not self.body_done:
            client.pump_body()

    cdef void upstream_write_failed(self):
        """The upstream takes nothing more; an answer may have come all the same."""
        if self.connection is not None:
            self.connection.on_reset()

    cdef void _feed(self):
        """The upstream has taken what waited for it."""
        if self.stage == TUNNEL:
            if self.request_sent:
                self.end_tunnel()
            else:
                self.client.resume_reading()
        elif not self.body_done:
            self.client.pump_body()

    cdef bint awaits_upstream(self):
        # While the client still sends it is the client's turn, unless the upstream does not take what there is. An upgraded
        # connection may be silent in both directions, up to its own bound.
        return self.stage != TUNNEL and (self.request_sent or self.connection.backlog_end != 0)

    cdef void _take(self, char* data, size_t size):
        """The upstream's answer, or more of it."""
        cdef UpstreamConnection connection = self.connection
        cdef Client client = self.client
        cdef int verdict
        cdef size_t room
        cdef uint64_t number = self.number
        self.context.meters.add(BYTES_UPSTREAM_IN, size)
        if self.stage == RESPONDING:
            self.relay_answer(data, size)
            return
        if self.stage == TUNNEL:
            self.response_bytes += size
            if client.send(data, size) < 0:
                self.finish()
            else:
                client.touch()
                if client.waiting_bytes() > HIGH_WATER:
                    connection.pause_reading()
            return
        if self.stage != SENT:
            self.fail(Kind.HTTP_PROTOCOL_ERROR, "spoke before it was asked", 0)
            return
        if connection.held_size != 0:
            connection.hold(data, size)
            data = connection.held
            size = connection.held_size
        while True:
            verdict = parse_response_head(data, size, &RESPONSE_LIMITS, self.request.method, &self.response)
            if verdict == NEED_MORE:
                if connection.held_size == 0:
                    connection.hold(data, size)
                elif data != connection.held:
                    connection.rehold(data, size)
                return
            if verdict < 0:
                self.fail(_kind_of_refusal(-verdict), refusal_name(-verdict).decode(), 0)
                return
            if self.response.status >= 200 or self.response.status == 101:
                break
            # An interim answer. 100 was given by the gateway itself already; others go on to who can understand them, and
            # not to who does not even take what there is: nothing bounds their number.
            if self.response.status != 100 and self.request.minor == 1 and client.waiting_bytes() < HIGH_WATER:
                room = compose_interim(&self.response, data, self.context.reactor.compose)
                if client.send(self.context.reactor.compose, room) < 0:
                    self.client_failed()
                    return
            data += self.response.size
            size -= self.response.size
            reset_response_head(&self.response)
            if size == 0:
                connection.drop_held()
                return
        self.status = self.response.status
        self.upstream_status = self.response.status
        self.answered_ns = self.context.reactor.now_ns
        self.response_at = data
        if self.learns:
            hear_waiting(self, self.contract, self.contract_members)
            hear_waiting(self, self.at_endpoint, self.endpoint_members)
        if self.response.status == 101:
            if not self.request.flags & HEAD_UPGRADE:
                self.status = 0
                self.fail(Kind.HTTP_PROTOCOL_ERROR, "changed the protocol without being asked", 0)
                return
            if not same_name(data + self.response.upgrade.start, self.response.upgrade.size, b"websocket", 9):
                self.status = 0
                self.fail(Kind.HTTP_UPGRADE_FAILED, "changed to another protocol than was asked for", 0)
                return
        self.rest = data + self.response.size
        self.rest_size = size - self.response.size
        self.respond()
        if self.number == number and self.connection is connection and connection is not None and (
            self.stage == RESPONDING or self.stage == TUNNEL
        ):
            connection.drop_held()

    cdef void _at_end(self, bint is_truncated):
        """The upstream has closed its half."""
        cdef UpstreamConnection connection = self.connection
        if self.stage == TUNNEL:
            connection.pause_reading()
            if not self.response_done:
                self.response_done = True
                if self.client.half_close() < 0:
                    self.finish()
                    return
            self.end_tunnel()
        elif self.stage == RESPONDING:
            self.end_answer_at_eof(is_truncated)
        else:
            connection.account()
            self.leave_upstream()
            self.upstream_failed(
                Kind.HTTP_RESPONSE_INCOMPLETE if self.failed_answered else Kind.CONNECTION_TERMINATED,
                "closed before its answer was whole" if self.failed_answered else "closed without an answer",
            )

    cdef void _cut_off(self, object kind, str detail):
        if self.stage == TUNNEL:
            self.error_kind = kind
            self.error_detail = detail
            self.finish()
        elif self.stage == WAITING and self.waits_for == DIAL:
            self.waits_for = NOTHING
            self.stage = RUNNING
            self.context.meters.add(UPSTREAM_DIAL_FAILURES, 1)
            self.fail(kind, detail, 0)
        else:
            self.fail(kind, detail, 0)

    cdef void fail(self, object kind, str detail, int status):
        """The upstream, or the way to it, has failed."""
        cdef Upstream upstream
        if self.connection is not None:
            self.connection.account()
        self.leave_upstream()
        if self.status == 0 and self.tries_again(kind):
            self.context.meters.add(UPSTREAM_RETRIES, 1)
            if self.learns:
                if self.contract is not None:
                    teach(self, self.contract, self.contract_members, kind)
            self.leave_endpoint(kind)
            upstream = self.destination.upstream
            if self.failed_reused:
                # The server may close a connection that rests: that is no failure of its own. Who is to stay with one
                # server stays with it; others go where nothing has just been closed.
                self.release_endpoint(False)
                if upstream.hash_source == HASH_NONE and not PyBytes_GET_SIZE(upstream.sticky_cookie):
                    self.failed_endpoint = self.endpoint
            else:
                self.note_loss(kind)
                self.release_endpoint(blames_endpoint(kind))
                self.failed_endpoint = self.endpoint
            self.sent_ns = self.handed_ns = self.pool_waited_ns = 0
            self.stage = RUNNING
            self.pick()
            return
        self.error_kind = kind
        self.error_detail = detail
        self.endpoint_failed = blames_endpoint(kind)
        self.note_loss(kind)
        if kind == Kind.GATEWAY_EXHAUSTED:
            self.context.meters.add(GATEWAY_EXHAUSTED, 1)
        self.context.error_log.say(
            f"upstream_{kind}", detail,
            upstream="" if self.destination is None else self.destination.upstream.name,
            endpoint="" if self.endpoint is None else self.endpoint.peer.label,
        )
        if self.stage == RESPONDING or self.stage == TUNNEL:
            self.finish()
        else:
            self.answer(self.problem_for(kind, detail, status))

    cdef bint tries_again(self, object kind):
        """Whether the request may be sent once more (DESIGN section 10)."""
        cdef uint8_t method = self.request.method
        if self.endpoint is None or self.attempts >= ATTEMPTS_MAX or kind == Kind.GATEWAY_EXHAUSTED or self.request_bytes != 0:
            return False
        if kind == Kind.CONNECTION_LIMIT_REACHED or kind == Kind.PROXY_INTERNAL_ERROR:
            return False
        if self.failed_handed == 0 and not self.failed_reused and len(self.destination.upstream.endpoints) < 2:
            return False        # a dial that failed is tried elsewhere only
        return may_retry(
            method_is_idempotent=(
                method == METHOD_GET or method == METHOD_HEAD or method == METHOD_PUT or method == METHOD_DELETE
                or method == METHOD_OPTIONS or method == METHOD_TRACE
            ),
            # Nothing of it has been taken from the client; but the end of an empty one in chunks, which comes only once.
            body_replayable=not (self.request_sent and self.request_is_chunked_out),
            reused=self.failed_reused and kind == Kind.CONNECTION_TERMINATED,
            bytes_handed_to_kernel=self.failed_handed,
            answer_bytes=self.failed_answered,
        )

    cdef void answer_complete(self, bint upstream_is_reusable):
        """The answer has been handed to the client whole."""
        cdef UpstreamConnection connection = self.connection
        cdef Pool pool
        if connection is not None:
            if (
                upstream_is_reusable and self.request_sent and self.response.flags & HEAD_KEEP_ALIVE
                and self.response.framing != FRAMING_CLOSE and connection.pool is not None
            ):
                self.release_endpoint(False)
                self.leave_endpoint(None)
                if not connection.is_unix and self.context.reactor.now_ms >= connection.path_seen_ms + PATH_PERIOD_MS:
                    self.look_at_path(connection)
                connection.detach()
                connection.drop_held()
                connection.set_deadline(0)
                pool = connection.pool
                pool.give_back(connection, self.context.reactor.now_ms)
            else:
                connection.end()
        self.finish()

    cdef void tunnel_bytes(self, char* data, size_t size):
        cdef UpstreamConnection connection = self.connection
        self.request_bytes += size
        if connection is None or connection.send(data, size) < 0:
            self.finish()
            return
        if connection.waiting_bytes() > HIGH_WATER:
            self.client.pause_reading()

    cdef void tunnel_ended(self):
        """The client has closed its half."""
        if not self.request_sent:
            self.request_sent = True
            if self.connection.half_close() < 0:
                self.finish()
                return
        self.end_tunnel()

    cdef void end_tunnel(self):
        """Ends it when both halves are closed and what was said before has been taken."""
        if self.request_sent and self.response_done and (
            self.connection.waiting_bytes() == 0 and self.client.waiting_bytes() == 0
        ):
            self.finish()

    cdef void client_drained(self):
        """The client has taken what waited for it."""
        if self.stage == TUNNEL and self.response_done:
            self.end_tunnel()
        elif self.connection is not None and not self.connection.is_reading and self.waits_for == NOTHING:
            self.connection.resume_reading()
            if self.stage != TUNNEL:
                self.connection.touch()

    cdef void leave_upstream(self):
        """Ends whatever is under way towards the upstream, the wait for a turn to ask it included."""
        if self.waits_for == TURN or self.waits_for == PERMIT or self.waits_for == LEASE:
            self.leave_queues()
        if self.task is not None:
            task = self.task
            self.task = None
            if task is not asyncio.current_task(self.context.loop):
                task.cancel()
            if self.awaited is not None:
                # Its task was cancelled before it began: nobody would ever await it, and Python would warn of that.
                if hasattr(self.awaited, "close"):
                    self.awaited.close()
                self.awaited = None
        if self.is_waiting:
            self.endpoint.pool.leave(self)
        if self.connection is not None:
            self.connection.end()
        self.waits_for = NOTHING

    cdef void release_endpoint(self, bint failed):
        cdef Endpoint endpoint = self.endpoint
        cdef uint64_t now_ns = self.context.reactor.now_ns
        if endpoint is not None and self.holds_endpoint:
            self.holds_endpoint = False
            if self.answered_ns:
                endpoint.served += 1
            self.context.witness.endpoint_ended(
                endpoint, (self.answered_ns or now_ns) - (self.sent_ns or now_ns), now_ns, failed
            )

    cdef void note_loss(self, object kind):
        """The network, or silence, ended it: what `observe.suspicion` counts."""
        if self.endpoint is not None and is_lost(kind):
            self.endpoint.lost += 1
            self.context.meters.record_failure(self.upstream_series())

    cdef uint32_t upstream_series(self):
        cdef Destination destination = self.destination
        if not destination.has_series:
            destination.series = self.context.meters.series(SERIES_UPSTREAM, destination.text)
            destination.has_series = True
        return destination.series

    cdef void look_at_path(self, UpstreamConnection connection) noexcept:
        """What the kernel knows of the way to the server: asked when a connection is given back, at most once a second."""
        cdef tcp_info figures
        cdef socklen_t size = sizeof(figures)
        connection.path_seen_ms = self.context.reactor.now_ms
        memset(&figures, 0, sizeof(figures))
        if getsockopt(connection.fd, IPPROTO_TCP, TCP_INFO, &figures, &size) == 0:
            self.context.meters.record_path(
                self.upstream_series(), <uint64_t>figures.tcpi_rtt * 1000,
                figures.tcpi_total_retrans - connection.retransmits_seen,
            )
            connection.retransmits_seen = figures.tcpi_total_retrans

    cdef void left_sync(self, int cause):
        if not self.went_async:
            self.went_async = True
            self.async_cause = cause

    cdef Response problem_for(self, object kind, str detail, int status):
        next_hop = self.endpoint.peer.label if self.endpoint is not None else ""
        return problem_for(kind, detail, self.id(), next_hop, status)

    # -- the rest of the exchange -----------------------------------------------------------------------------------

    cdef void respond(self):
        raise NotImplementedError

    cdef void finish(self):
        raise NotImplementedError
