"""Whether a request may pass, and where to.

    admit ─> authenticate ─> limit ─> (filters) ─> pick ─> (connect)

- ``admit`` charges the limits that need not know who asks: it counts arrivals, so that a flood of bad keys costs no look-up.
- ``authenticate`` finds out who asks, before any filter sees the request: by the key in the field that the route's ``auth``
  names. The field goes no further, unless it is to be kept: neither filters nor the upstream see the key.
- ``limit`` looks at the contract, the limits of who asks, and charges nothing: what filters answer themselves costs nothing.
- ``pick`` charges the contract and the limits of the upstream as one, all or none, takes the permits to be in flight, and
  chooses the endpoint. A second attempt is the same request, and not charged again; the permits end first in ``finish``.

A limit that delays gives out a turn; the exchange waits for it in the worker's queue, and one that leaves before gives it back.
A bound on concurrency may have a queue for permits. Who waits holds nothing, and begins with a look at all limits once more;
but what was charged for a turn that has come is not charged again. A client that has ended its sending half may be gone: it
is refused where others wait.

Of a fleet's limit the machine has borrowed a part, and a request waits for nobody. Where it has not, as for the first request of
a key, one looks again each millisecond whether the store has answered, until ``latency_cap``; then the machine decides alone.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint64_t

from tidegate.exchange.asked cimport fill_asked
from tidegate.exchange.delays cimport DelayQueue
from tidegate.exchange.keys cimport hash_key, sticky_endpoint
from tidegate.exchange.learning cimport begin_lesson, teach
from tidegate.exchange.permits cimport NO_PLACE, QUEUED, PermitQueue
from tidegate.exchange.plan cimport Plan, Route
from tidegate.exchange.refusal cimport Refusals
from tidegate.exchange.state cimport LEASE, NOTHING, PERMIT, RUNNING, TURN, WAITING, reserve
from tidegate.exchange.views cimport Response
from tidegate.filters.key_auth cimport Identity, KeyAuth
from tidegate.limits.group cimport NOBODY_REFUSED, Group
from tidegate.limits.keys cimport Asked
from tidegate.limits.limit cimport CHARGED, HELD, WOULD_REFUSE, Limit, Member, Moment
from tidegate.memory.meters cimport (
    EXCHANGES_ASYNC_LIMIT, REQUESTS_UNAUTHENTICATED, SERIES_LIMIT, VERDICT_ADMITTED, VERDICT_DELAYED, VERDICT_REFUSED,
    VERDICT_WOULD_REFUSE, Meters,
)
from tidegate.upstream.endpoint cimport HASH_NONE, Endpoint, Upstream
from tidegate.wire.http1 cimport FIELD_HAS_UNDERSCORE, FIELD_HIDDEN, HEAD_HAS_HIDDEN, Field, same_name

from tidegate.errors import Kind
from tidegate.exchange.problem import problem


cdef int64_t MILLISECOND_NS = 1000000
# How often one who waits for a store looks whether it has answered.
cdef int64_t LEASE_LOOK_NS = 1000000


cdef inline bint _waits(const Member* member) noexcept:
    return member.standing == CHARGED or member.standing == HELD


cdef class Admission(Relay):

    # == phases =========================================================================================================

    cdef bint admit_arrival(self):
        cdef Plan plan = self.plan
        cdef int64_t wait_ns = 0
        cdef Moment now
        cdef Asked asked
        cdef int refused
        if plan.listener_limits is None:
            return True
        self.edge = <Group>plan.listener_limits.get(self.client.listener)
        if self.edge is None:
            return True
        fill_asked(self, &asked)
        now = self.moment(self.edge)
        refused = self.edge.look(&asked, None, &now, self.edge_members, True)
        if refused != NOBODY_REFUSED and (<Limit>self.edge.limits[refused]).is_pending(&self.edge_members[refused], &now):
            # It gets 404: for that the store is not waited for, but those who come next have what it says.
            self.edge.borrow(refused, &now, self.edge_members)
            return True
        if refused == NOBODY_REFUSED:
            # What answers is at hand: nobody waits for that.
            refused = self.edge.charge(&now, self.edge_members, &wait_ns)
        if refused != NOBODY_REFUSED:
            self.turn_away(self.edge, refused, self.edge_members)
            return False
        self.count(self.edge, self.edge_members, 0)
        return True

    cdef void admit(self):
        """The route is known."""
        cdef Route route = self.route
        cdef Plan plan = self.plan
        self.edge = route.edge if plan.listener_limits is None else route.edge_behind(self.client.listener)
        if self.edge is not None and not self.passes(self.edge, self.edge_members):
            return
        self.is_admitted = True
        self.authenticate()

    cdef void authenticate(self):
        cdef KeyAuth auth = self.route.auth
        cdef const char* name
        cdef size_t name_size
        cdef const char* raw = self.raw.at
        cdef Field* field
        cdef const Field* found = NULL
        cdef Identity identity = None
        cdef Py_ssize_t size = -1
        cdef size_t start = 0
        cdef int i, count = 0
        if auth is None:
            self.run_filters()
            return
        name = PyBytes_AS_STRING(auth.header)
        name_size = PyBytes_GET_SIZE(auth.header)
        for i in range(self.request.n_fields):
            field = &self.request.fields[i]
            if field.name.size != name_size or not same_name(raw + field.name.start, name_size, name, name_size):
                continue
            if not auth.keeps:
                field.flags |= FIELD_HIDDEN
                self.request.flags |= HEAD_HAS_HIDDEN
            # One that is spelt with "_" is another field; but who reads it behind the gateway may take it for this one.
            if not field.flags & FIELD_HAS_UNDERSCORE:
                found = field
                count += 1
        if count == 1:
            size = auth.key_in(raw + found.value.start, found.value.size, &start)
        if size > 0:
            identity = auth.find(raw + found.value.start + start, size)
        if identity is None:
            self.context.meters.add(REQUESTS_UNAUTHENTICATED, 1)
            self.error_kind = Kind.HTTP_REQUEST_ERROR
            self.error_detail = "key_repeated" if count > 1 else "key_unknown" if size > 0 else "key_missing"
            self.answer(problem(401, self.error_detail, self.id(), {"WWW-Authenticate": auth.challenge}))
            return
        self.identity = identity
        if self.route.contract is None or self.route.on_request is None or self.look_at_contract():
            self.run_filters()

    cdef bint look_at_contract(self):
        """Before filters do their work for who will be refused; without filters ``pick`` follows at once, and looks itself."""
        cdef Group group = self.route.contract
        cdef Moment now = self.moment(group)
        cdef Asked asked
        cdef int refused
        fill_asked(self, &asked)
        refused = group.look(&asked, self.tier(), &now, self.contract_members, False)
        if refused == NOBODY_REFUSED:
            return True
        if (<Limit>group.limits[refused]).is_pending(&self.contract_members[refused], &now):
            if not (<Limit>group.limits[refused]).is_exact:
                group.borrow(refused, &now, self.contract_members)
            return True             # it is asked once more, and perhaps the store has answered by then
        self.contract = group       # that has refused: who asked is counted when it ends
        self.turn_away(group, refused, self.contract_members)
        return False

    cdef void pick(self):
        """Charges the contract, and chooses the endpoint; or answers when the route does so itself."""
        cdef Route route = self.route
        cdef Endpoint endpoint
        if not self.is_charged:
            self.contract = route.contract if (
                self.destination is None or self.destination.limits is None
            ) else route.contract_before(self.destination)
            if self.contract is not None and not self.passes(self.contract, self.contract_members):
                return
            self.is_charged = True
            self.charged_ns = self.context.reactor.now_ns
        if self.destination is None:
            self.answer_locally()
            return
        if route.rewrite is not None and not self.has_sent_path and not self.rewrite_path():
            return
        endpoint = self.place()
        if endpoint is None:
            return
        self.failed_reused = False
        self.failed_answered = False
        self.failed_handed = 0
        endpoint.started()
        self.endpoint = endpoint
        self.holds_endpoint = True
        self.attempts += 1
        if self.contract is not None and self.contract.learns:
            begin_lesson(self, self.contract, self.contract_members)
        if self.at_endpoint is not None and self.at_endpoint.learns:
            begin_lesson(self, self.at_endpoint, self.endpoint_members)
        self.connect()

    # == limits =========================================================================================================

    cdef str tier(self):
        return None if self.identity is None else self.identity.tier

    cdef unsigned traffic_class(self) noexcept:
        cdef Identity identity = self.identity
        return self.plan.classes.of(
            self.route.class_, self.raw.at, &self.request, identity is not None,
            0 if identity is None else identity.priority,
        )

    cdef Moment moment(self, Group group):
        cdef Moment now
        now.now_ns = self.context.reactor.now_ns
        now.wall_ms = self.context.real_us() // 1000 if group.needs_wall else 0
        return now

    cdef bint passes(self, Group group, Member* members):
        cdef Moment now = self.moment(group)
        cdef int64_t wait_ns = 0
        cdef Asked asked
        cdef int refused = NOBODY_REFUSED
        if not self.is_paid:
            fill_asked(self, &asked)
            refused = group.look(&asked, self.tier(), &now, members, True)
        if refused == NOBODY_REFUSED and group.has_permits:
            refused = self.acquire(group, members, &now)
            if self.waits_for == PERMIT:
                self.leave_place()
                return False
        if refused == NOBODY_REFUSED and not self.is_paid:
            refused = group.charge(&now, members, &wait_ns)
            if wait_ns and (self.client.has_ended or (
                self.deadline_ms and now.now_ns + wait_ns >= <int64_t>self.deadline_ms * MILLISECOND_NS
            )):
                refused = self.longest_wait(group, members, wait_ns)    # it would not live to see its turn
        if refused != NOBODY_REFUSED and (<Limit>group.limits[refused]).is_pending(&members[refused], &now):
            group.release(members, group.count)
            if self.waits_for_lease(group, refused, members, &now):
                return False
            if not (<Limit>group.limits[refused]).is_pending(&members[refused], &now):
                return self.passes(group, members)      # there is an answer now, whoever has given it
        if refused != NOBODY_REFUSED:
            group.release(members, group.count)
            group.refund(&now, members, group.count)
            self.leave_place()
            self.turn_away(group, refused, members)
            return False
        if self.is_paid:
            return True
        self.count(group, members, wait_ns)
        if wait_ns == 0:
            return True
        group.stand_by(members)     # who waits for a turn holds nothing meanwhile, but where permits are waited with
        self.is_paid = self.is_admitted
        self.left_sync(EXCHANGES_ASYNC_LIMIT)
        self.stage = WAITING
        self.waits_for = TURN
        (<DelayQueue>self.context.delays).put(self, now.now_ns + wait_ns)
        return False

    cdef bint waits_for_lease(self, Group group, int number, Member* members, const Moment* now) except? True:
        """Whether it looks again in a millisecond; if not, the machine has decided alone where the store would have."""
        cdef Limit limit = <Limit>group.limits[number]
        group.borrow(number, now, members)
        if self.lease_by_ns == 0:
            self.lease_by_ns = now.now_ns + limit.latency_cap_ns
        if now.now_ns >= self.lease_by_ns:
            limit.decide(&members[number])
            return False
        self.queued_for = number
        self.left_sync(EXCHANGES_ASYNC_LIMIT)
        self.stage = WAITING
        self.waits_for = LEASE
        (<DelayQueue>self.context.delays).put(self, now.now_ns + LEASE_LOOK_NS)
        return True

    cdef int longest_wait(self, Group group, Member* members, int64_t wait_ns):
        """The number of the limit that gave out the turn which is so far ahead."""
        cdef int i
        for i in range(group.count):
            if _waits(&members[i]) and members[i].wait_ns == wait_ns and not (<Limit>group.limits[i]).is_dry:
                return i
        return NOBODY_REFUSED

    cdef int acquire(self, Group group, Member* members, const Moment* now):
        """All permits of the group, or the number of the limit that refuses; or a place in its queue, holding nothing."""
        cdef PermitQueue queue = self.context.permits
        cdef unsigned class_ = self.traffic_class()
        cdef int refused, answer
        while True:
            refused = group.acquire(members, class_, now)
            if refused == NOBODY_REFUSED or not (<Limit>group.limits[refused]).has_queue or self.client.has_ended:
                return refused
            if not self.has_queued and (<Limit>group.limits[refused]).is_pending(&members[refused], now):
                # Its fleet may have one: only who finds none there waits in the queue.
                if self.lease_by_ns == 0 or now.now_ns < self.lease_by_ns:
                    return refused
                (<Limit>group.limits[refused]).decide(&members[refused])
                if not (<Limit>group.limits[refused]).is_pending(&members[refused], now):
                    continue
            answer = queue.put(self, <Limit>group.limits[refused], &members[refused])
            if answer == NO_PLACE:
                return refused
            self.has_queued = True
            if answer == QUEUED:
                self.queued_for = refused
                self.left_sync(EXCHANGES_ASYNC_LIMIT)
                self.stage = WAITING
                self.waits_for = PERMIT
                return refused
            members[refused].standing = HELD

    cdef void count(self, Group group, Member* members, int64_t wait_ns):
        """One more that each of them has let in."""
        cdef Meters meters = self.context.meters
        cdef Limit limit
        cdef bint has_waited
        cdef int i
        for i in range(group.count):
            limit = <Limit>group.limits[i]
            if not limit.has_series:
                limit.series = meters.series(SERIES_LIMIT, limit.name_text)
                limit.has_series = True
            if members[i].standing == WOULD_REFUSE:
                meters.record_verdict(limit.series, VERDICT_WOULD_REFUSE)
            elif members[i].standing == CHARGED:
                meters.record_verdict(limit.series, VERDICT_DELAYED if wait_ns and limit.delays else VERDICT_ADMITTED)
            elif members[i].standing == HELD:
                has_waited = members[i].wait_ns > 0 or (self.has_queued and limit.has_queue)
                meters.record_verdict(limit.series, VERDICT_DELAYED if has_waited else VERDICT_ADMITTED)

    cdef void turn_away(self, Group group, int number, Member* members):
        """Nothing of the group has been charged; the answer says who refused, and when to come again."""
        cdef Limit limit = <Limit>group.limits[number]
        cdef Meters meters = self.context.meters
        if not limit.has_series:
            limit.series = meters.series(SERIES_LIMIT, limit.name_text)
            limit.has_series = True
        meters.record_verdict(limit.series, VERDICT_REFUSED)
        if limit.permits is not None and limit.permits.crowded != limit.crowded_told:
            meters.record_crowded(limit.series, limit.permits.crowded - limit.crowded_told)
            limit.crowded_told = limit.permits.crowded
        self.error_kind = Kind.HTTP_REQUEST_DENIED
        self.error_detail = "limit_exceeded"
        self.refused_by = limit.name_text
        self.answer((<Refusals>self.context.refusals).answer_to(self, limit, &members[number], self.moment(group)))

    cdef void turn_came(self):
        cdef uint64_t number = self.number
        cdef bint was_charged = self.waits_for == TURN
        if self.stage != WAITING or (self.waits_for != TURN and self.waits_for != LEASE):
            return
        try:
            self.waits_for = NOTHING
            self.stage = RUNNING
            if self.is_admitted:
                self.pick()
            elif not was_charged:
                self.admit()        # from the first: nothing was charged
            else:
                self.is_admitted = True
                self.authenticate()
        except Exception as error:
            self.caught(number, error)

    cdef void permit_came(self, int64_t row):
        cdef uint64_t number = self.number
        cdef Member* members
        cdef Group group = self.waits_in(&members)
        if self.stage != WAITING or self.waits_for != PERMIT:
            return
        try:
            self.waits_for = NOTHING
            self.stage = RUNNING
            if row >= 0:
                members[self.queued_for].standing = HELD
                members[self.queued_for].row = row
                self.pick()     # begins with a look at all of them once more: it has taken a while
                return
            self.refund_all()
            self.turn_away(group, self.queued_for, members)
        except Exception as error:
            self.caught(number, error)

    cdef void refuse_late(self):
        cdef Member* members
        cdef Group group = self.waits_in(&members)
        cdef int64_t wait_ns = 0
        cdef int i, number = self.queued_for
        if self.waits_for == TURN:
            for i in range(group.count):
                if _waits(&members[i]) and members[i].wait_ns > wait_ns:
                    number, wait_ns = i, members[i].wait_ns
        self.leave_queues()
        self.turn_away(group, number, members)

    cdef void end_permits(self) noexcept:
        cdef Group group = self.contract
        cdef int i
        if group is not None and group.has_permits:
            if self.is_charged:
                for i in range(group.count):
                    if self.contract_members[i].standing == HELD:
                        (<Limit>group.limits[i]).learn((self.context.reactor.now_ns - self.charged_ns) / 1e9)
            group.release(self.contract_members, group.count)
        if self.learns and group is not None:
            teach(self, group, self.contract_members, self.error_kind)
        self.leave_endpoint(self.error_kind)

    cdef void leave_queues(self):
        """It leaves before its turn: who comes next need not wait for it."""
        if self.waits_for == PERMIT:
            (<PermitQueue>self.context.permits).leave(self)
            self.waits_for = NOTHING
        else:
            self.waits_for = NOTHING
            (<DelayQueue>self.context.delays).leave()
        self.refund_all()

    cdef Group waits_in(self, Member** members):
        if self.waits_at is not None:
            members[0] = &self.endpoint_members[0]
            return self.at_endpoint
        if not self.is_admitted:
            members[0] = &self.edge_members[0]
            return self.edge
        members[0] = &self.contract_members[0]
        return self.contract

    cdef void refund_all(self):
        """What was charged where it waits, and to the contract before."""
        cdef Member* members
        cdef Group group = self.waits_in(&members)
        cdef Moment now = self.moment(group)
        group.refund(&now, members, group.count)
        if group is self.at_endpoint and self.contract is not None:
            now = self.moment(self.contract)
            self.contract.refund(&now, self.contract_members, self.contract.count)

    # == the endpoint ===================================================================================================

    cdef Endpoint choose(self, Endpoint avoid):
        """The endpoint, another one than ``avoid`` if there is; None when there is none, and that has been answered."""
        cdef Upstream upstream = self.destination.upstream
        cdef Endpoint endpoint = None
        cdef bint is_new_client = False
        if PyBytes_GET_SIZE(upstream.sticky_cookie):
            endpoint = sticky_endpoint(self, avoid)
            is_new_client = endpoint is None
        if endpoint is None:
            endpoint = upstream.pick(
                0 if upstream.hash_source == HASH_NONE else hash_key(self), avoid, self.context.reactor.now_ns
            )
        if endpoint is None:
            self.endpoint = None
            absence = upstream.absence
            if absence is None:
                self.fail(Kind.DESTINATION_UNAVAILABLE, "no endpoint", 0)
            else:
                self.fail(absence.kind, absence.detail, 503)
            return None
        if is_new_client:
            self.set_cookie = endpoint.sticky_line_secure if self.client.is_tls else endpoint.sticky_line
        return endpoint

    cdef bint rewrite_path(self):
        """What the upstream gets for a path; False when the rewritten one would be none, and that has been answered."""
        cdef const char* path = self.path.at if self.path_is_own else self.raw.at + self.request.path.start
        cdef size_t size = self.path.size if self.path_is_own else self.request.path.size
        cdef int written
        reserve(&self.sent_path, self.route.rewrite.room_for(size))
        written = self.route.rewrite.apply(path, size, &self.captures, self.sent_path.at, self.sent_path.room)
        if written < 0:
            self.refuse_path(0)
            return False
        self.sent_path.size = written
        self.has_sent_path = True
        return True

    cdef str id(self):
        return self.request_id[:self.request_id_size].decode("latin-1")

    # == the rest of the exchange =======================================================================================

    cdef Endpoint place(self):
        raise NotImplementedError

    cdef void leave_place(self):
        pass

    cdef void leave_endpoint(self, object kind) noexcept:
        pass

    cdef void run_filters(self):
        raise NotImplementedError

    cdef void connect(self):
        raise NotImplementedError

    cdef void answer(self, Response response):
        raise NotImplementedError

    cdef void answer_locally(self):
        raise NotImplementedError

    cdef void refuse_path(self, int refusal):
        raise NotImplementedError

    cdef void fail(self, object kind, str detail, int status):
        raise NotImplementedError

    cdef void caught(self, uint64_t number, object error):
        raise NotImplementedError

    cdef void left_sync(self, int cause):
        raise NotImplementedError
