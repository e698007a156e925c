"""What a snapshot compiles to.

Everything a request needs is looked up here once: bound methods by phase, changes to heads as bytes, destinations with their
dial settings. A plan is immutable; exchanges that began on it finish on it.
"""

from tidegate.exchange.edits cimport EDIT_ADD, EDIT_REMOVE, EDIT_SET, Edits
from tidegate.filters.key_auth cimport KeyAuth
from tidegate.limits.classes cimport Classes
from tidegate.limits.group cimport Group
from tidegate.memory.marks cimport ON_FINISH, ON_REQUEST, ON_REQUEST_BODY, ON_RESPONSE, ON_RESPONSE_BODY, pack_place
from tidegate.upstream.connection cimport DialSettings
from tidegate.wire.target cimport (
    PATH_ALLOW_BACKSLASH, PATH_ALLOW_ENCODED_BACKSLASH, PATH_ALLOW_ENCODED_NUL, PATH_ALLOW_ENCODED_SLASH,
    PATH_ALLOW_HIGH_BYTES,
)

import inspect
from dataclasses import replace

from tidegate.exchange.filter import PHASES
from tidegate.exchange.views import Response
from tidegate.routing.rewrite import Redirect as RedirectType
from tidegate.routing.rewrite import Rewrite as RewriteType
from tidegate.routing.router import Router as RouterType
from tidegate.routing.spec import RouteSpec, shape_of

cdef dict ENCODINGS = {
    "%2F": PATH_ALLOW_ENCODED_SLASH,
    "%5C": PATH_ALLOW_ENCODED_BACKSLASH,
    "%00": PATH_ALLOW_ENCODED_NUL,
    "backslash": PATH_ALLOW_BACKSLASH,
    "non-ascii": PATH_ALLOW_HIGH_BYTES,
}


cdef class Step:

    def __init__(self, str filter_name not None, call, uint64_t place=0):
        self.filter_name = filter_name
        self.place = place
        self.call = call
        self.is_async = inspect.iscoroutinefunction(call)

    def __repr__(self):
        return f"<Step {self.filter_name}.{self.call.__name__}{' async' if self.is_async else ''}>"


cdef class Destination:

    def __init__(self, Upstream upstream not None, dict limits=None):
        settings = upstream.settings
        self.upstream = upstream
        self.dial = DialSettings(settings.connect_timeout, settings.tcp.keepalive, settings.tcp.user_timeout)
        self.text = upstream.name.encode()
        self.limits = _group([limits[name] for name in settings.limits if not limits[name].is_of_endpoints])
        self.at_endpoint = _group([limits[name] for name in settings.limits if limits[name].is_of_endpoints])


cdef class Route:
    """A route of the configuration with everything it needs at hand.

    settings: config.Route. destinations: by name. filters: instances by name, in the order of the configuration. order: its own
    place there. snapshot: number of the one it belongs to. shape, numbers: those of its path and of the filters, when they are
    known. auths: filters.KeyAuth by name. limits: limits.Limit by name. classes: of traffic.
    """

    def __init__(
        self, settings, dict destinations, dict filters, uint32_t order=0, uint64_t snapshot=0, shape=None, dict numbers=None,
        dict auths=None, dict limits=None, Classes classes=None,
    ):
        if numbers is None:
            numbers = _numbers(filters)
        chain = [(name, filters[name], numbers[name]) for name in settings.filters]
        backwards = chain[::-1]
        self.name = settings.name
        self.name_text = settings.name.encode()
        if settings.upstream is not None:
            self.destination = destinations[settings.upstream]
        if settings.auth is not None:
            self.auth = auths[settings.auth]
        self.class_ = -1 if classes is None or settings.traffic_class is None else classes.rank(settings.traffic_class)
        self.means = {}
        self.edge = _group([limits[name] for name in settings.limits if limits[name].settings.is_edge], self.means)
        late = [limits[name] for name in settings.limits if not limits[name].settings.is_edge]
        self.contract = _group([limit for limit in late if not limit.is_of_endpoints], self.means)
        self.at_endpoint = _group([limit for limit in late if limit.is_of_endpoints], self.means)
        self.endpoint_groups = {}
        self.edges = {}
        self.contracts = {}
        if settings.respond is not None:
            self.answer = Response(settings.respond.status, settings.respond.body, settings.respond.headers)
        captures = (shape_of(settings.path) if shape is None else shape).captures
        if settings.redirect is not None:
            self.redirect = RedirectType(settings.redirect.to, capture_names=captures)
            self.redirect_status = settings.redirect.status
        if settings.rewrite is not None:
            self.rewrite = RewriteType(
                strip_prefix=settings.rewrite.strip_prefix, prefix=settings.rewrite.prefix, path=settings.rewrite.path,
                regex=settings.rewrite.regex, replace=settings.rewrite.replace, capture_names=captures,
            )
        self.on_request = _steps(chain, ON_REQUEST, order, snapshot)
        self.on_request_body = _steps(chain, ON_REQUEST_BODY, order, snapshot)
        self.on_response = _steps(backwards, ON_RESPONSE, order, snapshot)
        self.on_response_body = _steps(backwards, ON_RESPONSE_BODY, order, snapshot)
        self.on_finish = _steps(backwards, ON_FINISH, order, snapshot)
        self.request_edits = _edits(settings.request_headers)
        self.response_edits = _edits(settings.response_headers)
        self.timeout_ms = 0 if settings.timeout is None else max(1, round(settings.timeout * 1000))
        self.max_body = -1 if settings.max_body is None else settings.max_body
        idle = settings.upgrade_idle_timeout
        self.upgrade_idle_ms = 0 if idle is None else max(1, round(idle * 1000))
        self.allows_upgrade = settings.upgrade
        self.keeps_host = settings.preserve_host
        self.sends_raw_path = settings.path_form == "raw"
        for name in settings.allow_encoded:
            self.allowed_encodings |= ENCODINGS[name]

    cdef int join(self, dict listener_limits) except -1:
        """Puts the limits of one step together, before the first request needs them."""
        if listener_limits is not None:
            self.edges = {listener: _joined(group, self.edge, self.means) for listener, group in listener_limits.items()}
        if self.destination is not None:
            self.contract_before(self.destination)
            self.at_endpoints(self.destination)
        return 0

    cdef Group edge_behind(self, str listener):
        """The limits that are asked first of what came to ``listener``: its own, and the route's."""
        return <Group>self.edges.get(listener, self.edge)

    cdef Group contract_before(self, Destination destination):
        """The route's contract and the limits of the upstream, to be charged as one; a filter may choose any upstream."""
        if destination not in self.contracts:
            self.contracts[destination] = _joined(self.contract, destination.limits, self.means)
        return self.contracts[destination]

    cdef Group at_endpoints(self, Destination destination):
        """The limits that each endpoint of ``destination`` is asked for, the route's and the upstream's."""
        if self.at_endpoint is None and destination.at_endpoint is None:
            return None
        if destination not in self.endpoint_groups:
            self.endpoint_groups[destination] = _joined(self.at_endpoint, destination.at_endpoint, self.means)
        return self.endpoint_groups[destination]

    def __repr__(self):
        steps = [*(self.on_request or ()), *(self.on_response or ())]
        return f"<Route {self.name}: {', '.join(map(repr, steps)) or 'no filters'}>"


