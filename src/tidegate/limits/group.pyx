"""The limits of one step of a request, asked as one.

Three rounds within one stretch in which nothing else of this worker happens. First a look at each rate and quota, which changes
nothing and finds nearly every refusal; where there is but one to be charged, the charge is the look. Then the permits to be in flight. Then all are charged; where another worker has been
faster in between and one refuses after all, what this stretch has charged is taken back, which is exact, because nobody has
been let in on it.

A dry run is charged like any other while it would let in, so that it refuses on paper what it would refuse in earnest.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memset

from tidegate.limits.cost cimport CostMean
from tidegate.limits.keys cimport Asked, ask_of
from tidegate.limits.limit cimport (
    CHARGED, CONCURRENCY, HELD, KEYLESS, LEASED, MISSING_OWN, MISSING_SKIP, PASSED_BY, QUOTA, WOULD_REFUSE, Limit, Member, Moment,
)
from tidegate.wire.http1 cimport RequestHead


cdef class Group:
    """limits: of one step; those that are likely to refuse, or cheap to ask, first. means: of the route, CostMean by limit;
    what is missing is added."""

    def __init__(self, tuple limits not None, dict means=None):
        cdef Limit limit
        if len(limits) > MEMBERS_MAX:
            raise ValueError(f"one step has at most {MEMBERS_MAX} limits, not {len(limits)}")
        self.limits = limits
        self.count = len(limits)
        for limit in limits:
            self.has_permits |= limit.kind == CONCURRENCY
            self.learns |= limit.learner is not None
            self.needs_wall |= limit.kind == QUOTA
            self.has_measured |= limit.cost.is_measured
            self.has_reports |= limit.reports
            self.has_paper |= limit.is_dry and limit.is_exact and limit.kind == LEASED
        means = {} if means is None else means
        self.means = [means.setdefault(limit, CostMean()) if limit.cost.is_measured else None for limit in limits]
        charged = [limit for limit in limits if limit.kind != CONCURRENCY]
        self.is_single = len(charged) == 1 and not charged[0].charges_failures and not self.has_permits

    cdef int look(self, const Asked* asked, str tier, const Moment* now, Member* members, bint is_charged_next) noexcept:
        cdef Limit limit
        cdef Member* member
        cdef bint is_missing
        cdef int pending = NOBODY_REFUSED
        cdef int without = NOBODY_REFUSED
        cdef int i
        for i in range(self.count):
            if members[i].standing != HELD:
                members[i].fingerprint = 0      # whatever they were in another request
                members[i].standing = PASSED_BY
        for i in range(self.count):
            limit = <Limit>self.limits[i]
            member = &members[i]
            if member.standing == HELD:
                continue        # by the key that it had then
            member.fingerprint = limit.key.of(asked, &is_missing)
            member.which = 0
            if is_missing and limit.missing != MISSING_OWN:
                member.fingerprint = 0
                if limit.missing == MISSING_SKIP:
                    continue
                member.standing = WOULD_REFUSE if limit.is_dry else KEYLESS
                if not limit.is_dry:
                    return i
                continue
            if limit.tiers is not None or limit.overrides != NULL:
                member.which = limit.allowance(member.fingerprint, tier)
            if limit.fleet_key is not None:
                limit.name_lease(member, asked)
            if limit.kind == CONCURRENCY:
                if limit.is_exact and without == NOBODY_REFUSED and limit.has_none(member, now):
                    without = i
                continue
            member.cost = limit.cost_of(asked, member.which, <CostMean>self.means[i])
            if limit.is_dry and limit.is_exact:
                continue        # its store is asked for those that pass
            if is_charged_next and self.is_single:
                continue
            if limit.look(member, now) < 0:
                if not limit.is_dry and limit.is_pending(member, now):
                    # A store is asked only for who is refused by nobody else.
                    pending = i if pending == NOBODY_REFUSED else pending
                    continue
                if not limit.is_dry:
                    return i
                member.standing = WOULD_REFUSE
                if limit.kind == LEASED:
                    limit.borrow(member, now)       # for those who come next: on paper nobody waits
        # Who would wait for a store only to find that there is no permit for him is refused for that.
        return without if pending != NOBODY_REFUSED and without != NOBODY_REFUSED else pending

    cdef int borrow(self, int number, const Moment* now, Member* members) except -1:
        """Has the store of a limit asked that refuses for want of credits; all that is asked for each request, as one."""
        cdef Limit limit = <Limit>self.limits[number]
        cdef list tickets = []
        cdef int i
        if not limit.is_exact or limit.kind == CONCURRENCY:
            return limit.borrow(&members[number], now)
        lender = limit.lender
        for i in range(self.count):
            limit = <Limit>self.limits[i]
            if limit.is_exact and not limit.is_dry and members[i].fingerprint != 0 and members[i].standing == PASSED_BY:
                ticket = limit.ticket(&members[i], now)
                if ticket is not None:
                    tickets.append(ticket)
        if tickets:
            lender.take_all(tickets)
        return 0

    cdef int acquire(self, Member* members, unsigned class_, const Moment* now) noexcept:
        cdef Limit limit
        cdef int i
        for i in range(self.count):
            limit = <Limit>self.limits[i]
            if limit.kind != CONCURRENCY or members[i].fingerprint == 0 or members[i].standing == HELD:
                continue
            members[i].class_ = class_
            if limit.acquire(&members[i], now):
                members[i].standing = HELD
            elif limit.is_dry:
                members[i].standing = WOULD_REFUSE
                if limit.is_pending(&members[i], now):
                    limit.borrow(&members[i], now)      # for those who come next: on paper nobody waits
            else:
                self.release(members, self.count)
                return i
        return NOBODY_REFUSED

    cdef int charge(self, const Moment* now, Member* members, int64_t* wait_ns) noexcept:
        cdef Limit limit
        cdef Member* member
        cdef int64_t wait
        cdef int i
        wait_ns[0] = 0
        for i in range(self.count):
            limit = <Limit>self.limits[i]
            member = &members[i]
            if member.standing == HELD and member.wait_ns > wait_ns[0] and not limit.is_dry:
                wait_ns[0] = member.wait_ns
            if (
                limit.kind == CONCURRENCY or limit.charges_failures or member.fingerprint == 0
                or member.standing == WOULD_REFUSE or (limit.is_dry and limit.is_exact)
            ):
                continue
            wait = limit.charge(member, now)
            if wait < 0:
                if limit.is_dry:
                    member.standing = WOULD_REFUSE
                    if limit.kind == LEASED:
                        limit.borrow(member, now)
                    continue
                self.refund(now, members, i)
                return i
            member.standing = CHARGED
            member.wait_ns = wait
            if wait > wait_ns[0] and not limit.is_dry:
                wait_ns[0] = wait
        if self.has_paper:
            self.take_on_paper(members)
        return NOBODY_REFUSED

    cdef void take_on_paper(self, Member* members) noexcept:
        cdef Limit limit
        cdef int i
        for i in range(self.count):
            limit = <Limit>self.limits[i]
            if limit.is_dry and limit.is_exact and limit.kind == LEASED and members[i].fingerprint != 0:
                limit.take_on_paper(&members[i])

    cdef void refund(self, const Moment* now, Member* members, int count) noexcept:
        """Takes back what was charged of the first ``count``."""
        cdef int i
        for i in range(count):
            if members[i].standing == CHARGED:
                (<Limit>self.limits[i]).refund(&members[i], now)
                members[i].standing = PASSED_BY

    cdef void settle_costs(
        self, Member* members, const Moment* now, dict costs, uint64_t upstream_ns, uint64_t response_bytes
    ) noexcept:
        cdef Limit limit
        cdef CostMean mean
        cdef double taken
        cdef int i
        for i in range(self.count):
            if members[i].standing != CHARGED:
                continue
            limit = <Limit>self.limits[i]
            mean = <CostMean>self.means[i]
            said = None if costs is None else costs.get(limit.name)
            if said is not None:
                taken = said
            elif mean is not None:
                taken = limit.cost.measured(upstream_ns, response_bytes)
                if upstream_ns:
                    mean.learn(taken)       # what no upstream was asked for says nothing of those that are
            else:
                continue
            taken = limit.whole(taken)
            if taken > members[i].cost:
                limit.settle(&members[i], now, taken - members[i].cost)
            elif taken < members[i].cost:
                limit.refund_part(&members[i], now, members[i].cost - taken)
            members[i].cost = taken

    cdef void release(self, Member* members, int count) noexcept:
        """Ends the permits of the first ``count``."""
        cdef int i
        for i in range(count):
            if members[i].standing == HELD:
                members[i].standing = PASSED_BY
                (<Limit>self.limits[i]).release(&members[i])

    cdef void stand_by(self, Member* members) noexcept:
        """Ends the permits that are not waited with: all but those of limits that delay who has one."""
        cdef int i
        for i in range(self.count):
            if members[i].standing == HELD and (<Limit>self.limits[i]).unit_delay is None:
                members[i].standing = PASSED_BY
                (<Limit>self.limits[i]).release(&members[i])

    # The same for tests and tools, off the request path.

    def ask(self, bytes head not None, int64_t now_ns, *, int64_t wall_ms=0, bytes tenant=b"", str tier=""):
        refused, wait_ns, ticket = self.begin(head, now_ns, wall_ms=wall_ms, tenant=tenant, tier=tier)
        if ticket is not None:
            self.release(<Member*><char*>(<bytearray>ticket), self.count)
        return refused, wait_ns

    def begin(self, bytes head not None, int64_t now_ns, *, int64_t wall_ms=0, bytes tenant=b"", str tier=""):
        cdef bytearray ticket = bytearray(MEMBERS_MAX * sizeof(Member))
        cdef Member* members = <Member*><char*>ticket
        cdef Moment now
        cdef int64_t wait_ns = 0
        cdef int refused = self._look_at(head, now_ns, wall_ms, tenant, tier, members)
        now.now_ns = now_ns
        now.wall_ms = wall_ms
        if refused == NOBODY_REFUSED:
            refused = self.acquire(members, 0, &now)
        if refused == NOBODY_REFUSED:
            refused = self.charge(&now, members, &wait_ns)
            if refused == NOBODY_REFUSED:
                return None, wait_ns, ticket
            self.release(members, self.count)
        return self.limits[refused].name, 0, None

    def end(
        self, bytearray ticket not None, int64_t now_ns, *, int64_t wall_ms=0, uint64_t upstream_ns=0, uint64_t response_bytes=0,
        dict costs=None,
    ):
        cdef Member* members = <Member*><char*>ticket
        cdef Moment now
        now.now_ns = now_ns
        now.wall_ms = wall_ms
        self.release(members, self.count)
        self.settle_costs(members, &now, costs, upstream_ns, response_bytes)

    def costs(self, bytearray ticket not None):
        cdef Member* members = <Member*><char*>ticket
        return [members[i].cost for i in range(self.count)]

    def peek(self, bytes head not None, int64_t now_ns, *, int64_t wall_ms=0, bytes tenant=b"", str tier=""):
        cdef Member[MEMBERS_MAX] members
        cdef int refused = self._look_at(head, now_ns, wall_ms, tenant, tier, members)
        return None if refused == NOBODY_REFUSED else self.limits[refused].name

    cdef int _look_at(self, bytes head, int64_t now_ns, int64_t wall_ms, bytes tenant, str tier, Member* members) except -2:
        cdef RequestHead parsed
        cdef Asked asked
        cdef Moment now
        now.now_ns = now_ns
        now.wall_ms = wall_ms
        ask_of(head, &parsed, &asked)
        asked.tenant.at = PyBytes_AS_STRING(tenant)
        asked.tenant.size = PyBytes_GET_SIZE(tenant)
        memset(members, 0, MEMBERS_MAX * sizeof(Member))
        return self.look(&asked, tier, &now, members, False)

    def ask_times(self, bytes head not None, long times):
        cdef Member[MEMBERS_MAX] members
        cdef RequestHead parsed
        cdef Asked asked
        cdef Moment now
        cdef int64_t wait_ns = 0
        cdef int refused
        cdef long i
        ask_of(head, &parsed, &asked)
        memset(members, 0, sizeof(members))
        now.wall_ms = 0
        for i in range(times):
            now.now_ns = i
            refused = self.look(&asked, None, &now, members, True)
            if refused == NOBODY_REFUSED and self.has_permits:
                refused = self.acquire(members, 0, &now)
            if refused == NOBODY_REFUSED:
                self.charge(&now, members, &wait_ns)
                self.release(members, self.count)

    def __len__(self):
        return self.count

    def __repr__(self):
        return f"<Group {', '.join([limit.name for limit in self.limits])}>"
