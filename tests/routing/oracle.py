"""The documented order as a scan over a list: what the compiled router is compared with.

Written from the manual and not from the router: patterns become regexes of the standard library, and each request is
tried against every route.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from tidegate.routing.spec import RouteSpec


class Request(NamedTuple):
    method: str = "GET"
    host: str = "a.test"
    path: str = "/"
    headers: tuple[tuple[str, str], ...] = ()
    query: tuple[tuple[str, str], ...] = ()


def _fitting_host(spec: RouteSpec, host: str) -> tuple[int, int] | None:
    """The best rank of the hosts that fit, None when none does."""
    host = re.sub(r":\d*$", "", host).lower().removesuffix(".")
    ranks = [(2, 0)] if not spec.hosts else []
    for pattern in spec.hosts:
        if pattern.startswith("*."):
            if re.fullmatch(r".+" + re.escape(pattern[1:].lower()), host):
                ranks.append((1, -pattern.count(".")))
        elif pattern.lower() == host:
            ranks.append((0, 0))
    return min(ranks, default=None)


def path_regex(pattern: str) -> str:
    if pattern.startswith("~"):
        return "(?s:.*?)" + pattern[1:].replace("^", r"\A").replace("$", r"\Z") + "(?s:.*)"
    if pattern == "/*":
        return "(?:/(?P<rest>.*))?.*"
    text = re.escape(pattern).replace(r"\{", "{").replace(r"\}", "}")
    text = re.sub(r"/\\\*$", "(?:/(?P<rest>.*))?", text)
    return re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", text)


def _path_rank(pattern: str) -> tuple[object, ...]:
    if pattern.startswith("~"):
        return (3,)
    if pattern == "/*":
        return (4,)
    shape = ["{" in segment for segment in pattern.removesuffix("/*").split("/")[1:]]
    if pattern.endswith("/*"):
        return (2, -len(shape), shape)
    return (1, shape) if any(shape) else (0,)


def _value_fits(values: list[str], wanted: str | bool) -> bool:
    if isinstance(wanted, bool):
        return bool(values) is wanted
    if wanted.startswith("~"):
        return any(re.search(wanted[1:], value) for value in values)
    return wanted in values


def _others_fit(spec: RouteSpec, request: Request) -> bool:
    def same(name: str) -> str:
        return name.lower().replace("_", "-")

    return all(
        _value_fits([v for k, v in request.headers if same(k) == same(name)], wanted)
        for name, wanted in spec.headers.items()
    ) and all(_value_fits([v for k, v in request.query if k == name], wanted) for name, wanted in spec.query.items())


def _method_fits(spec: RouteSpec, method: str) -> bool:
    return not spec.methods or method in spec.methods or (method == "HEAD" and "GET" in spec.methods)


def rank(spec: RouteSpec, index: int, host: str) -> tuple[object, ...] | None:
    host_rank = _fitting_host(spec, host)
    if host_rank is None:
        return None
    matchers = (1 if spec.methods else 0) + len(spec.headers) + len(spec.query)
    return (-spec.priority, host_rank, _path_rank(spec.path), -matchers, spec.order, index)


def choose(routes: Sequence[RouteSpec], request: Request) -> tuple[RouteSpec | None, set[str]]:
    """The route that takes the request, or None and the methods that would have fitted."""
    best: tuple[tuple[object, ...], RouteSpec] | None = None
    allowed: set[str] = set()
    for index, spec in enumerate(routes):
        its_rank = rank(spec, index, request.host)
        if its_rank is None or not re.fullmatch(path_regex(spec.path), request.path) or not _others_fit(spec, request):
            continue
        if not _method_fits(spec, request.method):
            allowed |= set(spec.methods) | ({"HEAD"} if "GET" in spec.methods else set())
        elif best is None or its_rank < best[0]:
            best = (its_rank, spec)
    return (None, allowed) if best is None else (best[1], set())


def captures(spec: RouteSpec, path: str) -> dict[str, str]:
    found = re.fullmatch(path_regex(spec.path), path)
    assert found is not None
    return {{"rest": "*"}.get(name, name): value or "" for name, value in found.groupdict().items()}
