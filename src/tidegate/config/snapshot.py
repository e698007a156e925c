"""A snapshot: one validated, immutable configuration with its number, as bytes that any worker can decode."""

import hashlib
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Literal, Self

import msgspec

from tidegate.config.schema import Gateway

__all__ = ["Origin", "Snapshot", "encode"]


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

    @classmethod
    def build(cls, gateway: Gateway, *, number: int = 1, source_text: str = "", origin: Origin | None = None) -> Self:
        """The snapshot of ``gateway``; ``number`` is higher than any before."""
        digest = hashlib.sha256(encode(gateway)).hexdigest()[:32]
        return cls(number=number, etag=digest, gateway=gateway, source_text=source_text, origin=origin or Origin())

    def without_routes(self) -> Self:
        """What is small of it: the routes and the text are most of a large one, and control needs neither."""
        return replace(self, gateway=replace(self.gateway, routes=()), source_text="")

    def encode(self) -> bytes:
        """The snapshot as bytes, for a memfd."""
        return encode(self)

    @classmethod
    def decode(cls, data: bytes | bytearray | memoryview) -> Self:
        """The snapshot in ``data``; msgspec.MsgspecError when it is none."""
        return msgspec.json.decode(data, type=cls)


def encode(value: Any) -> bytes:
    """A snapshot, or what holds one, as JSON."""
    return msgspec.json.encode(value, enc_hook=_plain, order="deterministic")


def _plain(value: Any) -> Any:
    if isinstance(value, MappingProxyType):
        return dict(value)
    raise NotImplementedError(f"{type(value).__name__} has no place in a snapshot")
