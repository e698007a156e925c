"""Limits that mean something, where they are named."""

import re
from collections.abc import Iterator, Mapping

from tidegate.config.auth import tiers_of
from tidegate.config.findings import Path
from tidegate.config.kinds import KeyDigest
from tidegate.config.limit_cost import parse_cost, parse_cost_unit
from tidegate.config.limits import ENDPOINT_STEP_MAX, PERMITS_MAX, STEP_MAX, Allowance, Limit
from tidegate.config.rules.adaptive import check_adaptive
from tidegate.config.rules.fields import check_said
from tidegate.config.rules.filters import identifies
from tidegate.config.rules.fleet import check_fleet, check_fleet_step
from tidegate.config.rules.subject import Subject
from tidegate.config.schema import Route
from tidegate.config.values import parse_rate

__all__ = ["check_limits"]

LONGEST_BURST_S = 366 * 86400
KEY_PARTS_MAX = 8
_DIGEST = re.compile(KeyDigest.schema["pattern"])
# Which options belong to which kind.
KINDS = {
    "rate": ("burst", "excess", "delay_after", "max_delay", "cost", "cost_unit", "cost_max", "charge"),
    "quota": ("window", "window_kind", "cost", "cost_unit", "cost_max", "charge"),
    "concurrency": ("queue", "queue_timeout", "shares", "weights", "burst", "unit_delay"),
    "adaptive": ("queue", "queue_timeout", "shares", "weights"),
}


def check_limits(subject: Subject) -> None:
    """Options of a limit fit together, and each limit is asked where what it needs is known."""
    used = set()
    for place, names in _lists(subject):
        for index, name in enumerate(names):
            used.add(name)
            if name in names[:index]:
                subject.find((*place, index), f'"{name}" is there twice; a limit is asked once')
    finds_out = any(identifies(subject, name) for name in subject.gateway.filters)
    tiers = None if finds_out else tiers_of(subject.gateway.auth)  # those of tokens stand in no configuration
    for name, limit in subject.gateway.limits.items():
        path: Path = ("limits", name)
        check_said(subject, path, name)
        kinds = [kind for kind in KINDS if subject.says((*path, kind))]
        if len(kinds) != 1:
            said = f"not {' and '.join(kinds)}" if kinds else "and needs it"
            place = (*path, kinds[1]) if kinds else path
            subject.find(place, f"a limit has one of `rate`, `quota`, `concurrency` and `adaptive`, {said}")
        elif getattr(limit, kinds[0]) is not None:
            _check_options(subject, path, limit)
        check_adaptive(subject, path, limit)
        _check_key(subject, path, limit, tiers)
        check_fleet(subject, path, limit)
        if name not in used and not subject.shaped.lost:
            subject.warn(path, "takes no effect: no listener, route or upstream names it")
    _check_identity(subject)
    _check_steps(subject)


def _lists(subject: Subject) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """Everywhere that limits are named."""
    for index, listener in enumerate(subject.gateway.listeners):
        yield ("listeners", index, "limits"), listener.limits
    for name, upstream in subject.gateway.upstreams.items():
        yield ("upstreams", name, "limits"), upstream.limits
    for index, route in enumerate(subject.gateway.routes):
        yield ("routes", index, "limits"), route.limits


def _check_options(subject: Subject, path: Path, limit: Limit) -> None:
    own = KINDS["adaptive" if limit.adaptive is not None else limit.kind]
    for option in dict.fromkeys(option for options in KINDS.values() for option in options):
        if subject.says((*path, option)) and option not in own:
            kinds = " or ".join(f"`{kind}`" for kind, options in KINDS.items() if option in options)
            subject.find((*path, option), f"has no effect: it is for a {kinds}")
    for where, allowed in _allowances(path, limit):
        if isinstance(allowed, Allowance):
            given = [name for name in ("rate", "burst", "quota", "concurrency") if getattr(allowed, name) is not None]
            wanted = (limit.kind,) if limit.kind == "quota" or not limit.has_burst else (limit.kind, "burst")
            if not set(given) & set(wanted) and not subject.shaped.lost:
                subject.find(where, f"changes nothing: it needs {' or '.join(f'`{name}`' for name in wanted)}")
    _check_cost(subject, path, limit)
    if limit.kind == "rate":
        _check_rate(subject, path, limit)
    elif limit.kind == "quota":
        _check_quota(subject, path, limit)
    else:
        _check_concurrency(subject, path, limit)


