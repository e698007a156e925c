"""A value as other processes and machines find it: what is known of it, then the value itself.

    "TGC1"  length of the head (u32)  head (MessagePack)  value

No clock is shared with other machines: how long a value has left is what Redis says of its key, less the *grace* that
it is kept for beyond its time.
"""

import struct
from typing import Final, NamedTuple

import msgspec

__all__ = ["HEAD_MAX", "VALUE_MAX", "Found", "Head", "Ticket", "looks_sealed", "open_envelope", "seal"]

_MAGIC: Final = b"TGC1"
_PREFIX: Final = struct.Struct("<4sI")

HEAD_MAX: Final = 4096
"""A head that is longer is none: so many bytes of a value say how long it is."""


VALUE_MAX: Final = 512 << 20
"""Bytes of a value: what a server takes (``proto-max-bulk-len``). A head that says more is damaged."""


class Head(msgspec.Struct, frozen=True, array_like=True):
    """What is known of a value.

    size, crc: of the value's bytes. grace_ms: what it is kept for after its time. load_ms: how long its fetch took.
    stamps: of ``tags``, when its fetch began. nonce: of this writing of it.
    """

    size: int
    crc: int
    grace_ms: int
    load_ms: int
    is_negative: bool
    tags: tuple[str, ...]
    stamps: tuple[bytes, ...]
    nonce: bytes


class Ticket(NamedTuple):
    """What a look-up found beside the value: under it a later value may be stored.

    changes: how often tags had been invalidated; what tags a value has may be known only when it comes.
    """

    fence: bytes
    stamps: dict[str, bytes]
    changes: bytes


class Found(NamedTuple):
    """A value. ``left_s``: how long it is fresh; less than nothing: how long ago it ended."""

    value: bytes
    left_s: float
    load_s: float
    is_negative: bool
    tags: tuple[str, ...]


def seal(head: Head) -> bytes:
    """What stands before the value. Raises ValueError for a head that nobody would read."""
    body = msgspec.msgpack.encode(head)
    if len(body) + _PREFIX.size > HEAD_MAX:
        raise ValueError(f"tags and what else is known of a value take {len(body)} bytes, {HEAD_MAX} is the bound")
    return _PREFIX.pack(_MAGIC, len(body)) + body


def looks_sealed(data: bytes) -> bool:
    """Whether ``data`` begins as an envelope does: if it is none all the same, it is damaged."""
    return data.startswith(_MAGIC)


def open_envelope(data: bytes) -> tuple[Head, int] | None:
    """The head at the beginning of ``data``, and where the value begins; None when it is no envelope."""
    if len(data) < _PREFIX.size:
        return None
    magic, length = _PREFIX.unpack_from(data)
    end = _PREFIX.size + length
    if magic != _MAGIC or end > min(len(data), HEAD_MAX):
        return None
    try:
        head = msgspec.msgpack.decode(memoryview(data)[_PREFIX.size : end], type=Head)
    except msgspec.MsgspecError:
        return None
    is_one = len(head.tags) == len(head.stamps) and 0 <= head.size <= VALUE_MAX
    return (head, end) if is_one else None
