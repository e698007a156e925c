"""One request with its response.

    head ─> route ─> admit ─> authenticate ─> filters ─> pick ─> connect ─> send ─> respond ─> finish

Rules:

1. While nothing has to be waited for, all of it runs inside the callback that brought the head, and later the one that brought
   the answer: no task, no future, no object that the cyclic collector tracks. What waits is a filter's coroutine, a place in a
   full pool, or a dial; ``went_async`` says so in the meters.
2. ``_finish`` runs exactly once, whatever happens: first it ends what the exchange holds (its share of the endpoint, its
   connection), then it writes meters, calls filters, writes the log line, tells the client's connection.
3. What waits remembers ``number``: the object serves other exchanges afterwards, and a late wake-up of an earlier one finds
   another number and does nothing.
4. An answer made here is rendered as an upstream would have sent it and goes the same way, filters included.
5. Every failure of an upstream comes in through ``fail``: a retry if that is safe, an answer if the client has none yet, and
   else the end of the client's connection, so that a cut answer can never be taken for a whole one.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t, uint64_t

from tidegate.exchange.context cimport Context
from tidegate.exchange.edits cimport EDIT_ADD, Edits
from tidegate.exchange.forward cimport RESPONSE_LIMITS
from tidegate.exchange.hitters cimport count_hitters, upstream_ns
from tidegate.exchange.keys cimport adopt_request_id, make_request_id
from tidegate.exchange.plan cimport Plan, Route, Step
from tidegate.exchange.rate_fields cimport add_rate_fields
from tidegate.exchange.record cimport write_record
from tidegate.exchange.settlement cimport settle_costs, settle_failure
from tidegate.exchange.state cimport (
    FINISHED, FREE, HEAD, LEASE, PERMIT, RESPONDING, RUNNING, TUNNEL, TURN, Client, fill, reserve,
)
from tidegate.exchange.views cimport Response, cut_off, request_view
from tidegate.memory.atomics cimport load_acquire
from tidegate.memory.marks cimport step_into, step_out
from tidegate.memory.meters cimport (
    CLIENT_ABORTS, EXCHANGES_OPEN, EXCHANGES_STARTED, EXCHANGES_SYNC, REQUESTS_REFUSED, SERIES_ROUTE, UPGRADES_OPEN,
    Meters,
)
from tidegate.observe.access_log cimport LOG_EXCHANGE, LOG_UPGRADE_CLOSED, LOG_UPGRADE_OPENED
from tidegate.routing.rewrite cimport Redirect
from tidegate.upstream.connection cimport UpstreamConnection
from tidegate.wire.http1 cimport (
    COMPLETE, FIELD_CONTENT_TYPE, FIELD_DATE, FRAMING_CHUNKED, FRAMING_LENGTH, FRAMING_NONE, FRAMING_TUNNEL, HEAD_EXPECT_CONTINUE,
    HEAD_UPGRADE, TARGET_ASTERISK, Field, parse_response_head, reset_chunked, reset_request_head, reset_response_head,
    same_name,
)
from tidegate.wire.target cimport canonical_path, is_canonical, path_refusal_name

from tidegate.errors import Kind
from tidegate.exchange.problem import problem

cdef enum:
    SPARE_MAX = 256             # used exchanges kept in a worker


cdef Exchange take_exchange(Context context):
    cdef Exchange exchange
    if context.spare:
        exchange = context.spare.pop()
    else:
        exchange = Exchange.__new__(Exchange)
        exchange.context = context
        exchange.body_bound = -1
    reset_request_head(&exchange.request)
    exchange.stage = HEAD
    exchange.began_ns = context.reactor.now_ns
    return exchange


cdef void give_up(Exchange exchange):
    exchange.forget()
    if len(exchange.context.spare) < SPARE_MAX:
        exchange.context.spare.append(exchange)


cdef class Exchange(Steps):

    # == what the client's connection says ==============================================================================

    cdef void _enter(self, Client client):
        """Counts it, and settles which snapshot it is served by."""
        cdef Context context = self.context
        if load_acquire(context.snapshot_word) != client.snapshot_number:
            client.take_snapshot()
        self.number += 1
        self.client = client
        self.plan = <Plan>context.plan
        self.plan.exchanges += 1
        context.exchanges += 1
        context.meters.add(EXCHANGES_STARTED, 1)
        context.meters.add(EXCHANGES_OPEN, 1)
        context.witness.client_asked(client.address_hash)

    cdef void begin(self, Client client, const char* data):
        """Its head is complete."""
        self._enter(client)
        fill(&self.raw, data, self.request.size)
        self.stage = RUNNING
        if self.request.framing == FRAMING_LENGTH:
            self.body_left = self.request.content_length
            self.body_done = self.body_left == 0
        elif self.request.framing == FRAMING_CHUNKED:
            reset_chunked(&self.request_chunks)
        else:
            self.body_done = True
        self.wants_continue = (self.request.flags & HEAD_EXPECT_CONTINUE) != 0 and not self.body_done
        if client.is_trusted:
            adopt_request_id(self)
        if self.request_id_size == 0:
            make_request_id(self)
        self._route()

    cdef void refuse(self, Client client, const char* data, size_t size, int status, str name):
        """The head could not be understood: an answer, and the end of the connection."""
        self._enter(client)
        self.context.meters.add(REQUESTS_REFUSED, 1)
        # Nothing of it is trusted, not even where its fields are.
        reset_request_head(&self.request)
        self.request.minor = 1
        fill(&self.raw, data, 0)
        self.stage = RUNNING
        self.body_done = False
        client.keeps_alive = False
        make_request_id(self)
        self.error_kind = Kind.HTTP_REQUEST_ERROR
        self.error_detail = name
        self.answer(problem(status, name, self.id()))

    cdef void refuse_body(self, int status, str name):
        """The body broke a rule or a bound. An answer if there is none yet; the upstream sees a request cut short, never
        a whole one."""
        self.context.meters.add(REQUESTS_REFUSED, 1)
        self.client.keeps_alive = False
        self.leave_upstream()
        self.error_kind = Kind.HTTP_REQUEST_ERROR
        self.error_detail = name
        if self.stage < RESPONDING:
            self.answer(problem(status, name, self.id()))
        else:
            self.finish()

    cdef void client_gone(self):
        if self.stage == FREE or self.stage == FINISHED:
            return
        if self.stage != TUNNEL and not self.response_done:
            self.context.meters.add(CLIENT_ABORTS, 1)
            if self.error_kind is None:
                self.error_kind = Kind.CONNECTION_TERMINATED
                self.error_detail = "client closed"
        self.finish()

    cdef void client_failed(self):
        self.client_gone()

    cdef void timed_out(self, bint client_is_slow):
        """The deadline of the whole exchange has passed, or (client_is_slow) the client has moved nothing for too long."""
        if client_is_slow:
            self.context.witness.client_failed(self.client.address_hash)
            if self.stage < RESPONDING and not self.body_done:
                self.refuse_body(408, "request_body_timeout")
            else:
                self.error_kind = Kind.CONNECTION_WRITE_TIMEOUT
                self.error_detail = "the client takes nothing"
                self.finish()
            return
        # To blame is who did not answer a request that it had whole, or stopped in the middle of an answer.
        self.endpoint_failed = self.holds_endpoint and self.sent_ns != 0 and self.body_done
        if self.endpoint_failed:
            self.note_loss(Kind.HTTP_RESPONSE_TIMEOUT)
        self.is_out_of_time = True
        if self.waits_for == TURN or self.waits_for == PERMIT or self.waits_for == LEASE:
            self.refuse_late()      # no upstream is to blame that was never asked
            return
        self.leave_upstream()
        if self.stage < RESPONDING:
            self.error_kind = Kind.HTTP_RESPONSE_TIMEOUT
            self.error_detail = "the exchange took too long"
            self.answer(self.problem_for(Kind.HTTP_RESPONSE_TIMEOUT, self.error_detail, 504))
        else:
            self.error_kind = Kind.HTTP_RESPONSE_TIMEOUT
            self.error_detail = "the exchange took too long"
            self.finish()

    cdef void gateway_ends(self, str reason):
        """It cuts off what is under way: neither side is to blame, and the client is not said to have left."""
        if self.stage == FREE or self.stage == FINISHED:
            return
        if self.stage == TUNNEL or not self.response_done:
            self.error_kind = Kind.HTTP_RESPONSE_TIMEOUT
            self.error_detail = reason
            if self.status == 0:
                self.status = 504
        self.finish()

    # == phases =========================================================================================================

    cdef void _route(self):
        """Finds the route; everything it needs to know of the path is settled here."""
        cdef Plan plan = self.plan
        cdef const char* raw = self.raw.at
        cdef const char* path = raw + self.request.path.start
        cdef size_t size = self.request.path.size
        cdef int written
        cdef bint method_mismatch = False
        cdef Route route
        if self.request.target_form == TARGET_ASTERISK:
            path = b"/"
            size = 1
        elif not is_canonical(path, size):
            reserve(&self.path, size)
            written = canonical_path(path, size, plan.widest_encodings, self.path.at)
            if written < 0:
                self.refuse_path(-written)
                return
            self.path.size = written
            self.path_is_own = True
            path = self.path.at
            size = written
        self.match = plan.router.match(
            raw, &self.request, raw + self.request.host.start, self.request.host.size, path, size, &self.captures,
            &method_mismatch,
        )
        if self.match is None:
            if self.admit_arrival():
                self._no_route(method_mismatch, path, size)
            return
        route = <Route>self.match.target
        self.route = route
        if self.context.shedder.is_on(self.context.exchanges) and self._shed():
            return
        if self.path_is_own and route.allowed_encodings != plan.widest_encodings:
            # Another route allows more than this one does.
            written = canonical_path(
                raw + self.request.path.start, self.request.path.size, route.allowed_encodings, self.path.at
            )
            if written < 0:
                self.refuse_path(-written)
                return
        self.destination = route.destination
        if self.request.flags & HEAD_UPGRADE and (
            not route.allows_upgrade or not self.body_done or not self._is_websocket()
        ):
            self.request.flags &= ~<unsigned int>HEAD_UPGRADE
        self.body_bound = route.max_body if route.max_body != -1 else self.client.max_body
        if self.request.framing == FRAMING_LENGTH and self.body_bound >= 0 and (
            self.request.content_length > <uint64_t>self.body_bound
        ):
            self.client.keeps_alive = False
            self.error_detail = "body_too_large"
            self.answer(problem(413, "body_too_large", self.id()))
            return
        self.request_is_chunked_out = self.request.framing == FRAMING_CHUNKED or (
            route.on_request_body is not None and not self.body_done
        )
        if route.timeout_ms:
            self.deadline_ms = self.context.reactor.now_ms + route.timeout_ms
        if route.request_edits is not None:
            if self.request_edits is None:
                self.request_edits = Edits()
            self.request_edits.extend(route.request_edits)
        self.client.exchange_routed()
        self.admit()

    cdef bint _shed(self):
        """The worker has too much to do, and this request is one of those that it does not begin with."""
        cdef Context context = self.context
        # Who asks is not known yet, and finding out is work.
        cdef unsigned rank = self.plan.classes.of(self.route.class_, self.raw.at, &self.request, False, 0)
        if not context.shedder.sheds(rank, context.exchanges, context.next_random()):
            return False
        self.error_kind = Kind.HTTP_REQUEST_DENIED
        self.error_detail = "overloaded"
        self.skips_filters = True
        self.answer(context.shedder.answer_to(self.request_id, self.request_id_size))
        return True

    cdef void run_filters(self):
        if self.route.on_request is not None:
            self.run_request_filters()
        else:
            self.pick()

    cdef bint _is_websocket(self):
        return same_name(self.raw.at + self.request.upgrade.start, self.request.upgrade.size, b"websocket", 9)

    cdef void refuse_path(self, int refusal):
        name = path_refusal_name(refusal).decode() if refusal else "unsafe_path"
        self.context.meters.add(REQUESTS_REFUSED, 1)
        self.client.keeps_alive = False
        self.error_kind = Kind.HTTP_REQUEST_ERROR
        self.error_detail = name
        self.answer(problem(400, name, self.id()))

    cdef void _no_route(self, bint method_mismatch, const char* path, size_t size):
        if method_mismatch:
            allowed = self.plan.router.allowed_methods(
                self.raw.at, &self.request, self.raw.at + self.request.host.start, self.request.host.size, path, size
            )
            self.answer(problem(405, "method_not_allowed", self.id(), {"Allow": allowed.decode()}))
        else:
            self.answer(problem(404, "no_route", self.id()))

    cdef void respond(self):
        """The answer's head is known: filters, then the client."""
        cdef Route route = self.route
        cdef bint is_replaced = self.is_replaced
        self.is_replaced = False
        if route is not None:
            if route.response_edits is not None:
                if self.response_edits is None:
                    self.response_edits = Edits()
                self.response_edits.extend(route.response_edits)
            if route.on_response is not None and self.status != 101 and not self.skips_filters:
                if self.response_at != self.raw_response.at:
                    fill(&self.raw_response, self.response_at, self.response.size)
                    self.response_at = self.raw_response.at
                if not is_replaced:
                    self.step = 0
                self.run_response_filters()
                return
        self.send_head()

    cdef void send_head(self):
        cdef UpstreamConnection connection = self.connection
        cdef Client client = self.client
        if self.response.framing == FRAMING_TUNNEL:
            self._begin_tunnel()
            return
        if self.refused_by is None and (
            (self.edge is not None and self.edge.has_reports) or (self.contract is not None and self.contract.has_reports)
        ):
            add_rate_fields(self)
        if not self.is_local and self.response.framing != FRAMING_NONE:
            self.is_stream = self._is_event_stream()
        if self.local_body is not None:
            self.begin_answer(PyBytes_AS_STRING(self.local_body), PyBytes_GET_SIZE(self.local_body))
        else:
            self.begin_answer(self.rest, self.rest_size)

    cdef bint _is_event_stream(self) noexcept:
        cdef const Field* field
        cdef int i
        for i in range(self.response.n_fields):
            field = &self.response.fields[i]
            if field.id == FIELD_CONTENT_TYPE:
                return field.value.size >= 17 and same_name(
                    self.response_at + field.value.start, 17, b"text/event-stream", 17
                )
        return False

    cdef void _begin_tunnel(self):
        """101: from here bytes go both ways as they come."""
        cdef UpstreamConnection connection = self.connection
        cdef Client client = self.client
        client.answer_came()
        self.is_stream = True
        if self.send_switch() < 0:
            return
        self.stage = TUNNEL
        # From here on these two say which half has been closed.
        self.request_sent = False
        self.response_done = False
        client.keeps_alive = False
        connection.set_deadline(0)
        self.context.meters.add(UPGRADES_OPEN, 1)
        write_record(self, LOG_UPGRADE_OPENED)
        if self.rest_size != 0:
            self.response_bytes += self.rest_size
            if client.send(self.rest, self.rest_size) < 0:
                self.finish()
                return
        client.begin_tunnel()

    cdef void _redirect(self):
        cdef Redirect redirect = self.route.redirect
        cdef const char* raw = self.raw.at
        cdef const char* path = self.path.at if self.path_is_own else raw + self.request.path.start
        cdef size_t size = self.path.size if self.path_is_own else self.request.path.size
        cdef int written
        reserve(&self.sent_path, redirect.room_for(self.request.host.size, size, self.request.query.size))
        written = redirect.apply(
            b"https" if self.client.is_tls else b"http", 5 if self.client.is_tls else 4, raw + self.request.host.start,
            self.request.host.size, path, size, raw + self.request.query.start, self.request.query.size, &self.captures,
            self.sent_path.at, self.sent_path.room,
        )
        if written < 0:
            self.refuse_path(0)
            return
        location = self.sent_path.at[:written].decode("latin-1")
        self.answer(Response(self.route.redirect_status, b"", {"Location": location}))

    cdef void answer_locally(self):
        cdef Route route = self.route
        if route.answer is not None:
            self.answer(<Response>route.answer)
        elif route.redirect is not None:
            self._redirect()
        else:
            self.fault(RuntimeError("the route leads nowhere"), "route")

    # == ends ===========================================================================================================

    cdef void answer(self, Response response):
        """An answer that was made here, by the gateway or a filter."""
        cdef bytes head = response.head
        self.leave_upstream()
        self.release_endpoint(self.endpoint_failed)
        self.is_local = True
        self.set_cookie = None
        self.stage = RUNNING
        fill(&self.raw_response, PyBytes_AS_STRING(head), PyBytes_GET_SIZE(head))
        self.response_at = self.raw_response.at
        reset_response_head(&self.response)
        if parse_response_head(
            self.raw_response.at, self.raw_response.size, &RESPONSE_LIMITS, self.request.method, &self.response
        ) != COMPLETE:
            raise ValueError("an answer made here could not be read back")
        self.status = self.response.status
        self.local_body = response.body
        if self.response_edits is None:
            self.response_edits = Edits()
        self.response_edits.clear()     # they were made to another answer
        if not self.response.seen >> FIELD_DATE & 1:
            date = self.context.date()
            self.response_edits.put(EDIT_ADD, b"Date", 4, PyBytes_AS_STRING(date), PyBytes_GET_SIZE(date))
        self.respond()

    cdef void fault(self, object error, str where):
        """A filter raised, or the gateway is wrong: 500, with the name in the log, and no other connection touched."""
        self.context.error_log.say("filter_failed", f"{type(error).__name__}: {error}", filter=where, error=error)
        self.error_kind = Kind.PROXY_INTERNAL_ERROR
        self.error_detail = where
        if self.stage == RESPONDING or self.stage == TUNNEL:
            self.response_done = False      # it may have been read whole: it was not sent whole
            self.finish()
            return
        self.skips_filters = True
        self.answer(self.problem_for(Kind.PROXY_INTERNAL_ERROR, None, 500))

    cdef void answer_broken(self, object kind, str detail):
        """In the middle of its body: the client's connection ends, so that half an answer is not taken for a whole one."""
        self.fail(kind, detail, 0)

    cdef void finish(self):
        """The end of every exchange, exactly once."""
        cdef Exchange kept = self   # the client's connection may hold the last reference, and lets go of it below
        cdef Context context = self.context
        cdef Client client = self.client
        cdef bint is_clean
        cdef uint8_t stage = self.stage
        cdef uint64_t took_ns
        if stage == FINISHED or stage == FREE:
            return
        self.stage = FINISHED
        is_clean = self.status != 0 and self.response_done and stage == RESPONDING
        # first what it holds
        self.end_permits()
        self.leave_upstream()
        self.release_endpoint(self.endpoint_failed)
        if (self.status == 401 or self.status == 403) and self.refused_by is None:
            settle_failure(self)
        took_ns = upstream_ns(self, context.reactor.now_ns)
        settle_costs(self, took_ns)
        # then what is known of it
        try:
            self._record(stage, took_ns)
        except Exception as error:
            # What cannot be told of it must not keep it from ending.
            context.reactor.faults += 1
            context.error_log.say("gateway_fault", f"{type(error).__name__}: {error}", error=error)
        if self.request_view is not None:
            cut_off(self)
        self.plan.exchanges -= 1
        context.exchanges -= 1
        client.exchange_finished(is_clean)
        self.forget()
        if len(context.spare) < SPARE_MAX:
            context.spare.append(kept)

    cdef void _record(self, uint8_t stage, uint64_t took_ns):
        """Meters, filters, log line. stage: that it ended in. took_ns: of an upstream."""
        cdef Context context = self.context
        cdef Meters meters = context.meters
        cdef Route route = self.route
        cdef Step step
        cdef uint64_t outer
        cdef uint64_t duration_ns = context.reactor.now_ns - self.began_ns
        meters.take(EXCHANGES_OPEN, 1)
        meters.add(self.async_cause if self.went_async else EXCHANGES_SYNC, 1)
        if stage == TUNNEL:
            meters.take(UPGRADES_OPEN, 1)
        if route is not None:
            if not route.has_series:
                route.series = meters.series(SERIES_ROUTE, route.name_text)
                route.has_series = True
            meters.record(route.series, self.status, duration_ns, self.request_bytes, self.response_bytes)
        if self.sent_ns != 0 and self.destination is not None:
            meters.record(
                self.upstream_series(), self.upstream_status, (self.answered_ns or context.reactor.now_ns) - self.sent_ns,
                self.request_bytes, self.response_bytes,
            )
        count_hitters(self, took_ns)
        if route is not None and route.on_finish is not None:
            for step in route.on_finish:
                outer = step_into(context.reactor.mark, step.place)
                try:
                    step.call(request_view(self))
                except BaseException as error:
                    context.error_log.say(
                        "filter_failed", f"{type(error).__name__}: {error}", filter=step.filter_name, error=error
                    )
                step_out(context.reactor.mark, outer)
        if self.plan.access_log.is_on:
            write_record(self, LOG_UPGRADE_CLOSED if stage == TUNNEL else LOG_EXCHANGE)

    def __repr__(self):
        stage = ("free", "head", "running", "waiting", "sent", "responding", "tunnel", "finished")[self.stage]
        route = "no route" if self.route is None else self.route.name
        return f"<Exchange {self.number} on {route}: {stage}, status {self.status}>"