def _check_concurrency(subject: Subject, path: Path, limit: Limit) -> None:
    for option in ("queue_timeout", "weights"):
        if not limit.queue and subject.says((*path, option)):
            subject.find((*path, option), "has no effect without `queue`")
    if limit.unit_delay is None:
        if limit.burst and not subject.says((*path, "unit_delay")):
            subject.find((*path, "burst"), "needs `unit_delay`, which those beyond `concurrency` wait")
        return
    if limit.queue:
        subject.find((*path, "unit_delay"), "is another way to wait than the `queue`: one of the two")
    if not any(one.burst for _, one in _allowances(path, limit)):
        subject.find((*path, "unit_delay"), "has no effect without `burst`: nobody may wait")
    for where, allowed in _allowances(path, limit):
        concurrency, burst = limit.allowed_at_once(allowed if isinstance(allowed, Allowance) else None)
        if concurrency == 0:
            subject.find(where, "lets nobody in at once, so that nobody's turn comes; `concurrency` is 1 or more")
        elif concurrency + burst > PERMITS_MAX:
            subject.find(where, f"has {concurrency} and {burst} at once; at most {PERMITS_MAX} may be")


def _check_quota(subject: Subject, path: Path, limit: Limit) -> None:
    if limit.window is None and not subject.says((*path, "window")):
        subject.find(path, 'needs `window`, such as "30d", for its quota')
    if limit.quota:
        _check_cost_held(subject, path, limit, limit.quota, "the quota is")


def _check_rate(subject: Subject, path: Path, limit: Limit) -> None:
    for where, allowed in _allowances(path, limit):
        count, period_s = parse_rate(allowed.rate or limit.rate or "0/s")
        burst = limit.burst if allowed.burst is None else allowed.burst
        if count and burst * period_s / count > LONGEST_BURST_S:
            place = (*where, "burst") if subject.says((*where, "burst")) else where
            subject.find(place, f"{burst} at {count} in {period_s} s take more than a year to be paid back")
        if count:
            _check_cost_held(subject, path, limit, burst + 1, f"the burst of {burst} holds")
    if limit.excess != "delay":
        for option in ("delay_after", "max_delay"):
            if subject.says((*path, option)):
                subject.find((*path, option), 'has no effect without excess = "delay"')
        return
    if limit.charge == "on_failure":
        subject.find((*path, "charge"), 'cannot be "on_failure" with excess = "delay": whether it fails is known late')
    if limit.burst == 0 and not any(one.burst for _, one in _allowances(path, limit)):
        subject.find((*path, "excess"), 'is "delay", but without `burst` nobody may wait')
    if limit.delay_after > limit.burst:
        subject.find((*path, "delay_after"), f"is more than the burst of {limit.burst}")


def _check_cost(subject: Subject, path: Path, limit: Limit) -> None:
    cost = parse_cost(limit.cost)
    if cost.is_measured:
        if limit.excess == "delay":
            subject.find((*path, "cost"), f'"{limit.cost}" is known late, and turns are given out early: use a number')
        if limit.charge == "on_failure":
            subject.find((*path, "cost"), 'is a number or a field with charge = "on_failure"')
        if limit.cost_unit is not None:
            try:
                parse_cost_unit(limit.cost_unit, cost.source)
            except ValueError as error:
                subject.find((*path, "cost_unit"), f'of "{limit.cost}": {error}')
    elif limit.cost_unit is not None:
        subject.find((*path, "cost_unit"), "has no effect: only what is measured has a unit")
    if limit.cost_max is not None and cost.source != "header":
        subject.find((*path, "cost_max"), 'has no effect: it is for a `cost` of "header:NAME"')


def _check_cost_held(subject: Subject, path: Path, limit: Limit, holds: int, what: str) -> None:
    cost = parse_cost(limit.cost)
    if cost.source == "constant" and cost.number > holds:
        subject.find((*path, "cost"), f"of {cost.number} is never let in: {what} {holds}")
    elif cost.source == "header" and limit.cost_max is not None and limit.cost_max > holds:
        subject.find((*path, "cost_max"), f"of {limit.cost_max} is never let in: {what} {holds}")


def _allowances(path: Path, limit: Limit) -> Iterator[tuple[Path, Limit | Allowance]]:
    yield path, limit
    for option in ("tiers", "overrides"):
        for name, allowed in getattr(limit, option).items():
            yield (*path, option, name), allowed


def _check_key(subject: Subject, path: Path, limit: Limit, tiers: set[str] | None) -> None:
    parts = limit.key_parts
    where: Path = (*path, "key")
    if len(set(parts)) != len(parts):
        subject.find(where, "has the same part twice")
    if len(parts) > KEY_PARTS_MAX:
        subject.find(where, f"has at most {KEY_PARTS_MAX} parts")
    if limit.overrides and len(parts) != 1:
        subject.find((*path, "overrides"), "are for a limit whose `key` is one thing")
    if limit.overrides and [part.source for part in parts] == ["auth.key"]:
        for text in limit.overrides:
            if _DIGEST.fullmatch(text) is None:  # and never show it: it may be the key
                subject.find((*path, "overrides"), f"of `auth.key` are for {KeyDigest.expects}")
                break
    if limit.missing_key != "own" and not any(part.source in ("header", "cookie", "query") for part in parts):
        subject.find((*path, "missing_key"), "has no effect: what `key` names is never missing")
    if limit.is_asked_at_endpoints:
        _check_endpoint_limit(subject, path, limit)
    for tier in limit.tiers:
        if tiers is not None and tier not in tiers:
            subject.unknown((*path, "tiers", tier), "tier of a key", tier, sorted(tiers))


