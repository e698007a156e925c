"""A snapshot: one validated, immutable configuration with its number, as bytes that any worker can decode."""

import hashlib
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Self

import msgspec

from tidegate.config.schema import Gateway

__all__ = ["Snapshot"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One configuration. Equal configurations have equal etags, however they were written down."""

    number: int
    etag: str
    gateway: Gateway
    source_text: str = ""

    @classmethod
    def build(cls, gateway: Gateway, *, number: int = 1, source_text: str = "") -> Self:
        """The snapshot of ``gateway``; the supervisor chooses ``number``, higher than any before."""
        digest = hashlib.sha256(_encode(gateway)).hexdigest()[:32]
        return cls(number=number, etag=digest, gateway=gateway, source_text=source_text)

    def encode(self) -> bytes:
        """The snapshot as bytes, for a memfd."""
        return _encode(self)

    @classmethod
    def decode(cls, data: bytes | bytearray | memoryview) -> Self:
        """The snapshot in ``data``; msgspec.MsgspecError when it is none."""
        return msgspec.json.decode(data, type=cls)


def _encode(value: Any) -> bytes:
    return msgspec.json.encode(value, enc_hook=_plain, order="deterministic")


def _plain(value: Any) -> Any:
    if isinstance(value, MappingProxyType):
        return dict(value)
    raise NotImplementedError(f"{type(value).__name__} has no place in a snapshot")
