"""What routes do, and whether they can match at all."""

import re
from collections.abc import Callable, Iterable

from tidegate.config.declarations import walk
from tidegate.config.findings import Path
from tidegate.config.kinds import Match
from tidegate.config.patterns import parse_value
from tidegate.config.rules.fields import GATEWAYS_OWN, same_field
from tidegate.config.rules.subject import Subject
from tidegate.config.schema import Rewrite, Route
from tidegate.routing.reachable import unreachable
from tidegate.routing.regex import compile_regex
from tidegate.routing.spec import CAPTURES_MAX, RouteSpec, Shape, shape_of
from tidegate.routing.template import capture_names, location_parts, path_parts, replacement_parts

__all__ = ["check_routes"]

_HOLE = re.compile(r"\{([^{}]*)\}")
_GIVEN = {"scheme", "host", "path", "query"}
# What RE2 leaves out, because no linear-time engine can have it, by how it is written.
_CONSTRUCTS = {
    "(?=": "look-ahead",
    "(?!": "look-ahead",
    "(?<=": "look-behind",
    "(?<!": "look-behind",
    "(?>": "an atomic group",
    "(?(": "a condition",
}


def check_routes(subject: Subject) -> None:
    """Routes are told apart, do one thing each, and can match."""
    routes = subject.gateway.routes
    if not (subject.source.tree or {}).get("routes"):
        subject.warn(("routes",), "there is no route: every request will get 404")
    firsts: dict[str, int] = {}
    lost = {path[1] for path in subject.shaped.lost if path[0] == "routes" and len(path) > 1}
    usable: list[tuple[int, Shape]] = []
    for index, route in enumerate(routes):
        path: Path = ("routes", index)
        first = firsts.setdefault(route.name, index)
        if first != index:
            line = subject.line(("routes", first, "name"))
            subject.find((*path, "name"), f'"{route.name}" is the name of another route, in line {line}')
        _check_purpose(subject, path, route)
        _check_fields(subject, path, route)
        shape = _check_patterns(subject, path, route)
        if shape is not None:
            if subject.shaped.original(path)[1] not in lost:  # otherwise it is not what the author meant
                usable.append((index, shape))
            _check_templates(subject, path, route)
    _check_reachable(subject, usable)


def _check_purpose(subject: Subject, path: Path, route: Route) -> None:
    said = [name for name in ("upstream", "redirect", "respond") if subject.says((*path, name))]
    if not said:
        subject.find(path, f'route "{route.name}" leads nowhere: it needs one of `upstream`, `redirect` and `respond`')
    elif len(said) > 1:
        subject.find(
            (*path, said[1]), f"a route has one of `upstream`, `redirect` and `respond`, not {' and '.join(said)}"
        )
    elif said[0] != "upstream":
        for option in ("rewrite", "request_headers", "preserve_host", "upgrade", "upgrade_idle_timeout", "path_form"):
            if subject.says((*path, option)):
                subject.find((*path, option), f"has no effect: nothing is sent on, because the route has `{said[0]}`")
    if route.rewrite is not None:
        _check_rewrite(subject, (*path, "rewrite"), route.rewrite)


def _check_rewrite(subject: Subject, path: Path, rewrite: Rewrite) -> None:
    parts = [name for name in ("strip_prefix", "regex", "prefix") if getattr(rewrite, name) is not None]
    if rewrite.path is not None and parts:
        subject.find((*path, "path"), f"replaces the whole path, so `{parts[0]}` would have no effect")
    elif rewrite.path is None and not parts and not any(subject.says((*path, name)) for name in ("path", *_CHANGES)):
        subject.find(path, "changes nothing: it needs `strip_prefix`, `regex`, `prefix` or `path`")
    if rewrite.regex is None and subject.says((*path, "replace")) and not subject.says((*path, "regex")):
        subject.find((*path, "replace"), "has no effect without `regex`")


_CHANGES = ("strip_prefix", "regex", "prefix")


def _check_fields(subject: Subject, path: Path, route: Route) -> None:
    _check_once(subject, (*path, "headers"), route.headers)
    for option in ("request_headers", "response_headers"):
        change = getattr(route, option)
        if change is None:
            continue
        for part in ("remove", "set", "add"):
            names = getattr(change, part)
            _check_once(subject, (*path, option, part), names)
            for index, name in enumerate(names):
                if same_field(name) in GATEWAYS_OWN:
                    place = (*path, option, part, index if part == "remove" else name)
                    subject.find(place, f"{name} is the gateway's own, for each of its connections")
    if route.respond is not None:
        _check_once(subject, (*path, "respond", "headers"), route.respond.headers)
        for name in route.respond.headers:
            if same_field(name) in GATEWAYS_OWN:
                subject.find((*path, "respond", "headers", name), f"{name} is set by the gateway")
        if route.respond.body and route.respond.status in (204, 205, 304):
            subject.find((*path, "respond", "body"), f"an answer with status {route.respond.status} has no body")


