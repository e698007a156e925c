"""A snapshot: one validated, immutable configuration with its number, as bytes that any worker can decode.

The bytes are lines of JSON: the frame, in which all but the routes stands; a line for each route, so that ten thousand
of them can be read with others having their turn between; and the text that the operator wrote.
"""

import hashlib
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Literal, Self

import msgspec

from tidegate.config.allotment import Place
from tidegate.config.routes import Route
from tidegate.config.schema import Gateway

__all__ = ["Origin", "Snapshot", "encode", "plain"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a configuration came from, and who brought it."""

    # what it is, and the file that a reload reads, whatever it is ("": there is none)
    kind: Literal["file", "api", "rollback", "last-good"] = "file"
    name: str = ""
    directory: str = ""  # where relative paths begin
    is_yaml: bool = False
    by: str = ""
    at_s: float = 0.0  # since 1970
    # of the text of that file when it was last read, and of the files that the configuration names
    text_digest: str = ""
    files_digest: str = ""
    # where secrets stand in the open in its text
    secrets: tuple[tuple[str | int, ...], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One configuration. Equal configurations have equal etags, however they were written down."""

    number: int
    etag: str
    gateway: Gateway
    source_text: str = ""
    origin: Origin = Origin()
    places: Mapping[str, Place] = field(default_factory=dict)  # of limits, in shared memory

    @classmethod
    def build(
        cls,
        gateway: Gateway,
        *,
        number: int = 1,
        source_text: str = "",
        origin: Origin | None = None,
        places: Mapping[str, Place] | None = None,
    ) -> Self:
        """The snapshot of ``gateway``; ``number`` is higher than any before."""
        digest = hashlib.sha256(encode(gateway)).hexdigest()[:32]
        origin = origin or Origin()
        places = places or {}
        return cls(number=number, etag=digest, gateway=gateway, source_text=source_text, origin=origin, places=places)

    def without_routes(self) -> Self:
        """What is small of it: the routes and the text are most of a large one, and control needs neither."""
        return replace(self, gateway=replace(self.gateway, routes=()), source_text="")

    def encode(self) -> bytes:
        """The snapshot as bytes, for a memfd."""
        lines = [self.without_routes(), *self.gateway.routes, self.source_text]
        return b"\n".join([encode(line) for line in lines])

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """The snapshot in ``data``; msgspec.MsgspecError when it is none."""
        steps = cls.decoding(data)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                snapshot: Self = end.value
                return snapshot

    @classmethod
    def decoding(cls, data: bytes, *, with_text: bool = True) -> Generator[None, None, Self]:
        """The same in steps: a generator that yields after each route and returns the snapshot.

        The text is one large piece, which who serves has no use for: without ``with_text`` it stays "".
        """
        end = data.find(b"\n") if b"\n" in data else len(data)
        frame = msgspec.json.decode(memoryview(data)[:end], type=cls)
        last = data.rfind(b"\n")
        routes: list[Route] = []
        while end < last:
            start, end = end + 1, data.find(b"\n", end + 1)
            routes.append(_route_decoder.decode(data[start:end]))
            yield
        text = msgspec.json.decode(memoryview(data)[last + 1 :], type=str) if with_text else ""
        return replace(frame, gateway=replace(frame.gateway, routes=tuple(routes)), source_text=text)


_route_decoder = msgspec.json.Decoder(Route)


def encode(value: Any) -> bytes:
    """A snapshot, or what holds one, as JSON."""
    return msgspec.json.encode(value, enc_hook=plain, order="deterministic")


def plain(value: Any) -> Any:
    """What msgspec asks for a table that nobody can change."""
    if isinstance(value, MappingProxyType):
        return dict(value)
    raise NotImplementedError(f"{type(value).__name__} has no place in a snapshot")
