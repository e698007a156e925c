"""What requests are made of: flags, the lines of a file, or what a script yields; and the bytes that they become."""

from __future__ import annotations

import itertools
import json
import re
import runpy
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any

from tidegate import __version__

__all__ = ["Request", "from_file", "from_script", "render", "with_keys"]

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_TARGET = re.compile(r"(/[!-~]*|\*)")
_VALUE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*")
_OPTIONS = {"method", "path", "headers", "body", "weight"}
_MOST = 1_000_000


@dataclass(frozen=True, slots=True)
class Request:
    """One request: ``path`` is the target of its request line, query included."""

    method: str = "GET"
    path: str = "/"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


def render(request: Request, host: str, *, is_fresh: bool = False) -> bytes:
    """The bytes of a request.

    Args:
        request: What is asked.
        host: The field Host, unless the request has its own.
        is_fresh: Says that its connection ends with it.

    Raises:
        ValueError: It would not be one request: a line feed in a header, a space in the path.
    """
    if not _TOKEN.fullmatch(request.method):
        raise ValueError(f"{request.method!r} is no method")
    if not _TARGET.fullmatch(request.path):
        raise ValueError(
            f'a path begins with "/" and has neither spaces nor bytes over 126 (percent-encode them): {request.path!r}'
        )
    fields = {"Host": host, "User-Agent": f"tidegate-bench/{__version__}", "Accept": "*/*"}
    if request.body or request.method in ("POST", "PUT", "PATCH"):
        fields["Content-Length"] = str(len(request.body))
    if is_fresh:
        fields["Connection"] = "close"
    return (
        head(f"{request.method} {request.path} HTTP/1.1", {**fields, **_spelt(request.headers, fields)}) + request.body
    )


def head(line: str, fields: Mapping[str, str]) -> bytes:
    """A first line and header fields, with the empty line; ValueError when a field is not one."""
    for name, value in fields.items():
        if not _TOKEN.fullmatch(name) or not _VALUE.fullmatch(value):
            raise ValueError(f"{name!r}: {value!r} is no header field")
    return "".join([line, "\r\n", *(f"{name}: {value}\r\n" for name, value in fields.items()), "\r\n"]).encode(
        "latin-1"
    )


def _spelt(given: Mapping[str, str], known: Mapping[str, str]) -> dict[str, str]:
    """``given`` with the names of ``known`` where they differ in case only: a field is replaced, not sent twice."""
    names = {name.lower(): name for name in known}
    return {names.get(name.lower(), name): value for name, value in given.items()}


def with_keys(request: Request, drawn: Iterator[int]) -> Iterator[Request]:
    """The request with ``{key}`` in path, headers and body replaced, without end."""
    for key in drawn:
        text = str(key)
        yield replace(
            request,
            path=request.path.replace("{key}", text),
            headers={name: value.replace("{key}", text) for name, value in request.headers.items()},
            body=request.body.replace(b"{key}", text.encode()),
        )


def from_file(path: Path) -> list[Request]:
    """The requests of a file, a line each: ``/path``, ``METHOD /path``, or a JSON object.

    An object has any of ``method``, ``path``, ``headers``, ``body`` (a text, or a value that is sent as JSON) and
    ``weight`` (so many times in a row). Empty lines and those that begin with ``#`` are left out.

    Raises:
        OSError: It cannot be read.
        ValueError: A line is none of these; the text has its number.
    """
    found: list[Request] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        try:
            if text.startswith("{"):
                found += _of_mapping(json.loads(text))
            else:
                method, _, target = text.rpartition(" ")
                found.append(Request(method.strip() or "GET", target))
        except ValueError as error:
            raise ValueError(f"{path}, line {number}: {error}") from None
    if not found:
        raise ValueError(f"{path} has no request in it")
    return found


def from_script(path: Path, count: int, random: Random) -> list[Request]:
    """The first ``count`` requests that the function ``requests(random)`` of a Python file yields, or all.

    Each is a ``Request``, a path, or a mapping as in a file of requests. The script runs before the load does.
    """
    function = runpy.run_path(str(path)).get("requests")
    if not callable(function):
        raise ValueError(f"{path} has no function requests(random)")  # noqa: TRY004 - the script is what is wrong
    found: list[Request] = []
    for number, given in enumerate(itertools.islice(_iterated(function(random), path), count), 1):
        try:
            found += _of_anything(given)
        except ValueError as error:
            raise ValueError(f"{path}, request {number}: {error}") from None
    if not found:
        raise ValueError(f"{path} yields no request")
    return found


def _iterated(given: Any, path: Path) -> Iterable[Any]:
    if not isinstance(given, Iterable):
        raise ValueError(f"requests(random) of {path} gives a {type(given).__name__}; it has to yield requests")  # noqa: TRY004
    return given


def _of_anything(given: Any) -> list[Request]:
    if isinstance(given, Request):
        return [given]
    if isinstance(given, str):
        return [Request(path=given)]
    if isinstance(given, Mapping):
        return _of_mapping(given)
    raise ValueError(f"a request is a path, a mapping or a Request, got {given!r}")


def _of_mapping(given: Any) -> list[Request]:
    unknown = set(given) - _OPTIONS
    if unknown:
        raise ValueError(f"{', '.join(sorted(unknown))}: a request has {', '.join(sorted(_OPTIONS))}")
    body = given.get("body", b"")
    headers = {str(name): str(value) for name, value in given.get("headers", {}).items()}
    if isinstance(body, str):
        body = body.encode()
    elif not isinstance(body, bytes):
        body = json.dumps(body).encode()
        headers = {"Content-Type": "application/json", **headers}
    weight = given.get("weight", 1)
    if not isinstance(weight, int) or not 1 <= weight <= _MOST:
        raise ValueError(f"a weight is a whole number from 1 on, got {weight!r}")
    default = "POST" if body else "GET"
    return [Request(given.get("method", default), given.get("path", "/"), headers, body)] * weight
