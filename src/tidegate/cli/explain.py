"""What would become of one request: its route, who it is from, and the limits that it would meet, in their order.

Everything is asked of the code that serves: the router, the path's canonical form, the table of keys, what a request
carries under a name. Nothing is charged, because nothing that runs is asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from tidegate.config.limit_keys import KeyPart
from tidegate.config.limits import Allowance, Limit
from tidegate.config.routes import Route
from tidegate.config.schema import Gateway
from tidegate.filters.key_auth import Identity, KeyAuth, key_digest
from tidegate.limits.classes import Classes
from tidegate.limits.keys import RequestKey
from tidegate.routing.host import name_of_host
from tidegate.routing.router import Router
from tidegate.routing.spec import RouteSpec
from tidegate.wire.described import Described
from tidegate.wire.parameters import parameter
from tidegate.wire.view import PathRefusalError

__all__ = ["Asked", "Explanation", "explain"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One limit that a request meets: where, by which key, and what it allows there."""

    step: str
    limit: str
    key: list[str]
    allows: str


@dataclass(slots=True, kw_only=True)
class Explanation:
    """What would become of a request; ``ends`` says why it goes no further, "" when it goes to its upstream."""

    route: str | None = None
    upstream: str | None = None
    identity: dict[str, Any] | None = None
    traffic_class: str = ""
    limits: list[Asked] = field(default_factory=list)
    ends: str = ""

    def __str__(self) -> str:
        lines = [f"route      {self.route or '(none)'}"]
        if self.identity is not None:
            told = ", ".join(f"{name} {value}" for name, value in self.identity.items() if value)
            lines.append(f"from       {told}")
        if self.traffic_class:
            lines.append(f"class      {self.traffic_class}")
        lines += [
            f"{one.step:<10} {one.limit}: {one.allows} by {' + '.join(one.key) or 'nothing: all share it'}"
            for one in self.limits
        ]
        lines.append(f"then       {self.ends or f'to the upstream {self.upstream}'}")
        return "\n".join(lines)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def explain(
    gateway: Gateway, method: str, url: str, fields: Sequence[tuple[str, str]], client_ip: str = "192.0.2.1"
) -> Explanation:
    """What would become of a request of ``method`` for ``url`` with these fields, from ``client_ip``.

    Listeners are not told apart: the limits of all of them are shown. Raises ValueError for what is no URL.
    """
    found = Explanation()
    found.ends = _Request(gateway, Described(method, url, tuple(fields)), client_ip).follow(found)
    return found


