"""How a route says which requests it wants: hosts, paths and values of fields, read into their parts.

Path: ``/a`` exact; ``/a/*`` prefix: ``/a/`` and everything below it, and ``/a`` itself (so that a guard on
``/admin/*`` has no hole at ``/admin``); ``/users/{id}`` template, a capture being one whole segment and not empty, and
``/users/{id}/*`` a template with a rest; ``~^/x/[0-9]+$`` regex, searched for, so anchors are the author's.

Value: text is equal to it; ``~regex`` is searched for; true is present with any value; false is absent.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

__all__ = ["PathPattern", "ValuePattern", "parse_host", "parse_path", "parse_value"]

_CAPTURE = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]{0,63})\}")
_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")
_ORDINARY = re.compile(r"[A-Za-z0-9_~-][A-Za-z0-9._~-]*")
_PLAIN = re.compile(rf"(?:/{_ORDINARY.pattern})+(/\*)?")
# What canonical paths consist of: unreserved, sub-delims, ":" and "@", or a percent-encoding.
_SEGMENT = re.compile(r"(?:[A-Za-z0-9._~!$&'()+,;=:@-]|%[0-9A-F]{2})*")


@dataclass(frozen=True, slots=True)
class PathPattern:
    """A path pattern in parts.

    ``text`` is the exact path, the prefix with its final slash, or the regex without its ``~``. A template has
    ``segments`` (in order: a literal, or None for a capture) and ``captures``; ``has_rest`` says whether it ends in
    ``/*``.
    """

    kind: Literal["exact", "prefix", "template", "regex"]
    text: str
    segments: tuple[str | None, ...] = ()
    captures: tuple[str, ...] = ()
    has_rest: bool = False


@dataclass(frozen=True, slots=True)
class ValuePattern:
    """What a header or query parameter has to be; ``text`` is the value or the regex."""

    kind: Literal["equal", "regex", "present", "absent"]
    text: str = ""


@lru_cache(maxsize=1024)
def parse_host(text: str) -> str:
    """The host pattern in lower case, without a final dot; ValueError when it is no host, nor ``*.`` and a host."""
    name = text.lower().removesuffix(".")
    if name.startswith("[") and name.endswith("]"):
        import ipaddress

        return f"[{ipaddress.IPv6Address(name[1:-1])}]"
    rest = name.removeprefix("*.")
    if ":" in name:
        raise ValueError(f'a host is written without a port, got "{text}"')
    if "*" in rest:
        raise ValueError(f'a wildcard stands for the first labels only, such as "*.example.com", got "{text}"')
    if not rest or len(rest) > 253 or not all(_LABEL.fullmatch(label) for label in rest.split(".")):
        raise ValueError(f'expected a host such as "api.example.com" or "*.example.com", got "{text}"')
    return name


def parse_path(text: str) -> PathPattern:
    """The parts of a path pattern; ValueError says what is wrong with it. A regex is not compiled here."""
    if (plain := _PLAIN.fullmatch(text)) is not None:  # most are, and there may be thousands of them
        return PathPattern("exact", text) if plain[1] is None else PathPattern("prefix", text[:-1])
    if text.startswith("~"):
        if len(text) == 1:
            raise ValueError('a regex follows the "~", such as "~^/x/[0-9]+$"')
        return PathPattern("regex", text[1:])
    if not text.startswith("/"):
        raise ValueError(f'a path begins with "/" (or with "~" when it is a regex), got "{text}"')
    body, has_rest = (text[:-1], True) if text.endswith("/*") else (text, False)
    if "*" in body:
        raise ValueError('"*" stands only at the end of a path, after a "/"; use a capture "{name}" or a regex')
    parts = body.split("/")[1:]
    segments: list[str | None] = []
    captures: list[str] = []
    for index, part in enumerate(parts):
        capture = _CAPTURE.fullmatch(part)
        if capture is not None:
            segments.append(None)
            captures.append(capture[1])
        elif "{" in part or "}" in part:
            raise ValueError(f'a capture is one whole segment, such as "/users/{{id}}", got "{part}"')
        else:
            _check_segment(part, is_last=index == len(parts) - 1)
            segments.append(part)
    if len(set(captures)) != len(captures):
        raise ValueError("two captures have the same name")
    if captures:
        if has_rest:
            segments.pop()  # the empty one after the last slash
        return PathPattern("template", body, tuple(segments), tuple(captures), has_rest)
    return PathPattern("prefix" if has_rest else "exact", body)


def _check_segment(part: str, *, is_last: bool) -> None:
    if _ORDINARY.fullmatch(part) is not None:
        return
    if part in (".", "..") or (part == "" and not is_last):
        raise ValueError("paths are compared in canonical form, which has no empty segment and no dot segment")
    if "?" in part or "#" in part:
        raise ValueError('a path has no "?" or "#"; the query is matched by `query`')
    if _SEGMENT.fullmatch(part) is None:
        raise ValueError(
            f'"{part}" has characters that a canonical path never has; write them percent-encoded with capitals ("%20")'
        )
    for code in re.findall(r"%([0-9A-F]{2})", part):
        if (chr(int(code, 16)).isalnum() and int(code, 16) < 128) or chr(int(code, 16)) in "-._~":
            raise ValueError(f'"%{code}" is "{chr(int(code, 16))}" in a canonical path')


def parse_value(value: str | bool) -> ValuePattern:
    """The parts of a header or query matcher."""
    if value is True:
        return ValuePattern("present")
    if value is False:
        return ValuePattern("absent")
    if value.startswith("~"):
        if len(value) == 1:
            raise ValueError('a regex follows the "~", such as "~^gold"')
        return ValuePattern("regex", value[1:])
    return ValuePattern("equal", value)
