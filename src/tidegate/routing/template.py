"""Templates of paths and Locations: read into parts, and refused where what a client sends could turn them around.

Plain Python, for `tidegate check` as well as for ``rewrite``, so that what is checked is what is built.
"""

import re
from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import NamedTuple

from tidegate.routing.regex import compile_regex, named_groups
from tidegate.routing.spec import shape_of

__all__ = ["Kind", "Part", "capture_names", "location_parts", "path_parts", "plain_path", "replacement_parts"]

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_REFERENCE = re.compile(r"\\(.?)", re.DOTALL)
# What a URI consists of (RFC 3986, 2), and "%".
_URI_TEXT = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:@/?#%\[\]-]*")
# Scheme and authority up to what ends them: nothing that a client chooses may reach into them but a host that is one.
_ABSOLUTE = re.compile(r"(?:https?|\{scheme\})://(?:\{host\}|[A-Za-z0-9._~:\[\]-])+(?=\Z|[/?#]|\{path\}|\{query\})")
_RELATIVE = re.compile(r"/(?!/)|\{path\}")


class Kind(IntEnum):
    """What a part is; the numbers are those of ``PieceKind`` in rewrite.pxd."""

    LITERAL = 0
    CAPTURE = 1
    GROUP = 2
    SCHEME = 3
    HOST = 4
    PATH = 5
    QUERY = 6


_VARIABLES = {"scheme": Kind.SCHEME, "host": Kind.HOST, "path": Kind.PATH, "query": Kind.QUERY}


class Part(NamedTuple):
    """A literal, or what is put in: the capture or group with this number, or what the kind says."""

    kind: Kind
    text: str = ""
    number: int = 0


def capture_names(path: str) -> tuple[str, ...]:
    """The names that a route's path captures, in the order of the router's ``Captures``."""
    shape = shape_of(path)
    return named_groups(compile_regex(shape.regex))[0] if shape.regex else shape.captures


def _parts(text: str, captures: Sequence[str], variables: Mapping[str, Kind]) -> list[Part]:
    parts = []
    at = 0
    for found in _PLACEHOLDER.finditer(text):
        parts.append(Part(Kind.LITERAL, text[at : found.start()]))
        at = found.end()
        name = found[1]
        if name in variables:
            parts.append(Part(variables[name]))
        elif name in captures:
            parts.append(Part(Kind.CAPTURE, number=captures.index(name)))
        else:
            known = ", ".join(f"{{{name}}}" for name in (*variables, *captures)) or "none: the route captures nothing"
            raise ValueError(f'"{found[0]}" in "{text}" is not known here; there is {known}')
    parts.append(Part(Kind.LITERAL, text[at:]))
    for part in parts:
        if _URI_TEXT.fullmatch(part.text) is None:
            raise ValueError(f'"{part.text}" in "{text}" has what no URI has; write it percent-encoded ("%20")')
    return [part for part in parts if part.kind != Kind.LITERAL or part.text]


def plain_path(option: str, text: str) -> str:
    """The text without a final slash when it may stand in a path; ``option`` is for the message."""
    if not text.startswith("/"):
        raise ValueError(f'`{option}` begins with "/", got "{text}"')
    if "?" in text or "#" in text:
        raise ValueError(f'`{option}` is a path without "?" and "#"; the query stays as it is; got "{text}"')
    if "%2e" in text.lower():
        raise ValueError(f'"%2E" is "." in a canonical path; write that in `{option}`, got "{text}"')
    return text.rstrip("/")


def path_parts(text: str, captures: Sequence[str]) -> list[Part]:
    """The parts of a whole path with ``{name}`` and ``{*}`` in it."""
    plain_path("path", text)
    return _parts(text, captures, {})


def location_parts(text: str, captures: Sequence[str]) -> list[Part]:
    """The parts of a redirect's target; ValueError also when a client could lead it to another host."""
    clash = sorted(set(captures) & set(_VARIABLES))
    if clash:
        raise ValueError(f'the capture "{clash[0]}" has the name of something that can be put in anyway; rename it')
    parts = _parts(text, captures, _VARIABLES)
    if not is_relative(text) and _ABSOLUTE.match(text) is None:
        raise ValueError(
            f'a redirect goes to a path ("/…") or a URL ("https://host/…"); only {{scheme}} and {{host}} of a request '
            f'come before its path, which begins with "/" or {{path}}; got "{text}"'
        )
    return parts


def is_relative(text: str) -> bool:
    """Whether a target has no scheme and authority of its own."""
    return _RELATIVE.match(text) is not None


def replacement_parts(text: str, groups: int) -> list[Part]:
    r"""The parts of what replaces a regex with so many groups: ``\1`` to ``\9``, and ``\\`` for a backslash."""
    parts = []
    at = 0
    for found in _REFERENCE.finditer(text):
        parts.append(Part(Kind.LITERAL, text[at : found.start()]))
        at = found.end()
        if found[1] == "\\":
            parts.append(Part(Kind.LITERAL, "\\"))
        elif found[1] and found[1] in "123456789"[:groups]:
            parts.append(Part(Kind.GROUP, number=int(found[1])))
        else:
            known = ("none", "only \\1")[groups] if groups < 2 else f"\\1 to \\{groups}"
            raise ValueError(f'"{found[0]}" in "{text}" is no group of the regex, which has {known}')
    parts.append(Part(Kind.LITERAL, text[at:]))
    if "%2e" in text.lower():
        raise ValueError(f'"%2E" is "." in a canonical path; write that in `replace`, got "{text}"')
    return [part for part in parts if part.kind != Kind.LITERAL or part.text]
