"""Which endpoint gets a request, where endpoints have limits of their own.

A limit with the key ``endpoint`` is asked while the endpoint is chosen, after the contract was charged:

1. The endpoint that balancing chooses gets the request if its limits have room now; else a second one does, and then the next
   that has, beginning anywhere. One that is full is skipped.
2. When all are full, but a rate that delays has turns to give, the soonest turn is taken, and waited for.
3. When there is a queue for permits, the request waits at the endpoint that balancing chose first.
4. Else it is refused in the name of that endpoint's limit, and the contract gets back what it was charged: all or none.

Who waits holds nothing. When a turn or a permit has come the contract's permits are taken again, and the rest of this endpoint's;
where one of them has gone meanwhile all of it begins anew, but for what was charged to the contract. Who then has to wait for the
contract's permits leaves what he got at the endpoint to others.

What was taken at an endpoint ends with the attempt there; a second attempt asks the limits of its own endpoint.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport int64_t

from tidegate.exchange.admission cimport Admission
from tidegate.exchange.asked cimport fill_asked
from tidegate.exchange.delays cimport DelayQueue
from tidegate.exchange.learning cimport teach
from tidegate.exchange.permits cimport NO_PLACE, QUEUED, PermitQueue
from tidegate.exchange.plan cimport Route
from tidegate.exchange.state cimport PERMIT, TURN, WAITING
from tidegate.limits.group cimport NOBODY_REFUSED, Group
from tidegate.limits.keys cimport Asked
from tidegate.limits.limit cimport HELD, RATE, WOULD_REFUSE, Limit, Moment
from tidegate.memory.meters cimport EXCHANGES_ASYNC_LIMIT
from tidegate.upstream.endpoint cimport Endpoint, Upstream

cdef enum:
    FULL = -1

cdef int64_t MILLISECOND_NS = 1000000


cdef class Placement(Admission):

    cdef Endpoint place(self):
        cdef Group group = self.route.at_endpoints(self.destination)
        cdef Endpoint first, second, chosen
        cdef int64_t wait_ns = 0
        cdef Asked asked
        cdef Moment now
        if group is None:
            return self.choose(self.failed_endpoint)
        self.at_endpoint = group
        fill_asked(self, &asked)
        now = self.moment(group)
        if self.waits_at is not None:
            chosen = self.resume(group, &asked, &now)
            if chosen is not None:
                return chosen
        first = self.choose(self.failed_endpoint)
        if first is None or self.take(first, group, &asked, &now):
            return first
        second = self.choose(first)
        if second is not None and second is not first and self.take(second, group, &asked, &now):
            return second
        chosen = self.scan(group, &asked, &now, &wait_ns)
        if chosen is None:
            return self.wait_for_permit(first, group, &asked, &now)
        if wait_ns != 0:
            return self.wait_for_turn(chosen, group, &asked, &now)
        return chosen

    cdef int64_t look_at(self, Endpoint endpoint, Group group, Asked* asked, const Moment* now):
        cdef Limit limit
        cdef int64_t wait_ns, longest_ns = 0
        cdef int i
        self.asked_endpoint = endpoint
        asked.endpoint.at = PyBytes_AS_STRING(endpoint.text)
        asked.endpoint.size = PyBytes_GET_SIZE(endpoint.text)
        if group.look(asked, self.tier(), now, self.endpoint_members, False) != NOBODY_REFUSED:
            return FULL
        for i in range(group.count):
            limit = <Limit>group.limits[i]
            if limit.kind == RATE and not limit.is_dry and self.endpoint_members[i].fingerprint != 0:
                wait_ns = limit.look(&self.endpoint_members[i], now)
                longest_ns = max(longest_ns, wait_ns)
        return longest_ns

    cdef bint take(self, Endpoint endpoint, Group group, Asked* asked, const Moment* now):
        cdef int64_t wait_ns = 0
        if self.look_at(endpoint, group, asked, now) != 0:
            return False
        if group.has_permits and group.acquire(self.endpoint_members, self.traffic_class(), now) != NOBODY_REFUSED:
            return False
        if group.charge(now, self.endpoint_members, &wait_ns) == NOBODY_REFUSED and wait_ns == 0:
            self.count(group, self.endpoint_members, 0)
            return True
        # Another worker was faster than the look.
        group.refund(now, self.endpoint_members, group.count)
        group.release(self.endpoint_members, group.count)
        return False

    cdef Endpoint scan(self, Group group, Asked* asked, const Moment* now, int64_t* wait_ns):
        cdef Upstream upstream = self.destination.upstream
        cdef list endpoints = upstream.endpoints
        cdef Endpoint endpoint
        cdef Endpoint soonest = None
        cdef int64_t here_ns
        cdef Py_ssize_t i, count = len(endpoints)
        cdef Py_ssize_t begin = <Py_ssize_t>(upstream.draw() % <unsigned long>count) if count else 0
        for i in range(count):
            endpoint = <Endpoint>endpoints[(begin + i) % count]
            if endpoint.is_out or endpoint is self.failed_endpoint:
                continue
            here_ns = self.look_at(endpoint, group, asked, now)
            if here_ns == 0 and self.take(endpoint, group, asked, now):
                wait_ns[0] = 0
                return endpoint
            if here_ns > 0 and (soonest is None or here_ns < wait_ns[0]):
                soonest = endpoint
                wait_ns[0] = here_ns
        return soonest

    # -- waiting --------------------------------------------------------------------------------------------------------

    cdef Endpoint wait_for_turn(self, Endpoint endpoint, Group group, Asked* asked, const Moment* now):
        cdef int64_t wait_ns = 0
        cdef int refused
        self.look_at(endpoint, group, asked, now)
        refused = group.charge(now, self.endpoint_members, &wait_ns)
        if wait_ns and (self.client.has_ended or (
            self.deadline_ms and now.now_ns + wait_ns >= <int64_t>self.deadline_ms * MILLISECOND_NS
        )):
            refused = self.longest_wait(group, self.endpoint_members, wait_ns)      # it would not live to see its turn
        if refused != NOBODY_REFUSED:
            group.refund(now, self.endpoint_members, group.count)
            self.give_up(group, refused)
            return None
        self.count(group, self.endpoint_members, wait_ns)
        self.waits_at = endpoint
        self.has_turn = True
        self.step_back()
        self.waits_for = TURN
        (<DelayQueue>self.context.delays).put(self, now.now_ns + wait_ns)
        return None

    cdef Endpoint wait_for_permit(self, Endpoint endpoint, Group group, Asked* asked, const Moment* now):
        """At the endpoint that was chosen first; or it is refused there."""
        cdef PermitQueue queue = self.context.permits
        cdef int64_t wait_ns = 0
        cdef int refused, answer
        self.look_at(endpoint, group, asked, now)
        refused = group.look(asked, self.tier(), now, self.endpoint_members, False)     # the number of the one that refuses
        while refused == NOBODY_REFUSED:
            refused = group.acquire(self.endpoint_members, self.traffic_class(), now)
            if refused == NOBODY_REFUSED:
                refused = group.charge(now, self.endpoint_members, &wait_ns)
                if refused == NOBODY_REFUSED and wait_ns == 0:
                    self.count(group, self.endpoint_members, 0)
                    return endpoint         # it came free in this very moment
                if refused == NOBODY_REFUSED:
                    refused = self.longest_wait(group, self.endpoint_members, wait_ns)
                break
            if not (<Limit>group.limits[refused]).has_queue or self.client.has_ended:
                break
            answer = queue.put(self, <Limit>group.limits[refused], &self.endpoint_members[refused])
            if answer == NO_PLACE:
                break
            self.has_queued = True
            if answer == QUEUED:
                self.queued_for = refused
                self.waits_at = endpoint
                self.has_turn = False
                self.step_back()
                self.waits_for = PERMIT
                return None
            self.endpoint_members[refused].standing = HELD
            refused = NOBODY_REFUSED
        group.refund(now, self.endpoint_members, group.count)
        group.release(self.endpoint_members, group.count)
        self.give_up(group, refused)
        return None

    cdef Endpoint resume(self, Group group, Asked* asked, const Moment* now):
        """The endpoint where it has waited, if it can have the rest of it; None: all of it begins anew."""
        cdef Endpoint endpoint = self.waits_at
        cdef int64_t wait_ns = 0
        cdef bint is_there = not endpoint.is_out
        self.waits_at = None
        if is_there and not self.has_turn:
            is_there = self.look_at(endpoint, group, asked, now) == 0
        if is_there and group.has_permits:
            is_there = group.acquire(self.endpoint_members, self.traffic_class(), now) == NOBODY_REFUSED
        if is_there and not self.has_turn:
            is_there = group.charge(now, self.endpoint_members, &wait_ns) == NOBODY_REFUSED and wait_ns == 0
            if is_there:
                self.count(group, self.endpoint_members, 0)
        self.has_turn = False
        if is_there:
            return endpoint
        group.refund(now, self.endpoint_members, group.count)
        group.release(self.endpoint_members, group.count)
        return None

    cdef void step_back(self):
        """Who waits at an endpoint holds nothing of the contract meanwhile; what was charged stays charged."""
        if self.contract is not None:
            self.contract.stand_by(self.contract_members)
        self.is_paid = True
        self.is_charged = False
        self.left_sync(EXCHANGES_ASYNC_LIMIT)
        self.stage = WAITING

    cdef void leave_place(self):
        cdef Moment now
        if self.waits_at is None:
            return
        now = self.moment(self.at_endpoint)
        self.at_endpoint.refund(&now, self.endpoint_members, self.at_endpoint.count)
        self.at_endpoint.release(self.endpoint_members, self.at_endpoint.count)
        self.waits_at = None
        self.has_turn = False

    cdef void give_up(self, Group group, int number):
        """No endpoint gets it: nobody is charged for that."""
        cdef Moment now
        if self.contract is not None:
            now = self.moment(self.contract)
            self.contract.refund(&now, self.contract_members, self.contract.count)
        self.turn_away(group, number, self.endpoint_members)

    cdef void leave_endpoint(self, object kind) noexcept:
        if self.at_endpoint is None:
            return
        self.at_endpoint.release(self.endpoint_members, self.at_endpoint.count)
        if self.learns:
            teach(self, self.at_endpoint, self.endpoint_members, kind)