class _Request:
    def __init__(self, gateway: Gateway, described: Described, client_ip: str) -> None:
        self.gateway, self.described = gateway, described
        self.method, self.host, self.path = described.method, described.host, described.path
        self.client_ip = client_ip
        self.identity: Identity | None = None
        self.route: Route | None = None

    def follow(self, found: Explanation) -> str:
        """Fills ``found`` step by step; says why it ends before an upstream."""
        try:
            self.path = self.described.canonical_path()
        except PathRefusalError as error:
            return f"400 {error.name}"
        edge = [name for listener in self.gateway.listeners for name in listener.limits]
        looked = Router(_specs(self.gateway)).look_up(
            self.method.encode(),
            self.host.encode("latin-1"),
            self.path.encode("latin-1"),
            self.described.query.encode("latin-1"),
            [(name.encode("latin-1"), value.encode("latin-1")) for name, value in self.described.fields],
        )
        if looked.name is None:
            found.limits = list(self.asked("admit", edge))
            return "405 method_not_allowed" if looked.allowed else "404 no_route"
        self.route = route = next(one for one in self.gateway.routes if one.name == looked.name)
        found.route, found.upstream = route.name, route.upstream
        late = [name for name in route.limits if not self.gateway.limits[name].is_edge]
        found.limits = list(self.asked("admit", [*edge, *(name for name in route.limits if name not in late)]))
        if route.auth is not None:
            refused = self.authenticate(route.auth)
            if refused:
                return refused
            assert self.identity is not None  # noqa: S101 - narrows the type
            names = ("subject", "tenant", "tier", "priority")
            found.identity = {name: getattr(self.identity, name) for name in names}
        found.traffic_class = Classes(self.gateway.classes).class_of(
            self.described.head,
            route_class=route.traffic_class,
            priority=None if self.identity is None else self.identity.priority,
        )
        upstream = None if route.upstream is None else self.gateway.upstreams[route.upstream]
        found.limits += self.asked("pick", [*late, *(() if upstream is None else upstream.limits)])
        if route.respond is not None:
            return f"{route.respond.status}, as the route answers itself"
        return f"{route.redirect.status}, as the route redirects" if route.redirect is not None else ""

    def authenticate(self, name: str) -> str:
        """Finds out who asks; otherwise how that is answered."""
        auth = KeyAuth(name, self.gateway.auth[name])
        value = parameter("header", self.gateway.auth[name].header.encode("ascii"), self.described.head)
        self.identity = None if value is None else auth.identity_of(value)
        return "" if self.identity is not None else f"401 {'key_missing' if value is None else 'key_unknown'}"

    def asked(self, step: str, names: Sequence[str]) -> Iterator[Asked]:
        for name in dict.fromkeys(names):
            limit = self.gateway.limits[name]
            key = [self.shown(part) for part in limit.key_parts]
            dry = " (dry run)" if limit.dry_run else ""
            yield Asked(step=step, limit=name, key=key, allows=self.allowed(name, limit) + dry)

    def shown(self, part: KeyPart) -> str:
        """A part of the key with its value in this request."""
        match part.source:
            case "client.ip":
                value: str | None = self.client_ip
            case "header" | "cookie" | "query":
                raw = parameter(part.source, part.name.encode("latin-1"), self.described.head, is_only=True)
                value = None if raw is None else raw.decode("latin-1")
            case "auth.subject" | "auth.tenant":
                value = getattr(self.identity, part.source[5:], None)
            case "host":
                value = name_of_host(self.host.encode("latin-1")).decode("latin-1")
            case "constant":
                value = part.name
            case "endpoint":
                return "endpoint"
            case "auth.key":
                return "auth.key"
            case "route" | "upstream":
                value = (
                    None
                    if self.route is None
                    else getattr(self.route, "name" if part.source == "route" else "upstream")
                )
            case _:
                value = getattr(self, part.source)
        source = f"{part.source}:{part.name}" if part.name and part.source != "constant" else part.source
        return f"{source} (missing)" if value is None else f"{source} = {value}"

    def overriding(self, name: str, limit: Limit) -> Allowance | None:
        """What the limit allows this request's key by its value, told as the gateway tells keys apart."""
        key = RequestKey(bytes(16), name, limit.key_parts)
        upstream = None if self.route is None else self.route.upstream
        fingerprint, _ = key.fingerprint(
            self.described.head,
            client=self.client_ip.encode(),
            path=self.path.encode("latin-1"),
            route=b"" if self.route is None else self.route.name.encode(),
            upstream=(upstream or "").encode(),
            subject=b"" if self.identity is None else self.identity.subject.encode(),
            tenant=b"" if self.identity is None else self.identity.tenant.encode(),
            digest=b"" if self.identity is None else key_digest(self.identity),
        )
        found = (one for text, one in limit.overrides.items() if key.fingerprint_of_text(text.encode()) == fingerprint)
        return next(found, None)

    def allowed(self, name: str, limit: Limit) -> str:
        """What the limit allows this request's key."""
        allowance = self.overriding(name, limit) if limit.overrides else None
        if allowance is None and self.identity is not None:
            allowance = limit.tiers.get(self.identity.tier)

        def of(name: str) -> Any:
            own = getattr(allowance, name, None)
            return getattr(limit, name) if own is None else own

        if limit.kind == "rate":
            burst = of("burst")
            ahead = f", {burst} ahead of it {'wait' if limit.excess == 'delay' else 'pass at once'}" if burst else ""
            return f"{of('rate')}{ahead}"
        if limit.kind == "quota":
            return f"{of('quota')} in {limit.window:g} s"
        if limit.adaptive is not None:
            return f"what is learned at once ({limit.adaptive.algorithm})"
        return f"{of('concurrency')} at once"


def _specs(gateway: Gateway) -> list[RouteSpec]:
    return [
        RouteSpec(
            name=route.name,
            hosts=route.hosts,
            path=route.path,
            methods=route.methods,
            headers=route.headers,
            query=route.query,
            priority=route.priority,
            order=order,
        )
        for order, route in enumerate(gateway.routes)
    ]
