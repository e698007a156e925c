"""The ``RateLimit`` fields of answers to those who were let in (draft-ietf-httpapi-ratelimit-headers-10).

What is left after this request, of each limit that is to be told of on every answer: ``r`` requests of cost 1 that would pass at
once, and in ``t`` seconds as much as ever. Costs that are settled when the exchange has ended are in it as far as they were
charged when it came. A refusal tells of the limit that refused, which is ``refusal``'s business.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport int64_t

from tidegate.exchange.admission cimport Admission
from tidegate.exchange.edits cimport EDIT_ADD, Edits
from tidegate.limits.group cimport Group
from tidegate.limits.limit cimport CHARGED, CONCURRENCY, HELD, Limit, Member, Moment
from tidegate.limits.peek cimport left_of

cdef int64_t SECOND_NS = 1000000000


cdef int add_rate_fields(Admission x) except -1:
    cdef list policies = []
    cdef list lefts = []
    cdef list older = []
    cdef Group group
    cdef Member* members
    cdef Moment now
    cdef Limit limit
    cdef int64_t left, reset_ns, reset_s
    cdef int i
    for group in (x.edge, x.contract):
        if group is None or not group.has_reports:
            continue
        now = x.moment(group)
        members = &x.edge_members[0] if group is x.edge else &x.contract_members[0]
        for i in range(group.count):
            limit = <Limit>group.limits[i]
            if not limit.reports or (members[i].standing != CHARGED and members[i].standing != HELD):
                continue
            left = left_of(limit, &members[i], &now, &reset_ns)
            reset_s = (reset_ns + SECOND_NS - 1) // SECOND_NS
            wanted = limit.settings.headers
            policy = limit.policies[members[i].which]
            if not policy:
                continue        # what it has learned is nobody's contract
            if "RateLimit" in wanted:
                name = limit.name if "Tidegate-Limit" in wanted else "limit"
                policies.append(f'"{name}";{policy}')
                lefts.append(f'"{name}";r={left}' if limit.kind == CONCURRENCY else f'"{name}";r={left};t={reset_s}')
            if "X-RateLimit" in wanted:
                holds = policy.partition(";")[0].removeprefix("q=")
                older.append((left, holds, reset_s))
    if policies:
        _add(x, b"RateLimit-Policy", ", ".join(policies))
        _add(x, b"RateLimit", ", ".join(lefts))
    if older:
        # They have no name, and so room for one limit: the one that will refuse first.
        left, holds, reset_s = min(older)
        _add(x, b"X-RateLimit-Limit", holds)
        _add(x, b"X-RateLimit-Remaining", str(left))
        _add(x, b"X-RateLimit-Reset", str(reset_s))
    return 0


cdef int _add(Admission x, bytes name, str value) except -1:
    cdef bytes text = value.encode("ascii")
    if x.response_edits is None:
        x.response_edits = Edits()
    return x.response_edits.put(
        EDIT_ADD, PyBytes_AS_STRING(name), PyBytes_GET_SIZE(name), PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text)
    )
