"""The limits of one step of a request, asked as one.

Two rounds within one stretch in which nothing else of this worker happens. First a look at each, which changes nothing and
finds nearly every refusal. Then all are charged; where another worker has been faster in between and one refuses after all,
what this stretch has charged is taken back, which is exact, because nobody has been let in on it.

A dry run is charged like any other while it would let in, so that it refuses on paper what it would refuse in earnest.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport int64_t
from libc.string cimport memset

from tidegate.limits.keys cimport Asked
from tidegate.limits.limit cimport MISSING_OWN, MISSING_SKIP, Limit
from tidegate.wire.http1 cimport COMPLETE, HeadLimits, RequestHead, parse_request_head, reset_request_head


cdef class Group:
    """limits: of one step; those that are likely to refuse, or cheap to ask, first."""

    def __init__(self, tuple limits not None):
        if len(limits) > MEMBERS_MAX:
            raise ValueError(f"one step has at most {MEMBERS_MAX} limits, not {len(limits)}")
        self.limits = limits
        self.count = len(limits)

    cdef int look(self, const Asked* asked, str tier, int64_t now_ns, Member* members) noexcept:
        cdef Limit limit
        cdef Member* member
        cdef bint is_missing
        cdef int i
        for i in range(self.count):
            limit = <Limit>self.limits[i]
            member = &members[i]
            member.fingerprint = limit.key.of(asked, &is_missing)
            member.which = 0
            member.standing = PASSED_BY
            if is_missing and limit.missing != MISSING_OWN:
                if limit.missing == MISSING_SKIP:
                    member.fingerprint = 0
                    continue
                member.standing = WOULD_REFUSE if limit.is_dry else KEYLESS
                if not limit.is_dry:
                    return i
                continue
            if limit.tiers is not None or limit.overrides != NULL:
                member.which = limit.allowance(member.fingerprint, tier)
            if limit.look(member.fingerprint, member.which, now_ns) < 0:
                if not limit.is_dry:
                    return i
                member.standing = WOULD_REFUSE
        return NOBODY_REFUSED

    cdef int charge(self, int64_t now_ns, Member* members, int64_t* wait_ns) noexcept:
        cdef Limit limit
        cdef Member* member
        cdef int64_t wait
        cdef int i
        wait_ns[0] = 0
        for i in range(self.count):
            limit = <Limit>self.limits[i]
            member = &members[i]
            if member.standing == WOULD_REFUSE or member.fingerprint == 0 or limit.charges_failures:
                continue
            wait = limit.charge(member.fingerprint, member.which, now_ns)
            if wait < 0:
                if limit.is_dry:
                    member.standing = WOULD_REFUSE
                    continue
                self.refund(now_ns, members, i)
                return i
            member.standing = CHARGED
            if wait > wait_ns[0] and not limit.is_dry:
                wait_ns[0] = wait
        return NOBODY_REFUSED

    cdef void refund(self, int64_t now_ns, Member* members, int count) noexcept:
        """Takes back what was charged of the first ``count``."""
        cdef int i
        for i in range(count):
            if members[i].standing == CHARGED:
                (<Limit>self.limits[i]).refund(members[i].fingerprint, members[i].which, now_ns)
                members[i].standing = PASSED_BY

    # The same for tests and tools, off the request path.

    def ask(self, bytes head not None, int64_t now_ns, *, bytes tenant=b"", str tier=""):
        cdef Member[MEMBERS_MAX] members
        cdef int64_t wait_ns = 0
        cdef int refused = self._look_at(head, now_ns, tenant, tier, members)
        if refused == NOBODY_REFUSED:
            refused = self.charge(now_ns, members, &wait_ns)
        return None if refused == NOBODY_REFUSED else self.limits[refused].name, wait_ns

    def peek(self, bytes head not None, int64_t now_ns, *, bytes tenant=b"", str tier=""):
        cdef Member[MEMBERS_MAX] members
        cdef int refused = self._look_at(head, now_ns, tenant, tier, members)
        return None if refused == NOBODY_REFUSED else self.limits[refused].name

    cdef int _look_at(self, bytes head, int64_t now_ns, bytes tenant, str tier, Member* members) except -2:
        cdef RequestHead parsed
        cdef HeadLimits bounds
        cdef Asked asked
        bounds.head_bytes = bounds.target_bytes = 1 << 20
        bounds.fields = 128
        reset_request_head(&parsed)
        if parse_request_head(PyBytes_AS_STRING(head), PyBytes_GET_SIZE(head), &bounds, &parsed) != COMPLETE:
            raise ValueError("not a whole request head")
        memset(&asked, 0, sizeof(asked))
        asked.raw = PyBytes_AS_STRING(head)
        asked.head = &parsed
        asked.path.at = asked.raw + parsed.path.start
        asked.path.size = parsed.path.size
        asked.tenant.at = PyBytes_AS_STRING(tenant)
        asked.tenant.size = PyBytes_GET_SIZE(tenant)
        return self.look(&asked, tier, now_ns, members)

    def __len__(self):
        return self.count

    def __repr__(self):
        return f"<Group {', '.join([limit.name for limit in self.limits])}>"