cdef Group _group(list limits, dict means=None):
    return Group(tuple(limits), means) if limits else None


cdef Group _joined(Group one, Group other, dict means):
    """Both as one; a limit that is in both is asked once. means: of the route, whose requests it is asked for."""
    cdef Group only = other if one is None else one
    if (one is None or other is None) and (only is None or not only.has_measured):
        return only
    limits = [limit for group in (one, other) if group is not None for limit in (<Group>group).limits]
    return Group(tuple(dict.fromkeys(limits)), means)


cdef dict _numbers(dict filters):
    """The place of each filter in the configuration, by name."""
    return {name: number for number, name in enumerate(filters)}


cdef tuple _steps(list chain, int phase, uint32_t order, uint64_t snapshot):
    """The methods that filters have for a phase, in order; None when there is none."""
    cdef str method = PHASES[phase - 1]
    found = tuple([
        Step(name, getattr(instance, method), pack_place(phase, number, order, snapshot))
        for name, instance, number in chain if hasattr(instance, method)
    ])
    return found or None


cdef Edits _edits(changes):
    cdef Edits edits
    if changes is None:
        return None
    edits = Edits()
    for name in changes.remove:
        _put(edits, EDIT_REMOVE, name, "")
    for name, value in changes.set.items():
        _put(edits, EDIT_SET, name, value)
    for name, value in changes.add.items():
        _put(edits, EDIT_ADD, name, value)
    return edits if edits.count else None


cdef int _put(Edits edits, int kind, str name, str value) except -1:
    cdef bytes raw_name = name.encode("latin-1")
    cdef bytes raw_value = value.encode("latin-1")
    return edits.put(kind, <const char*>raw_name, len(raw_name), <const char*>raw_value, len(raw_value))


cdef class Plan:
    """A snapshot, ready to serve.

    snapshot: config.Snapshot. upstreams: upstream.Upstream by name. filters: instances by name.
    """

    def __init__(self, snapshot, dict upstreams, dict filters):
        for _ in self.building(snapshot, upstreams, filters):
            pass

    def building(self, snapshot, dict upstreams, dict filters, AccessLog access_log=None, dict limits=None):
        """Builds it, giving way after each route: for a plan that was made with ``Plan.__new__``."""
        cdef Route route
        self.number = snapshot.number
        self.etag = snapshot.etag
        self.gateway = replace(snapshot.gateway, routes=())     # the rest is small; these are in ``routes``
        self.filters = filters
        self.access_log = AccessLog(None) if access_log is None else access_log
        self.trusted = TrustedRanges(snapshot.gateway.server.trusted_proxies)
        self.limits = limits or {}
        self.classes = Classes(snapshot.gateway.classes)
        self.listener_limits = {
            listener.bind: _group([self.limits[name] for name in listener.limits])
            for listener in snapshot.gateway.listeners if listener.limits
        } or None
        self.destinations = {name: Destination(upstream, self.limits) for name, upstream in upstreams.items()}
        auths = {name: KeyAuth(name, one) for name, one in snapshot.gateway.auth.items()}
        self.routes = {}
        numbers = _numbers(filters)
        specs = []
        for order, settings in enumerate(snapshot.gateway.routes):
            shape = shape_of(settings.path)
            route = Route(
                settings, self.destinations, filters, order, snapshot.number, shape, numbers, auths, self.limits, self.classes
            )
            route.join(self.listener_limits)
            self.routes[settings.name] = route
            self.widest_encodings |= route.allowed_encodings
            yield
            specs.append(
                RouteSpec(
                    name=settings.name, hosts=settings.hosts, path=settings.path, methods=settings.methods,
                    headers=settings.headers, query=settings.query, priority=settings.priority, target=route, order=order,
                    shape=shape,
                )
            )
        router = RouterType.__new__(RouterType)
        yield from router.building(specs)
        self.router = router

    def __repr__(self):
        return f"<Plan {self.number}: {len(self.routes)} routes, {self.exchanges} exchanges in flight>"