def _check_once(subject: Subject, path: Path, names: Iterable[str]) -> None:
    """Names of fields are compared without case, so a table may have one twice without TOML noticing."""
    seen: dict[str, str] = {}
    for index, name in enumerate(names):
        first = seen.setdefault(same_field(name), name)
        if first != name:
            subject.find((*path, index if path[-1] == "remove" else name), f"{name} and {first} are the same field")


def _check_patterns(subject: Subject, path: Path, route: Route) -> Shape | None:
    """The shape of the path, if the router takes it and all regexes of the route."""
    regexes: list[tuple[Path, str]] = []
    try:
        shape = shape_of(route.path)
    except ValueError as error:
        subject.find((*path, "path"), str(error))
        return None
    if shape.regex:
        regexes.append(((*path, "path"), shape.regex))
    for where, _, value in walk(route, Match, path) if route.headers or route.query else ():
        condition = parse_value(value)
        if condition.kind == "regex":
            regexes.append((where, condition.text))
    good = [_check_regex(subject, where, text) for where, text in regexes]
    if shape.regex and good[0] and len(capture_names(route.path)) > CAPTURES_MAX:
        subject.find((*path, "path"), f"a regex has at most {CAPTURES_MAX} named groups")
        return None
    if route.rewrite is not None and route.rewrite.regex is not None:
        text = route.rewrite.regex
        if _check_regex(subject, (*path, "rewrite", "regex"), text):
            groups = compile_regex(text).groups
            _check_parts(subject, (*path, "rewrite", "replace"), replacement_parts, route.rewrite.replace, groups)
    return shape if all(good) else None


def _check_regex(subject: Subject, path: Path, text: str) -> bool:
    try:
        compile_regex(text)
    except ValueError as error:
        reason = str(error).removeprefix(f'RE2 does not take the regex "{text}": ')
        subject.find(path, f'"{text}" is not a regex of RE2, which runs in linear time: {_construct(text, reason)}')
        return False
    return True


def _construct(text: str, reason: str) -> str:
    written = reason.rpartition(": ")[2]
    for spelling, name in _CONSTRUCTS.items():
        if "perl operator" in reason and spelling in text and spelling.startswith(written[:3]):
            return f'it has no {name.removeprefix("an ").removeprefix("a ")} "{spelling}"'
    if re.fullmatch(r"\\[1-9]", written):
        return f'it has no back-reference "{written}"'
    if written in ("++", "*+", "?+"):
        return f'it has no possessive repetition "{written}"'
    return reason


def _check_templates(subject: Subject, path: Path, route: Route) -> None:
    if route.rewrite is None and route.redirect is None:
        return
    known = capture_names(route.path)
    if route.rewrite is not None and route.rewrite.path is not None:
        where: Path = (*path, "rewrite", "path")
        if _check_holes(subject, where, route.rewrite.path, set(known)):
            _check_parts(subject, where, path_parts, route.rewrite.path, known)
    if route.redirect is not None:
        where = (*path, "redirect", "to")
        if _check_holes(subject, where, route.redirect.to, {*known, *_GIVEN}):
            _check_parts(subject, where, location_parts, route.redirect.to, known)


def _check_parts(subject: Subject, path: Path, read: Callable[..., object], *arguments: object) -> None:
    """Finds what ``read`` refuses: what is checked is what a worker builds."""
    try:
        read(*arguments)
    except ValueError as error:
        subject.find(path, str(error))


def _check_holes(subject: Subject, path: Path, template: str, known: set[str]) -> bool:
    unknown = [name for name in _HOLE.findall(template) if name not in known]
    for name in unknown:
        subject.unknown(path, "capture of the route's path", name, sorted(known))
    is_open = re.search(r"[{}]", _HOLE.sub("", template)) is not None
    if is_open:
        subject.find(path, "has a brace that is never closed or never opened")
    return not unknown and not is_open


def _check_reachable(subject: Subject, usable: list[tuple[int, Shape]]) -> None:
    specs = []
    for index, shape in usable:
        route = subject.gateway.routes[index]
        specs.append(
            RouteSpec(
                name=route.name,
                hosts=route.hosts,
                path=route.path,
                methods=route.methods,
                headers=route.headers,
                query=route.query,
                priority=route.priority,
                order=index,
                shape=shape,
            )
        )
    for hidden, other in unreachable(specs):
        line = subject.line(("routes", other.order))
        subject.find(
            ("routes", hidden.order),
            f'route "{hidden.name}" can never match: "{other.name}" in line {line} takes every request before it',
        )