def _check_endpoint_limit(subject: Subject, path: Path, limit: Limit) -> None:
    if limit.quota is not None:
        subject.find((*path, "key"), "cannot be of endpoints: a quota is for whoever asks")
    if limit.charge == "on_failure":
        subject.find((*path, "charge"), 'cannot be "on_failure" for endpoints: it is for who guesses')
    if limit.unit_delay is not None:
        subject.find((*path, "unit_delay"), "cannot be of endpoints: one that is busy is skipped, not waited for")
    if parse_cost(limit.cost).is_measured:
        subject.find(
            (*path, "cost"), "cannot be measured for endpoints: a bound on concurrency follows what takes long"
        )


def _check_identity(subject: Subject) -> None:
    """Who is not asked has no tenant: a limit by tenant would put everybody into one."""
    limits = subject.gateway.limits
    leading: dict[str, list[str]] = {}
    for index, route in enumerate(subject.gateway.routes):
        if route.auth is not None or subject.says(("routes", index, "auth")):
            continue
        if any(identifies(subject, name) for name in route.filters):
            continue
        if route.upstream is not None:
            leading.setdefault(route.upstream, []).append(route.name)
        for place, name in enumerate(route.limits):
            if name in limits and limits[name].needs_auth:
                subject.find(("routes", index, "limits", place), f'"{name}" needs `auth`, which the route has not')
    for upstream_name, upstream in subject.gateway.upstreams.items():
        for place, name in enumerate(upstream.limits):
            if name in limits and limits[name].needs_auth and upstream_name in leading:
                routes = ", ".join(f'"{one}"' for one in leading[upstream_name][:5])
                subject.find(
                    ("upstreams", upstream_name, "limits", place), f'"{name}" needs `auth`, which {routes} has not'
                )
    for index, listener in enumerate(subject.gateway.listeners):
        for place, name in enumerate(listener.limits):
            if name in limits and (limits[name].kind == "concurrency" or limits[name].is_asked_at_endpoints):
                subject.find(
                    ("listeners", index, "limits", place),
                    f'"{name}" bounds what goes to upstreams: name it on these or on routes',
                )
            elif name in limits and limits[name].needs_auth:
                subject.find(
                    ("listeners", index, "limits", place), f'"{name}" needs `auth`: a listener asks before it is known'
                )


def _check_steps(subject: Subject) -> None:
    """No step of a request, whichever way it takes, has more limits than there is room for."""
    gateway = subject.gateway
    of_listeners = {f"listener {one.bind}": set(one.limits) for one in gateway.listeners}
    of_upstreams = {f'upstream "{name}"': set(one.limits) for name, one in gateway.upstreams.items()}
    for index, of_listener in enumerate(of_listeners.values()):
        _check_step(subject, ("listeners", index, "limits"), of_listener, {})
    for name, one in gateway.upstreams.items():
        _check_step(subject, ("upstreams", name, "limits"), set(one.limits), {})
    for index, route in enumerate(gateway.routes):
        place: Path = ("routes", index, "limits")
        edge = {name for name in route.limits if name in gateway.limits and gateway.limits[name].is_edge}
        upstream = f'upstream "{route.upstream}"'
        # A filter may choose any upstream.
        reached = of_upstreams if route.filters else {upstream: of_upstreams.get(upstream, set())}
        _check_step(subject, place, edge, of_listeners)
        _check_step(subject, place, set(route.limits) - edge, reached)
        steps = [edge | names for names in of_listeners.values()] + [
            (set(route.limits) - edge) | names for names in reached.values()
        ]
        for step in {frozenset(step) for step in steps}:
            check_fleet_step(subject, place, step)
        _check_endpoints(subject, place, route, reached)


def _check_endpoints(subject: Subject, place: Path, route: Route, reached: Mapping[str, set[str]]) -> None:
    """No endpoint has more limits than there is room for."""
    limits = subject.gateway.limits
    own = {name for name in route.limits if name in limits and limits[name].is_asked_at_endpoints}
    for other, names in reached.items():
        count = len(own | {name for name in names if name in limits and limits[name].is_asked_at_endpoints})
        if count > ENDPOINT_STEP_MAX:
            subject.find(
                place, f"with those of {other} {count} limits are asked of each endpoint, {ENDPOINT_STEP_MAX} may be"
            )
            return


def _check_step(subject: Subject, place: Path, own: set[str], others: Mapping[str, set[str]]) -> None:
    if len(own) > STEP_MAX:
        subject.find(place, f"{len(own)} limits are asked as one here, and at most {STEP_MAX} may be")
        return
    if not own:
        return  # what the others have by themselves is told there
    for other, names in others.items():
        count = len(own | names)
        if len(names) <= STEP_MAX < count:
            subject.find(place, f"with those of {other} {count} limits are asked as one, and at most {STEP_MAX} may be")
            return
