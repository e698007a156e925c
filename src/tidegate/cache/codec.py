"""What values are while they travel: bytes as they are, or JSON of objects."""

from typing import Any, Literal, Protocol

import msgspec

__all__ = ["Codec", "codec_named"]


class Codec(Protocol):
    """Both ways between a value and its bytes."""

    def encode(self, value: Any) -> bytes:
        """The bytes of a value; TypeError says what is wrong with it."""

    def decode(self, data: bytes) -> Any:
        """The value of bytes; ValueError when they are of another codec."""


class _Bytes:
    def encode(self, value: Any) -> bytes:
        if not isinstance(value, bytes | bytearray | memoryview):
            kind = type(value).__name__
            raise TypeError(f'expected bytes, which is what this cache keeps, got {kind}; objects need codec = "json"')
        return bytes(value)

    def decode(self, data: bytes) -> Any:
        return data


class _Json:
    def encode(self, value: Any) -> bytes:
        return msgspec.json.encode(value)

    def decode(self, data: bytes) -> Any:
        return msgspec.json.decode(data)


def codec_named(name: Literal["bytes", "json"]) -> Codec:
    """The codec of that name in a configuration."""
    return _Json() if name == "json" else _Bytes()
