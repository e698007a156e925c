"""One exchange without sockets.

What a test gets are the views that a gateway hands to filters, over bytes that its codec has read: reading, changing, and
every refusal are those of the real thing. Nothing is sent anywhere.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport int64_t
from libc.string cimport memcpy, memset

from tidegate.exchange.asked cimport fill_asked
from tidegate.exchange.context cimport Context
from tidegate.exchange.plan cimport Destination, Plan, Route
from tidegate.exchange.state cimport NOTHING, RUNNING, SENT, Client, ExchangeState, fill, reserve
from tidegate.exchange.views cimport Request, ResponseHead, request_view, response_view
from tidegate.filters.key_auth cimport Identity
from tidegate.limits.group cimport MEMBERS_MAX, NOBODY_REFUSED, Group
from tidegate.limits.keys cimport Asked
from tidegate.limits.limit cimport Member, Moment
from tidegate.net.reactor cimport Reactor
from tidegate.routing.router cimport Router
from tidegate.upstream.endpoint cimport Upstream
from tidegate.wire.http1 cimport (
    COMPLETE, HeadLimits, parse_request_head, parse_response_head, refusal_name, reset_request_head, reset_response_head,
)
from tidegate.wire.target cimport canonical_path, path_refusal_name

from itertools import count
from time import monotonic_ns

from tidegate.routing.router import Router as RouterType
from tidegate.routing.spec import RouteSpec
from tidegate.wire.reasons import REASONS

cdef HeadLimits LIMITS
LIMITS.head_bytes = 131072
LIMITS.target_bytes = 65536
LIMITS.fields = 128

cdef object _ids = count(1)


cdef class StandIn(Client):
    pass


def request(
    method="GET", target="/", *, headers=(), str client_ip="192.0.2.1", scheme="http", http_version="1.1", path="/*",
    str route="test", upstreams=("app",), store=None, Identity auth=None, limits=None,
):
    """A request as a filter gets it in ``on_request``.

    headers: names to values, or pairs; Host is "gateway.test" unless given. path: the pattern of the route, whose captures the
    request then has. auth: whom it is from, nobody unless given. upstreams: names there are, the first being the route's; none: a route that answers by itself.
    limits: those there are, by name, as ``testing.limits`` makes them.
    Raises ValueError for what a gateway would refuse, and for a target that the route does not want.
    """
    cdef ExchangeState x = ExchangeState.__new__(ExchangeState)
    cdef Client client = StandIn.__new__(StandIn)
    cdef Route taken = Route.__new__(Route)
    cdef Plan plan = Plan.__new__(Plan)
    cdef Context context = Context.__new__(Context)
    cdef Reactor reactor = Reactor.__new__(Reactor)
    cdef Destination destination
    cdef Router router
    cdef bytes head = _head(f"{method} {target} HTTP/{http_version}", _with_host(headers))
    cdef bytes id = b"%032x" % next(_ids)
    cdef bytes address = client_ip.encode()
    cdef int verdict
    client.fd = -1
    client.address = address
    client.is_tls = scheme == "https"
    x.client = client
    x.client_address = address
    fill(&x.raw, PyBytes_AS_STRING(head), PyBytes_GET_SIZE(head))
    reset_request_head(&x.request)
    verdict = parse_request_head(x.raw.at, x.raw.size, &LIMITS, &x.request)
    if verdict != COMPLETE:
        raise ValueError(f"a gateway refuses this request: {refusal_name(-verdict).decode() if verdict < 0 else 'not whole'}")
    reserve(&x.path, x.request.path.size)
    verdict = canonical_path(x.raw.at + x.request.path.start, x.request.path.size, 0, x.path.at)
    if verdict < 0:
        raise ValueError(f"a gateway refuses this path: {path_refusal_name(-verdict).decode()}")
    x.path.size = verdict
    x.path_is_own = True
    router = RouterType([RouteSpec(name=route, path=path)])
    x.match = router.match(
        x.raw.at, &x.request, x.raw.at + x.request.host.start, x.request.host.size, x.path.at, x.path.size, &x.captures, NULL
    )
    if x.match is None:
        raise ValueError(f"a route for {path} does not want {target}")
    taken.name = route
    taken.name_text = route.encode()
    x.route = taken
    plan.limits = dict(limits or {})
    reactor.now_ns = monotonic_ns()
    context.reactor = reactor
    x.context = context
    plan.destinations = {}
    for name in upstreams:
        destination = Destination.__new__(Destination)
        destination.upstream = Upstream(name)
        destination.text = name.encode()
        plan.destinations[name] = destination
        if x.destination is None:
            x.destination = destination
    x.plan = plan
    memcpy(x.request_id, PyBytes_AS_STRING(id), PyBytes_GET_SIZE(id))
    x.request_id_size = len(id)
    x.stage = RUNNING
    x.waits_for = NOTHING
    x.identity = auth
    if store is not None:
        x.store = dict(store)
    return request_view(x)


def response(Request request not None, int status=200, headers=(), *, bint is_local=False):
    """The head of an answer to ``request``, as a filter gets it in ``on_response``; is_local: a filter or the gateway made it."""
    cdef ExchangeState x = request.exchange
    cdef bytes head
    cdef int verdict
    if x is None:
        raise ValueError("this request's exchange is over")
    head = _head(f"HTTP/1.1 {status} {REASONS.get(status, '')}", _pairs(headers))
    fill(&x.raw_response, PyBytes_AS_STRING(head), PyBytes_GET_SIZE(head))
    x.response_at = x.raw_response.at
    reset_response_head(&x.response)
    verdict = parse_response_head(x.response_at, x.raw_response.size, &LIMITS, x.request.method, &x.response)
    if verdict != COMPLETE or not 200 <= status <= 599:
        raise ValueError(f"a gateway refuses this answer: {refusal_name(-verdict).decode() if verdict < 0 else status}")
    if x.response_edits is not None:
        x.response_edits.clear()
    x.status = status
    x.is_local = is_local
    x.stage = RUNNING if is_local else SENT
    return response_view(x)


def charge(Request request not None, str name not None, long times=1):
    """Charges the limit ``name`` as so many requests like this one would. Those that it refuses change nothing."""
    cdef ExchangeState x = request.exchange
    cdef Member[MEMBERS_MAX] members
    cdef Group group
    cdef Asked asked
    cdef Moment now
    cdef int64_t wait_ns
    cdef long i
    if x is None:
        raise ValueError("this request's exchange is over")
    group = Group((x.plan.limits[name],))
    now.now_ns = x.context.reactor.now_ns
    now.wall_ms = x.context.real_us() // 1000
    fill_asked(x, &asked)
    for i in range(times):
        memset(members, 0, sizeof(members))
        if group.look(&asked, None if x.identity is None else x.identity.tier, &now, members, False) == NOBODY_REFUSED:
            if group.acquire(members, 0, &now) == NOBODY_REFUSED:
                group.charge(&now, members, &wait_ns)


def repeat(Request request not None, method, long times):
    """Calls ``method(request)`` so many times, each on the request as it came: for benchmarks."""
    cdef ExchangeState x = request.exchange
    cdef long i
    for i in range(times):
        method(request)
        if x.request_edits is not None:
            x.request_edits.clear()
        x.store = None
        x.log_fields = None


cdef list _pairs(headers):
    return list(headers.items()) if hasattr(headers, "items") else list(headers)


cdef list _with_host(headers):
    cdef list pairs = _pairs(headers)
    if not any(name.lower() == "host" for name, _ in pairs):
        pairs.insert(0, ("Host", "gateway.test"))
    return pairs


cdef bytes _head(str line, list pairs):
    return "\r\n".join([line, *(f"{name}: {value}" for name, value in pairs), "", ""]).encode("latin-1")
