"""A request that somebody describes, by method, URL and fields: for tools that say what becomes of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tidegate.wire.view import path_canonical

__all__ = ["Described"]


@dataclass(frozen=True, slots=True)
class Described:
    """The request; ValueError when ``url`` is none.

    ``fields`` are all of them, with the Host that the URL names unless one is given; ``head`` is what would be sent.
    """

    method: str
    url: str
    fields: tuple[tuple[str, str], ...] = ()
    host: str = field(init=False)
    path: str = field(init=False)
    query: str = field(init=False)
    head: bytes = field(init=False)

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if not parts.netloc or parts.scheme not in ("http", "https"):
            raise ValueError(f'expected a URL such as "http://api.example.com/orders?id=1", got "{self.url}"')
        self._put("host", parts.netloc)
        self._put("path", parts.path or "/")
        self._put("query", parts.query)
        if not any(name.lower() == "host" for name, _ in self.fields):
            self._put("fields", (("Host", parts.netloc), *self.fields))
        target = f"{self.path}?{self.query}" if self.query else self.path
        self._put("head", _joined(f"{self.method} {target} HTTP/1.1", self.fields))

    def _put(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    def canonical_path(self) -> str:
        """What is routed and what keys are made of; ``wire.view.PathRefusalError`` when it is refused."""
        return path_canonical(self.path.encode("latin-1")).decode("latin-1")


def _joined(line: str, fields: Iterable[tuple[str, str]]) -> bytes:
    try:
        return "\r\n".join([line, *(f"{name}: {value}" for name, value in fields), "", ""]).encode("latin-1")
    except UnicodeEncodeError as error:
        raise ValueError(f"a request head is text in Latin-1: {error}") from error
