"""The answers of limits that refuse: problem details with what a client needs to come again in time.

A refusal has to cost less than serving, or whoever is refused has what he came for. So its head is made once for each second
that it names, and kept; a body is three pieces put together.

``RateLimit`` and ``RateLimit-Policy`` are those of draft-ietf-httpapi-ratelimit-headers-10: the policy is the bucket, what it
holds and how long it takes to fill.
"""

from libc.stdint cimport int64_t, uint64_t

from tidegate.exchange.problem_body cimport ProblemBody
from tidegate.exchange.state cimport ExchangeState
from tidegate.exchange.views cimport Response
from tidegate.limits.limit cimport CONCURRENCY, KEYLESS, Limit, Member, Moment
from tidegate.memory.cells cimport NEVER

from types import MappingProxyType

from tidegate.errors import Kind
from tidegate.exchange.problem import problem
from tidegate.wire.reasons import REASONS

cdef int64_t SECOND_NS = 1000000000
cdef enum:
    NEVER_S = 86400             # what somebody who is never let in is told: not to ask again today
    KNOWN_MAX = 4096

cdef object NOTHING_MORE = MappingProxyType({})


cdef class Refusals:

    def __init__(self):
        self.known = {}

    cdef Response answer_to(self, ExchangeState x, Limit limit, Member* member, Moment now):
        cdef Response response
        cdef int64_t wait_ns
        cdef long retry_s
        cdef list known
        cdef bytes body
        if member.standing == KEYLESS:
            id = x.request_id[:x.request_id_size].decode("latin-1")
            return problem(400, "limit_key_missing", id, {"Tidegate-Limit": limit.name} if _names(limit) else None)
        wait_ns = 0 if limit.kind == CONCURRENCY else limit.look(member, &now)
        if wait_ns > 0:     # its turn would have come after its deadline; or its client may be gone, whatever its turn is
            wait_ns = <int64_t>x.deadline_ms * 1000000 - now.now_ns - wait_ns if x.deadline_ms else 0
        retry_s = NEVER_S if wait_ns == NEVER else max(1, (-wait_ns + SECOND_NS - 1) // SECOND_NS)
        known = self.known.get(limit)
        if known is None:
            if len(self.known) >= KNOWN_MAX:
                self.known.clear()      # of limits that are no more
            known = [0, 0, 0, b"", _body(limit), _status(limit)]
            self.known[limit] = known
        body = (<ProblemBody>known[4]).with_id(x.request_id, x.request_id_size)
        if known[0] != member.which or known[1] != retry_s or known[2] != len(body):
            known[0:4] = [member.which, retry_s, len(body), refusal_head(limit, member.which, retry_s, len(body))]
        response = Response.__new__(Response)
        response.status = known[5]
        response.headers = NOTHING_MORE
        response.head = known[3]
        response.body = body
        return response

    def __len__(self):
        return len(self.known)


cdef inline bint _names(Limit limit):
    return "Tidegate-Limit" in limit.settings.headers


cdef inline int _status(Limit limit):
    if limit.settings.status is not None:
        return limit.settings.status
    return 503 if limit.kind == CONCURRENCY else 429


cdef ProblemBody _body(Limit limit):
    title = "Too many requests at once" if limit.kind == CONCURRENCY else "Too many requests"
    members = {"type": "urn:tidegate:limit_exceeded", "title": title, "status": _status(limit)}
    if _names(limit):
        members["limit"] = limit.name
    return ProblemBody(members)


cdef bytes refusal_head(Limit limit, int which, long retry_s, Py_ssize_t body_size):
    """The head as an upstream would have sent it. A limit's name is a token: see ``config.rules``."""
    status = _status(limit)
    policy = limit.policies[which]
    wanted = limit.settings.headers
    lines = [
        f"HTTP/1.1 {status} {REASONS.get(status, '')}",
        "Content-Type: application/problem+json",
        f"Proxy-Status: tidegate; error={Kind.HTTP_REQUEST_DENIED.value}; details=\"limit_exceeded\"",
        f"Retry-After: {retry_s}",
    ]
    if "Tidegate-Limit" in wanted:
        lines.append(f"Tidegate-Limit: {limit.name}")
    if "RateLimit" in wanted:
        name = limit.name if "Tidegate-Limit" in wanted else "limit"
        if policy:
            lines.append(f'RateLimit-Policy: "{name}";{policy}')
        lines.append(f'RateLimit: "{name}";r=0;t={retry_s}')
    if "X-RateLimit" in wanted and policy:
        holds = policy.partition(";")[0].removeprefix("q=")
        lines += [f"X-RateLimit-Limit: {holds}", "X-RateLimit-Remaining: 0", f"X-RateLimit-Reset: {retry_s}"]
    lines += [f"Content-Length: {body_size}", "", ""]
    return "\r\n".join(lines).encode("latin-1")
