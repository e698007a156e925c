"""Which routes no request can ever take, because another always takes it first.

Places are gone through best first, and each is looked for among those before it: is there one that fits whatever this
one fits? The places seen so far are kept in the same tree that the router walks, so that ten thousand routes cost ten
thousand walks and not their square.

Said of a route only when every request it fits is taken by others: for patterns that are equal or wider, without
regexes and matchers, that is exact; two routes that only together leave nothing of a third are not seen (except for
methods), nor is one regex that contains another. A finding is never wrong.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, combinations
from typing import TypeAlias

from tidegate.config.patterns import parse_value
from tidegate.routing.regex import Regex, compile_regex
from tidegate.routing.spec import RouteSpec, Shape, methods_of, ranked

__all__ = ["unreachable"]

_Condition: TypeAlias = tuple[str, str, str, str]  # where, name, kind, text
_Group: TypeAlias = dict[frozenset[_Condition], list["_Taker"]]


@dataclass(frozen=True, slots=True)
class _Taker:
    """What a placed route takes at its host and path."""

    route: int
    methods: frozenset[str] | None


@dataclass(slots=True)
class _Node:
    literals: dict[bytes, "_Node"] = field(default_factory=dict)
    capture: "_Node | None" = None
    whole: _Group = field(default_factory=dict)
    open: _Group = field(default_factory=dict)


@dataclass(slots=True)
class _Site:
    """All that is placed at one host."""

    root: _Node = field(default_factory=_Node)
    regexes: dict[str, tuple[Regex, _Group]] = field(default_factory=dict)


def _conditions(spec: RouteSpec) -> frozenset[_Condition]:
    found = set()
    for name, value in spec.headers.items():
        pattern = parse_value(value)
        found.add(("header", name.lower().replace("_", "-"), pattern.kind, pattern.text))
    for name, value in spec.query.items():
        pattern = parse_value(value)
        found.add(("query", name, pattern.kind, pattern.text))
    return frozenset(found)


def _implied(conditions: frozenset[_Condition]) -> frozenset[_Condition]:
    """With what follows from them: a value that is equal to something is there."""
    return conditions | {(place, name, "present", "") for place, name, kind, _ in conditions if kind != "absent"}


def _hosts_over(host: str) -> Iterator[str]:
    """The host patterns that fit whatever this one fits."""
    if host:
        yield host
        if not host.startswith("["):
            labels = host.removeprefix("*.").split(".")
            for cut in range(1, len(labels)):
                yield "*." + ".".join(labels[cut:])
    yield ""


def _groups_over(node: _Node, shape: Shape, depth: int = 0) -> Iterator[_Group]:
    """The groups below ``node`` whose pattern fits whatever ``shape`` fits."""
    yield node.open
    if depth == len(shape.segments):
        if not shape.is_open:
            yield node.whole
        return
    segment = shape.segments[depth]
    if segment is not None and segment in node.literals:
        yield from _groups_over(node.literals[segment], shape, depth + 1)
    if segment != b"" and node.capture is not None:
        yield from _groups_over(node.capture, shape, depth + 1)


def _groups_at(site: _Site, shape: Shape) -> Iterator[_Group]:
    if shape.regex:
        yield site.root.open
        if shape.regex in site.regexes:
            yield site.regexes[shape.regex][1]
        return
    yield from _groups_over(site.root, shape)
    if not shape.is_open and None not in shape.segments:
        path = b"".join(b"/" + segment for segment in shape.segments if segment is not None)
        for regex, group in site.regexes.values():
            if regex.search(path) is not None:
                yield group


def _takers(group: _Group, conditions: frozenset[_Condition]) -> Iterable[_Taker]:
    """Those that ask for no more than these conditions."""
    if 2 ** len(conditions) > len(group):
        return chain.from_iterable(takers for asked, takers in group.items() if asked <= conditions)
    subsets = chain.from_iterable(combinations(conditions, size) for size in range(len(conditions) + 1))
    return chain.from_iterable(group.get(frozenset(subset), ()) for subset in subsets)


def _taken_by(takers: Iterable[_Taker], route: int, methods: frozenset[str] | None) -> int | None:
    """The first of the takers when together they take all of the methods, else None."""
    first = None
    left = methods
    for taker in takers:
        if taker.route == route:
            continue
        if taker.methods is None:
            return taker.route if first is None else first
        if left is not None and left & taker.methods:
            first = taker.route if first is None else first
            left -= taker.methods
            if not left:
                return first
    return None


def _insert(site: _Site, shape: Shape, conditions: frozenset[_Condition], taker: _Taker) -> None:
    if shape.regex:
        group = site.regexes.setdefault(shape.regex, (compile_regex(shape.regex), {}))[1]
    else:
        node = site.root
        for segment in shape.segments:
            if segment is None:
                node.capture = node.capture or _Node()
                node = node.capture
            else:
                node = node.literals.setdefault(segment, _Node())
        group = node.open if shape.is_open else node.whole
    group.setdefault(conditions, []).append(taker)


def unreachable(routes: Sequence[RouteSpec]) -> list[tuple[RouteSpec, RouteSpec]]:
    """The routes that can never match, each with one that is in its way, in the order given.

    Raises ValueError, naming the route, for a host, path, regex or value that is none.
    """
    sites: dict[str, _Site] = {}
    blockers: dict[int, int] = {}
    alive: set[int] = set()
    for place in ranked(routes):
        spec = routes[place.route]
        conditions = _conditions(spec)
        implied = _implied(conditions)
        methods = methods_of(spec)
        over = (sites[host] for host in _hosts_over(place.host) if host in sites)
        takers = chain.from_iterable(_takers(g, implied) for site in over for g in _groups_at(site, place.shape))
        blocker = _taken_by(takers, place.route, methods)
        if blocker is not None:
            blockers.setdefault(place.route, blocker)
            continue  # what this place would take from others, those that take it all from this one take as well
        alive.add(place.route)
        _insert(sites.setdefault(place.host, _Site()), place.shape, conditions, _Taker(place.route, methods))
    return [(spec, routes[blockers[i]]) for i, spec in enumerate(routes) if i in blockers and i not in alive]
