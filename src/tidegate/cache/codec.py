"""What values are while they travel: bytes as they are, or JSON of objects."""

from collections.abc import Generator
from typing import Any, Final, Literal, Protocol

import msgspec

from tidegate.cache import json_pieces
from tidegate.process.slices import collector_at_rest, in_slices

__all__ = ["AT_ONCE", "Codec", "codec_named", "decoded"]

AT_ONCE: Final = 256 << 10
"""Bytes that are decoded in one go: a millisecond of JSON."""


class Codec(Protocol):
    """Both ways between a value and its bytes."""

    def encode(self, value: Any) -> bytes:
        """The bytes of a value; TypeError says what is wrong with it."""

    def decode(self, data: bytes) -> Any:
        """The value of bytes; ValueError when they are of another codec."""

    def decoding(self, data: bytes) -> Generator[None, None, Any]:
        """The same in pieces, none of which holds the loop: for ``process.slices.in_slices``."""


def _as_json(value: Any) -> Any:
    """Of an object that JSON does not know and that says itself what it is there."""
    if not hasattr(value, "as_json"):
        raise TypeError(f"{type(value).__name__} is nothing that JSON has, nor has it `as_json`")
    return value.as_json()


_encode: Final = msgspec.json.Encoder(enc_hook=_as_json).encode


class _Bytes:
    def encode(self, value: Any) -> bytes:
        if not isinstance(value, bytes | bytearray | memoryview):
            kind = type(value).__name__
            raise TypeError(f'expected bytes, which is what this cache keeps, got {kind}; objects need codec = "json"')
        return bytes(value)

    def decode(self, data: bytes) -> Any:
        return data

    def decoding(self, data: bytes) -> Generator[None, None, Any]:
        yield
        return data


class _Json:
    def encode(self, value: Any) -> bytes:
        return _encode(value)

    def decode(self, data: bytes) -> Any:
        return msgspec.json.decode(data)

    def decoding(self, data: bytes) -> Generator[None, None, Any]:
        return json_pieces.decoding(data)


async def decoded(codec: Codec, data: bytes) -> Any:
    """The value of bytes, however many: of more than ``AT_ONCE`` with others on the loop between two pieces."""
    if len(data) <= AT_ONCE:
        return codec.decode(data)
    with collector_at_rest():  # or it would look, again and again, at the million objects that are being made
        return await in_slices(codec.decoding(data))


def codec_named(name: Literal["bytes", "json"]) -> Codec:
    """The codec of that name in a configuration."""
    return _Json() if name == "json" else _Bytes()
