"""One limit: what it allows whom; and a look at it, a charge, a refund, a permit.

The arithmetic is in `rate`, `quota` and `leased`, the permits in ``memory.inflight``, and how many of a fleet's there are in
``memory.grants``; here is what they have in common: the key, what tiers and single keys are allowed instead, and what is told
of it.
"""

from cpython.bytearray cimport PyByteArray_AS_STRING
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.math cimport ceil
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memset

from tidegate.limits.bell cimport LimitBell, WorkerBells
from tidegate.limits.concurrency cimport ConcurrencyLimit, fill_rules
from tidegate.limits.cost cimport COST_CONSTANT, Cost, CostMean
from tidegate.limits.keys cimport Asked, RequestKey
from tidegate.limits.learner cimport Learner
from tidegate.limits.leased cimport LEASE_PENDING, LeasedLimit
from tidegate.limits.quota cimport QuotaLimit
from tidegate.limits.rate cimport RateLimit
from tidegate.limits.unit_delay cimport UnitDelay
from tidegate.memory.adaptive cimport Adaptive
from tidegate.memory.bells cimport BELL_ROWS
from tidegate.memory.grants cimport GrantTable, grant_lent, grant_maximum
from tidegate.memory.inflight cimport (
    Inflight, PermitTable, permit_find, permit_rules, permit_sum, permit_waiting_fingerprint,
)
from tidegate.memory.leases cimport LEASE_ASKED_MS, LeaseTable, lease_ask, lease_closed
from tidegate.memory.mapping cimport Mapping
from tidegate.memory.quotas cimport QuotaTable
from tidegate.memory.rates cimport RateTable

import os

from tidegate.config.allotment import SET_BYTES
from tidegate.config.values import parse_rate
from tidegate.limits.fleet.allowance import OWED_FAILURES, PermitAllowance, QuotaAllowance, RateAllowance

cdef dict MISSING = {"own": MISSING_OWN, "refuse": MISSING_REFUSE, "skip": MISSING_SKIP}
cdef int64_t MILLISECOND_NS = 1000000
# All nodes have to find the same fingerprint for a key in the store; in their own memory each has a secret for it.
cdef bytes FLEET_SECRET = b"tidegate: limits of a whole fleet".ljust(64, b".")[:32]


