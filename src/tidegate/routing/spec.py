"""What routes want, and the one order in which they are preferred.

Every route is placed once for each of its hosts. Among the places that fit a request the first in ``ranked`` takes it:

1. the higher ``priority``
2. host: exact, then the wildcard with more labels, then any
3. path: exact; template; prefix, a template with a rest included; regex; any (``/*``)
   - templates: compared segment by segment, a literal before a capture
   - prefixes: the one with more segments, then as templates
4. more matchers: having methods counts one, as does each header and each query parameter
5. the smaller ``order``, then the earlier in the list

A pattern that fits the whole path goes before one that fits its beginning, however long: the order of Spring's
``PathPattern`` and of the Kubernetes Gateway API. A place that fits nothing more than the path never hides a later one:
whoever fails on method, header or query is passed over.
"""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import NamedTuple

from tidegate.config.patterns import parse_host, parse_path

__all__ = ["CAPTURES_MAX", "SEGMENTS_MAX", "Place", "RouteSpec", "Shape", "methods_of", "ranked", "ranking", "shape_of"]

SEGMENTS_MAX = 63  # of a pattern; a look-up keeps a bit and two numbers for each on its stack
CAPTURES_MAX = 16  # of a pattern, ``{*}`` included; as in router.pxd


@dataclass(slots=True, kw_only=True, eq=False)  # not frozen: that would double what it costs to make one
class RouteSpec:
    """Which requests a route wants, spelt as in the configuration, and what it leads to.

    Args:
        name: for messages.
        hosts: exact, or ``*.example.com`` for every name below it; none: any.
        path: see ``tidegate.config.patterns``.
        methods: none: any. GET lets HEAD in as well.
        headers: name to value, ``~regex``, True (there) or False (not there).
        query: parameter to the same.
        priority: the higher goes first.
        target: what a match leads to; opaque here.
        order: place in the configuration, the last tie-break.
        shape: that of ``path``, when it is known already.
    """

    name: str
    hosts: tuple[str, ...] = ()
    path: str = "/*"
    methods: tuple[str, ...] = ()
    headers: Mapping[str, str | bool] = field(default_factory=dict)
    query: Mapping[str, str | bool] = field(default_factory=dict)
    priority: int = 0
    target: object = None
    order: int = 0
    shape: "Shape | None" = None


class Shape(NamedTuple):
    """A path pattern as the router sees it: its segments, or its regex.

    ``segments`` has None for a capture; ``is_open`` says that a rest may follow; ``captures`` are the names in order,
    ``*`` for the rest.
    """

    segments: tuple[bytes | None, ...]
    is_open: bool
    regex: str
    captures: tuple[str, ...]


class Place(NamedTuple):
    """A route at one of its hosts ("" for any, else exact or with ``*.``); ``route`` is its index in the list."""

    route: int
    host: str
    shape: Shape


def shape_of(path: str) -> Shape:
    """The shape of a path pattern; ValueError when it is none or has more parts than a router takes."""
    pattern = parse_path(path)
    if pattern.kind == "regex":
        return Shape((), False, pattern.text, ())
    is_open = pattern.kind == "prefix" or pattern.has_rest
    if pattern.kind == "template":
        texts = pattern.segments
    else:
        texts = tuple(pattern.text.split("/")[1:])
        if is_open:
            texts = texts[:-1]  # the empty one after the last slash
    captures = (*pattern.captures, "*") if is_open else pattern.captures
    if len(texts) > SEGMENTS_MAX:
        raise ValueError(f"a path pattern has at most {SEGMENTS_MAX} segments, this one has {len(texts)}")
    if len(captures) > CAPTURES_MAX:
        raise ValueError(f"a path pattern has at most {CAPTURES_MAX} captures, the rest included")
    segments = tuple(None if text is None else text.encode("ascii") for text in texts)
    return Shape(segments, is_open, "", captures)


def methods_of(spec: RouteSpec) -> frozenset[str] | None:
    """The methods a route lets in, None for any; GET brings HEAD (RFC 9110, 9.1: both are what every server has)."""
    if not spec.methods:
        return None
    return frozenset(spec.methods) | ({"HEAD"} if "GET" in spec.methods else set())


def _host_rank(host: str) -> bytes:
    if not host:
        return b"\2"
    return b"\1" + _descending(host.count(".")) if host.startswith("*.") else b"\0"


def _path_rank(shape: Shape) -> bytes:
    if shape.regex:
        return b"\3"
    if not shape.is_open and None not in shape.segments:
        return b"\0"
    captures = b"".join([b"\2" if segment is None else b"\1" for segment in shape.segments])
    if shape.is_open:
        return b"\2" + _descending(len(captures)) + captures if captures else b"\4"
    return b"\1" + captures + b"\0"  # compared to the end: the one that ends first is the smaller


def _descending(count: int) -> bytes:
    return (0xFFFF - count).to_bytes(2, "big")


def ranking(routes: Sequence[RouteSpec]) -> Generator[None, None, list[Place]]:
    """Every (route, host), best first; ValueError names the route whose host or path is no pattern.

    A generator: it yields after each route, for who has others to give their turn, and returns the places.
    """
    keyed: list[tuple[bytes, Place]] = []
    for index, spec in enumerate(routes):
        try:
            shape = spec.shape or shape_of(spec.path)
            hosts = {parse_host(host): None for host in spec.hosts} or {"": None}
        except ValueError as error:
            raise ValueError(f'route "{spec.name}": {error}') from error
        # One run of bytes for each place: compared by memcmp, so that ten thousand are sorted in some milliseconds.
        first = (_MIDDLE - spec.priority).to_bytes(8, "big")
        matchers = _descending(bool(spec.methods) + len(spec.headers) + len(spec.query))
        last = b"".join((_path_rank(shape), matchers, (_MIDDLE + spec.order).to_bytes(8, "big")))
        keyed += [(first + _host_rank(host) + last, Place(index, host, shape)) for host in hosts]
        yield
    keyed.sort(key=itemgetter(0))  # stable: of equals the earlier in the list
    return [place for _, place in keyed]


def ranked(routes: Sequence[RouteSpec]) -> list[Place]:
    """The same at once."""
    steps = ranking(routes)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            places: list[Place] = end.value
            return places


_MIDDLE = 1 << 62  # what is added to numbers that may be negative
