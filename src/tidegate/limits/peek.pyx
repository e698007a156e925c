"""A look at one limit for one request: what would happen now, changing nothing.

It is the look that a request itself begins with, and so as good as it: true at this moment, and another request may be faster.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memset

from tidegate.limits.keys cimport Asked, Run, ask_of
from tidegate.limits.limit cimport CONCURRENCY, LEASED, MISSING_OWN, MISSING_SKIP, QUOTA, RATE, Limit, Member, Moment
from tidegate.limits.leased cimport LeasedLimit
from tidegate.limits.quota cimport QuotaLimit
from tidegate.limits.rate cimport RateLimit
from tidegate.memory.cells cimport NEVER
from tidegate.memory.grants cimport grant_maximum
from tidegate.memory.hitters cimport HITTER_NAME
from tidegate.wire.http1 cimport RequestHead

import math
from typing import NamedTuple

cdef int64_t MILLISECOND_NS = 1000000
cdef double SECOND_NS = 1e9


class Peek(NamedTuple):
    """What a limit would say to a request now.

    ``key``: what it tells the request by, as it is shown in status. ``cost``: what the request takes. ``remaining``: how many of
    cost 1 would pass at once. ``wait_s``: how long it would wait for its turn, or, when it is refused, until it would be let in;
    None: for ever, or until one that is under way ends. ``reset_s``: until there is as much room as ever. A limit that the
    request passes by, for want of a key, allows it at no cost.
    """

    limit: str
    is_allowed: bool
    key: str
    cost: float
    remaining: int
    wait_s: float | None
    reset_s: float
    is_dry_run: bool


cdef int64_t left_of(Limit limit, Member* member, const Moment* now, int64_t* reset_ns) noexcept:
    cdef int64_t left
    reset_ns[0] = 0
    if limit.kind == CONCURRENCY:
        left = <int64_t>limit.rules[member.which].maximum
        if limit.learner is not None:
            left = <int64_t>limit.learner.maximum(member.fingerprint)
        elif limit.grants is not None:
            left = grant_maximum(
                &limit.grants.table, member.fingerprint, now.now_ns // MILLISECOND_NS, limit.bounds[member.which]
            )
        left -= <int64_t>limit.permits.held(member.fingerprint)
    elif limit.kind == RATE:
        left = (<RateLimit>limit.allowed[member.which]).remaining(member.fingerprint, now.now_ns, reset_ns)
    elif limit.kind == LEASED:
        left = (<LeasedLimit>limit.allowed[member.which]).left(member.lease, now.now_ns)
    else:
        left = (<QuotaLimit>limit.allowed[member.which]).peek(
            member.fingerprint, now.now_ns // MILLISECOND_NS, now.wall_ms, 0, &member.window
        )
        reset_ns[0] = member.window.ends_ms * MILLISECOND_NS - now.now_ns
    return left if left > 0 else 0


cdef object peek_at(Limit limit, const Asked* asked, str tier, const Moment* now, bytes key=None):
    cdef char[HITTER_NAME] name
    cdef Member member
    cdef bint is_missing
    cdef int64_t verdict, remaining, reset_ns = 0
    memset(&member, 0, sizeof(member))
    if key is None:
        shown = (<bytes>name[:limit.key.show(asked, limit.shows_values, name, HITTER_NAME)]).decode("utf-8", "replace")
        member.fingerprint = limit.key.of(asked, &is_missing)
    else:
        shown = key.decode("utf-8", "replace")
        member.fingerprint = limit.key.of_text(PyBytes_AS_STRING(key), PyBytes_GET_SIZE(key))
        is_missing = False
    if is_missing and limit.missing != MISSING_OWN:
        return Peek(limit.name, limit.missing == MISSING_SKIP, shown, 0, 0, None, 0, limit.is_dry)
    if limit.tiers is not None or limit.overrides != NULL:
        member.which = limit.allowance(member.fingerprint, tier)
    if limit.kind == CONCURRENCY:
        remaining = left_of(limit, &member, now, &reset_ns)
        is_there = remaining > 0 or limit.is_pending(&member, now)      # where its store would have to be asked
        return Peek(limit.name, is_there, shown, 1, remaining, 0 if is_there else None, 0, limit.is_dry)
    member.cost = limit.cost_of(asked, member.which, None)
    if limit.kind == LEASED:
        member.lease = member.fingerprint
    # Where its store would have to be asked, nobody refuses yet.
    verdict = 0 if limit.is_pending(&member, now) else limit.look(&member, now)
    remaining = left_of(limit, &member, now, &reset_ns)
    wait_s = None if verdict == NEVER else (verdict if verdict > 0 else -verdict) / SECOND_NS
    return Peek(
        limit.name, verdict >= 0, shown, member.cost, remaining, wait_s, max(0, reset_ns) / SECOND_NS, limit.is_dry
    )


def most_room(peeks):
    """Of what a limit says at several endpoints, what it says where a request would go: the one that lets it in the soonest."""
    return max(peeks, key=lambda one: (one.is_allowed, -(math.inf if one.wait_s is None else one.wait_s), one.remaining))


cdef Run _run(bytes text) noexcept:
    cdef Run run
    run.at = PyBytes_AS_STRING(text)
    run.size = PyBytes_GET_SIZE(text)
    return run


def peek(
    Limit limit not None, bytes head not None, int64_t now_ns, int64_t wall_ms, *, str client="", path=None, str route="",
    str upstream="", str endpoint="", str subject="", str tenant="", str tier=None, bytes digest=b"", cost=None, key=None,
):
    cdef RequestHead parsed
    cdef Asked asked
    cdef Moment now
    cdef dict costs = None if cost is None else {limit.name: float(cost)}
    cdef list kept = [text.encode() for text in (client, path or "", route, upstream, subject, tenant, endpoint)]
    now.now_ns = now_ns
    now.wall_ms = wall_ms
    ask_of(head, &parsed, &asked)
    asked.client = _run(kept[0])
    if path is not None:
        asked.path = _run(kept[1])
    asked.route = _run(kept[2])
    asked.upstream = _run(kept[3])
    asked.subject = _run(kept[4])
    asked.tenant = _run(kept[5])
    asked.endpoint = _run(kept[6])
    asked.digest = _run(digest)
    if costs is not None:
        asked.costs = <PyObject*>costs
    if key is not None and limit.key.count != 1:
        raise ValueError(f"the key of {limit.name} has {limit.key.count} parts: describe a request instead of its value")
    return peek_at(limit, &asked, tier, &now, None if key is None else (<str>key).encode())