cdef class Limit:
    """name, settings: of the configuration. place: config.allotment.Place. mapping: of the region. secret: the region's.
    inflight, bells, adaptive: the worker's view of the permits, the bells and of what is learned, for a limit of concurrency.
    classes: their names, the most important first. now_ns: when this worker begins with it."""

    def __init__(
        self, str name not None, settings, place, Mapping mapping not None, bytes secret not None, Inflight inflight=None,
        WorkerBells bells=None, tuple classes=(), Adaptive adaptive=None, uint64_t now_ns=0,
    ):
        cdef uint64_t room = 4
        cdef uint64_t at, fingerprint
        self.name = name
        self.name_text = name.encode()
        self.settings = settings
        self.key = RequestKey(secret, name, settings.key_parts)
        self.is_dry = settings.dry_run
        self.charges_failures = settings.charge == "on_failure"
        self.delays = settings.excess == "delay"
        self.shows_values = settings.show_keys
        self.reports = settings.report == "always" and not self.is_dry
        self.is_of_endpoints = settings.is_asked_at_endpoints
        self.missing = MISSING[settings.missing_key]
        self.cost = Cost(settings)
        self.kind = RATE if settings.rate is not None else QUOTA if settings.quota is not None else CONCURRENCY
        if settings.is_fleet:
            self.fleet_key = RequestKey(FLEET_SECRET, name, settings.key_parts)
            self.allowances = []
            self.tag_key = RequestKey(FLEET_SECRET, "(tag)", settings.key_parts[:1])
            self.salt = int.from_bytes(os.urandom(8), "little")
            self.latency_cap_ns = round(settings.latency_cap * 1e9)
            if self.kind == CONCURRENCY:
                self.grants = GrantTable(mapping, place.grants_at * SET_BYTES, place.grants - 1)
            else:
                self.kind = LEASED
            self.is_exact = settings.mode == "exact"
        if self.kind == LEASED:
            table = LeaseTable(mapping, place.at * SET_BYTES, place.units - 1)
        elif self.kind == RATE:
            table = RateTable(mapping, place.at * SET_BYTES, place.units - 1)
        elif self.kind == QUOTA:
            table = QuotaTable(mapping, place.at * SET_BYTES, place.units - 1)
        else:
            table = None
            self.permits = PermitTable(inflight, place.at, place.units)
            self.has_queue = settings.queue > 0
            self.unit_delay = None if settings.unit_delay is None else UnitDelay(settings.unit_delay)
            if settings.adaptive is not None:
                self.learner = Learner(name, settings.adaptive, adaptive, place.learns_at, place.learners, now_ns)
            self.bounds = []
            self.bells = bells
            self.bell = place.at % BELL_ROWS
            self.gates = {}
        self.shares = tuple([settings.shares.get(name, 0.0) for name in classes])
        self.rules_owner = bytearray(sizeof(permit_rules) * (1 + len(settings.tiers) + len(settings.overrides)))
        self.rules = <permit_rules*>PyByteArray_AS_STRING(self.rules_owner)
        self.allowed = []
        self.policies = []
        self._allow(settings, table)
        for tier, allowance in settings.tiers.items():
            if self.tiers is None:
                self.tiers = {}
            self.tiers[tier] = self._allow(allowance, table)
        if settings.overrides:
            while room < 2 * <uint64_t>len(settings.overrides):
                room *= 2
            self.overrides_owner = bytearray(room * sizeof(Override))
            self.overrides = <Override*>PyByteArray_AS_STRING(self.overrides_owner)
            self.overrides_mask = room - 1
            for text, allowance in settings.overrides.items():
                raw = text.encode()
                fingerprint = self.key.of_text(PyBytes_AS_STRING(raw), PyBytes_GET_SIZE(raw))
                at = fingerprint & self.overrides_mask
                while self.overrides[at].fingerprint != 0:
                    at = (at + 1) & self.overrides_mask
                self.overrides[at].fingerprint = fingerprint
                self.overrides[at].which = self._allow(allowance, table)
        if bells is not None and self.kind == CONCURRENCY and self.key.count == 0:
            self.gate = self._make_gate(self.key.of_nothing(), self.bell)

    def _allow(self, allowance, table):
        """Adds what is allowed to somebody, and returns its number."""
        settings = self.settings
        if settings.kind == "rate":
            count, period_s = parse_rate(allowance.rate or settings.rate)
            burst = settings.burst if allowance.burst is None else allowance.burst
            holds, fills_s = (burst + 1, -(-(burst + 1) * period_s // count)) if count else (0, period_s)
        if self.kind == LEASED and settings.kind == "quota":
            self.allowed.append(LeasedLimit(table, len(self.policies)))
            maximum = settings.quota if allowance.quota is None else allowance.quota
            self.allowances.append(QuotaAllowance(maximum, round(settings.window * 1000), settings.window_kind))
            self.policies.append(f"q={maximum};w={round(settings.window)}")
        elif self.kind == LEASED:
            self.allowed.append(LeasedLimit(table, len(self.policies)))
            owed = OWED_FAILURES if self.charges_failures else 1
            self.allowances.append(RateAllowance(count, period_s, burst, owed))
            self.policies.append(f"q={holds};w={fills_s}")
        elif self.kind == RATE:
            longest = settings.max_delay
            self.allowed.append(RateLimit(
                table, count, period_s * 1000000000, burst, settings.excess, settings.delay_after,
                None if longest is None else round(longest * 1e9),
            ))
            self.policies.append(f"q={holds};w={fills_s}")
        elif self.kind == QUOTA:
            maximum = settings.quota if allowance.quota is None else allowance.quota
            self.allowed.append(QuotaLimit(table, maximum, round(settings.window * 1000), settings.window_kind))
            self.policies.append(f"q={maximum};w={round(settings.window)}")
        else:
            concurrency, burst = settings.allowed_at_once(None if allowance is settings else allowance)
            maximum = concurrency + burst if self.learner is None else self.learner.initial
            self.bounds.append(concurrency)
            if self.grants is not None:
                self.allowances.append(PermitAllowance(concurrency))
            fill_rules(&self.rules[len(self.policies)], maximum, self.shares)
            # What is learned is another number soon: there is nothing that a client could go by.
            self.policies.append("" if self.learner is not None else f'q={maximum};qu="concurrent-requests"')
        return len(self.policies) - 1

    cdef double cost_of(self, const Asked* asked, uint32_t which, CostMean mean) noexcept:
        cdef double holds
        if asked.costs != NULL:
            said = (<dict>asked.costs).get(self.name)
            if said is not None:
                return self.whole(said)
        if self.cost.kind == COST_CONSTANT:
            return self.cost.constant
        if self.kind == RATE:
            holds = (<RateLimit>self.allowed[which]).burst + 1
        elif self.kind == LEASED:
            holds = self.allowances[which].holds
        else:
            holds = <double>(<QuotaLimit>self.allowed[which]).maximum
        return self.whole(self.cost.beforehand(asked, holds, mean))

    cdef double whole(self, double cost) noexcept:
        return cost if self.kind == RATE else ceil(cost)

    cdef uint32_t allowance(self, uint64_t fingerprint, str tier) noexcept:
        """The number of what somebody is allowed: by name, else by tier, else as everybody."""
        cdef uint64_t at
        if self.overrides != NULL:
            at = fingerprint & self.overrides_mask
            while self.overrides[at].fingerprint != 0:
                if self.overrides[at].fingerprint == fingerprint:
                    return self.overrides[at].which
                at = (at + 1) & self.overrides_mask
        if self.tiers is not None and tier is not None:
            found = self.tiers.get(tier)
            if found is not None:
                return found
        return 0

    cdef int64_t look(self, Member* member, const Moment* now) noexcept:
        if self.kind == RATE:
            return (<RateLimit>self.allowed[member.which]).peek(member.fingerprint, now.now_ns, member.cost)
        if self.kind == LEASED:
            return (<LeasedLimit>self.allowed[member.which]).peek(member.lease, now.now_ns, <int64_t>member.cost)
        if (<QuotaLimit>self.allowed[member.which]).peek(
            member.fingerprint, now.now_ns // MILLISECOND_NS, now.wall_ms, <int64_t>member.cost, &member.window
        ) >= 0:
            return 0
        return -_until_ns(member, now)

    cdef int64_t charge(self, Member* member, const Moment* now) noexcept:
        if self.kind == RATE:
            return (<RateLimit>self.allowed[member.which]).charge_until(
                member.fingerprint, now.now_ns, member.cost, &member.arrival_ns
            )
        if self.kind == LEASED:
            return (<LeasedLimit>self.allowed[member.which]).charge(
                member.lease, member.fleet, now.now_ns, <int64_t>member.cost, &member.epoch
            )
        if (<QuotaLimit>self.allowed[member.which]).charge(
            member.fingerprint, now.now_ns // MILLISECOND_NS, now.wall_ms, <int64_t>member.cost, &member.window
        ) >= 0:
            return 0
        return -_until_ns(member, now)

    cdef void refund(self, Member* member, const Moment* now) noexcept:
        self.refund_part(member, now, member.cost)

    cdef void refund_part(self, Member* member, const Moment* now, double cost) noexcept:
        if self.kind == RATE:
            (<RateLimit>self.allowed[member.which]).refund(member.fingerprint, now.now_ns, member.arrival_ns, cost)
        elif self.kind == LEASED:
            (<LeasedLimit>self.allowed[member.which]).refund(
                member.lease, now.now_ns, member.epoch, <int64_t>cost
            )
        else:
            (<QuotaLimit>self.allowed[member.which]).refund(&member.window, <int64_t>cost)

    cdef void settle(self, Member* member, const Moment* now, double cost) noexcept:
        cdef int64_t missing
        if self.kind == RATE:
            (<RateLimit>self.allowed[member.which]).settle(member.fingerprint, now.now_ns, cost)
        elif self.kind == LEASED:
            missing = (<LeasedLimit>self.allowed[member.which]).settle(member.lease, now.now_ns, <int64_t>cost)
            if missing > 0 and self.lender is not None:
                self.lender.spend(member.which, member.lease, member.fleet, member.tag, missing)
        else:
            (<QuotaLimit>self.allowed[member.which]).settle(
                member.fingerprint, now.now_ns // MILLISECOND_NS, now.wall_ms, <int64_t>cost
            )

    cdef void name_lease(self, Member* member, const Asked* asked) noexcept nogil:
        cdef bint is_missing
        cdef uint64_t mixed
        member.fleet = self.fleet_key.of(asked, &is_missing)
        member.tag = self.tag_key.of(asked, &is_missing)
        member.lease = member.fingerprint
        if self.is_exact:
            # splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
            mixed = (member.fingerprint ^ self.salt) + asked.serial * <uint64_t>0x9E3779B97F4A7C15
            mixed = (mixed ^ mixed >> 30) * <uint64_t>0xBF58476D1CE4E5B9
            mixed = (mixed ^ mixed >> 27) * <uint64_t>0x94D049BB133111EB
            member.lease = mixed ^ mixed >> 31

    cdef object ticket(self, Member* member, const Moment* now):
        cdef LeasedLimit allowed
        cdef int64_t now_ms = now.now_ns // MILLISECOND_NS
        if self.grants is not None:
            if self.lender is None or self.has_queue or self.has_spare(member, now):
                return None
            if lease_closed(&self.grants.table, member.fingerprint, now_ms, 1):
                return None
            if lease_ask(&self.grants.table, member.fingerprint, now_ms, now_ms + LEASE_ASKED_MS, 1):
                return self.lender.ticket(member.which, member.fingerprint, member.fleet, member.tag)
            self.lender.wait(member.which, member.fingerprint, member.fleet, member.tag)
            return None
        allowed = <LeasedLimit>self.allowed[member.which]
        if self.lender is None or member.cost <= 0 or self.look(member, now) != LEASE_PENDING:
            return None
        if not allowed.marks(member.lease, now.now_ns, <int64_t>member.cost):
            return None
        return self.lender.ticket(member.which, member.lease, member.fleet, member.tag, <int64_t>member.cost)

    cdef int take_on_paper(self, Member* member) except -1:
        if self.lender is not None and member.cost > 0:
            self.lender.take_on_paper(
                self.lender.ticket(member.which, member.lease, member.fleet, member.tag, <int64_t>member.cost)
            )
        return 0

    cdef bint has_spare(self, Member* member, const Moment* now) noexcept:
        return <int64_t>self.permits.held(member.fingerprint) < grant_maximum(
            &self.grants.table, member.fingerprint, now.now_ns // MILLISECOND_NS, self.bounds[member.which]
        )

    cdef bint has_none(self, Member* member, const Moment* now) noexcept:
        if self.grants is None or self.has_queue or self.is_dry or self.has_spare(member, now):
            return False
        return lease_closed(&self.grants.table, member.fingerprint, now.now_ns // MILLISECOND_NS, 1) != 0

    cdef bint is_pending(self, Member* member, const Moment* now) noexcept:
        cdef int64_t now_ms = now.now_ns // MILLISECOND_NS
        if self.grants is None:
            return self.kind == LEASED and self.look(member, now) == LEASE_PENDING
        if self.lender is None or lease_closed(&self.grants.table, member.fingerprint, now_ms, 1):
            return False
        return grant_maximum(
            &self.grants.table, member.fingerprint, now_ms, self.bounds[member.which]
        ) < <int64_t>self.bounds[member.which]

    cdef int borrow(self, Member* member, const Moment* now) except -1:
        cdef int64_t now_ms = now.now_ns // MILLISECOND_NS
        if self.grants is not None:
            if self.lender is None:
                return 0
            if lease_ask(&self.grants.table, member.fingerprint, now_ms, now_ms + LEASE_ASKED_MS, 1):
                self.lender.borrow(member.which, member.fingerprint, member.fleet, member.tag)
                self.low = self.lender.low(member.which)        # it changes with the number of nodes
            elif self.is_exact:
                self.lender.wait(member.which, member.fingerprint, member.fleet, member.tag)
            return 0
        if self.is_exact:
            ticket = self.ticket(member, now)
            if ticket is not None:
                self.lender.take_all([ticket])
            return 0
        return (<LeasedLimit>self.allowed[member.which]).borrow(
            member.lease, member.fleet, now.now_ns, <int64_t>member.cost
        )

    cdef int decide(self, Member* member) except -1:
        if self.grants is not None:
            if self.lender is not None:
                self.lender.decide(member.which, member.fingerprint, member.fleet, member.tag)
            return 0
        if self.is_exact and self.lender is not None:
            self.lender.decide_ticket(
                self.lender.ticket(member.which, member.lease, member.fleet, member.tag, <int64_t>member.cost)
            )
            return 0
        return (<LeasedLimit>self.allowed[member.which]).decide(member.lease, member.fleet, <int64_t>member.cost)

    def lend_by(self, lender):
        cdef LeasedLimit one
        self.lender = lender
        if self.grants is not None:
            self.low = 0 if lender is None else lender.low(0)
        for one in self.allowed:
            one.lend_by(lender)

    @property
    def lease_table(self):
        return (<LeasedLimit>self.allowed[0]).table

    @property
    def only_key(self):
        cdef Asked asked
        cdef bint is_missing
        if self.key.count:
            return None
        memset(&asked, 0, sizeof(asked))
        return self.key.of_nothing(), self.fleet_key.of(&asked, &is_missing), self.tag_key.of(&asked, &is_missing)

    cdef bint acquire(self, Member* member, const Moment* now) noexcept:
        cdef uint64_t waiting = 0
        cdef uint64_t maximum
        member.wait_ns = 0
        if self.learner is not None:
            self.follow(member.fingerprint)
        if self.grants is not None and self.gate is not None:
            self.gate.follow_grant(now.now_ns // MILLISECOND_NS)
        elif self.grants is not None:
            maximum = grant_maximum(
                &self.grants.table, member.fingerprint, now.now_ns // MILLISECOND_NS, self.bounds[member.which]
            )
            if maximum != self.rules[member.which].maximum:
                fill_rules(&self.rules[member.which], maximum, self.shares)
        if self.gate is not None:
            member.row = self.gate.row if self.gate.acquire_nowait(member.class_, member.which) else -1
        else:
            if self.has_queue:
                waiting = permit_waiting_fingerprint(member.fingerprint)
            member.row = self.permits.acquire(member.fingerprint, waiting, member.class_, &self.rules[member.which])
        if member.row >= 0 and self.unit_delay is not None:
            member.wait_ns = self.unit_delay.delay_ns(
                permit_sum(self.permits.view, member.row).total, self.bounds[member.which]
            )
        return member.row >= 0 and (self.grants is None or self._keeps(member, now))

    cdef bint _keeps(self, Member* member, const Moment* now) noexcept:
        # Rule 4 of ``grants.h``, which a gate has seen to; and when few are left, more are borrowed beside the traffic.
        cdef int64_t now_ms = now.now_ns // MILLISECOND_NS
        cdef int64_t held = <int64_t>permit_sum(self.permits.view, member.row).total
        cdef int64_t bound = self.bounds[member.which]
        cdef int64_t until_ms = 0
        cdef int64_t maximum
        if self.gate is not None:
            maximum = <int64_t>self.gate.rules[member.which].maximum
        else:
            maximum = grant_maximum(&self.grants.table, member.fingerprint, now_ms, bound)
            if held > maximum:
                self.release(member)
                return False
        if self.lender is not None:
            if not self.is_seen:
                self.lender.see(member.which, member.fingerprint, member.fleet, member.tag)
                self.is_seen = self.gate is not None    # the one key of its limit is looked after for good
            if maximum < bound and maximum - held < self.low and maximum == grant_lent(
                &self.grants.table, member.fingerprint, now_ms, &until_ms
            ):
                self.borrow(member, now)
        return True

    cdef void release(self, Member* member) noexcept:
        cdef int64_t waiting_row
        if self.is_exact and self.lender is not None:
            self.lender.ended(member.fingerprint)
        if self.gate is not None:
            self.gate.release(member.row, member.class_)
            return
        self.permits.release(member.row, member.class_)
        if self.has_queue:
            waiting_row = permit_find(
                self.permits.view, &self.permits.table, permit_waiting_fingerprint(member.fingerprint)
            )
            if waiting_row >= 0 and permit_sum(self.permits.view, waiting_row).total:
                self.bells.ring_everybody(_bell_of(member.fingerprint))

    cdef void learn(self, double latency_s) noexcept:
        if self.unit_delay is not None:
            self.unit_delay.learn_from(latency_s)

    cdef void begin_lesson(self, Member* member, int64_t now_ns) noexcept:
        member.began_ns = now_ns
        member.waiting_ns = -1
        member.learns_in = self.learner.row_of(member.fingerprint)
        member.in_flight = <uint32_t>permit_sum(self.permits.view, member.row).total

    cdef void follow(self, uint64_t fingerprint) noexcept:
        cdef uint64_t maximum = self.learner.maximum(fingerprint)
        if maximum != self.rules[0].maximum:
            fill_rules(&self.rules[0], maximum, self.shares)
        if self.gate is not None and maximum != self.gate.rules[0].maximum:
            self.gate.maximum = maximum     # and those who wait hear of it

    def tick(self, uint64_t now_ns):
        cdef ConcurrencyLimit gate
        cdef uint64_t maximum
        self.learner.tick(now_ns)
        if self.gate is not None:
            self.follow(self.gate.fingerprint)
        for gate in self.gates.values():
            maximum = self.learner.maximum(gate.fingerprint)
            if maximum != gate.rules[0].maximum:
                gate.maximum = maximum

    cdef ConcurrencyLimit enter_gate(self, uint64_t fingerprint, int64_t now_ns):
        cdef ConcurrencyLimit gate = self.gate
        if gate is None:
            gate = self.gates.get(fingerprint)
        if gate is None:
            gate = self.gates[fingerprint] = self._make_gate(fingerprint, _bell_of(fingerprint))
        if self.grants is not None:
            gate.follow_grant(now_ns // MILLISECOND_NS)
        return gate

    cdef void leave_gate(self, ConcurrencyLimit gate):
        if gate is not self.gate and len(gate.room) == 0 and self.gates.get(gate.fingerprint) is gate:
            del self.gates[gate.fingerprint]
            gate.close()

    cdef ConcurrencyLimit _make_gate(self, uint64_t fingerprint, uint32_t bell):
        cdef bint is_keyed = self.key.count != 0
        cdef int64_t timeout_ns = round(self.settings.queue_timeout * 1e9)
        cdef Py_ssize_t which
        bounds = [self.rules[which].maximum for which in range(len(self.policies))] if self.grants is None else self.bounds
        return ConcurrencyLimit(
            self.permits, fingerprint, LimitBell(self.bells, bell, is_keyed), maximum=bounds[0],
            queue=self.settings.queue, queue_timeout_ns=timeout_ns, target_ns=timeout_ns // 2, shares=self.shares,
            more=bounds[1:], frees_rows=is_keyed, grants=self.grants,
        )

    # Of a limit of concurrency, for tests and tools.

    def held(self, bytes key=b""):
        return self.permits.held(self._of(key))

    def take(self, bytes key=b"", int64_t now_ns=0):
        cdef Member member
        cdef Moment now
        memset(&member, 0, sizeof(member))
        member.fingerprint = self._of(key)
        now.now_ns = now_ns
        now.wall_ms = 0
        return (member.row, member.wait_ns) if self.acquire(&member, &now) else None

    def give_back(self, int64_t row, bytes key=b"", latency_s=None):
        cdef Member member
        memset(&member, 0, sizeof(member))
        member.fingerprint = self._of(key)
        member.row = row
        self.release(&member)
        if latency_s is not None:
            self.learn(latency_s)

    cdef uint64_t _of(self, bytes key):
        if self.key.count == 0:
            return self.key.of_nothing()
        return self.key.of_text(PyBytes_AS_STRING(key), PyBytes_GET_SIZE(key))

    def __repr__(self):
        told = ", ".join([str(one) for one in self.allowed]) if self.allowed else f"{self.rules[0].maximum} in flight"
        return f"<Limit {self.name}: {told}>"


cdef inline uint32_t _bell_of(uint64_t fingerprint) noexcept:
    # The highest bit says whether it is those who wait; the lowest ones, in which block the key is.
    return <uint32_t>(fingerprint >> 50) % BELL_ROWS


cdef inline int64_t _until_ns(const Member* member, const Moment* now) noexcept:
    cdef int64_t left_ns = member.window.ends_ms * MILLISECOND_NS - now.now_ns
    return left_ns if left_ns > 0 else 1
