"""The file that quotas outlive a restart in: what changed, second by second, after all there was when it was begun.

    line        the name of the format, and a digest of the secret that fingerprints are keyed with
    batch …     length and CRC-32 of what follows (u32 each, little endian); a `Batch` as MessagePack

It is written whole beside its place, then appended to, and begun anew when it has grown to a few times what it held. A
batch that was cut short by the end of the machine is passed over. One that is damaged is where the file ends: what
stands before it is whole, by its own checksum.
"""

from __future__ import annotations

import hashlib
import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import msgspec

__all__ = ["FILE", "Batch", "QuotaLogError", "Records", "pack_batch", "pack_head", "read_batches"]

FILE = "quotas.log"
BYTES_MAX = 1 << 30
_FORMAT = b"tidegate quotas 1 "
_FRAME = struct.Struct("<II")


class QuotaLogError(ValueError):
    """A file that is no such log, or of another secret, or damaged from here on."""


class Records(msgspec.Struct, frozen=True, array_like=True):
    """Cells of one quota, as `memory.quota_image` has them."""

    name: str
    sets: int
    cells: bytes


class Batch(msgspec.Struct, frozen=True, array_like=True):
    """What had changed at one moment. ``wall_ahead_ms``: of CLOCK_MONOTONIC, which the cells' times are of."""

    unix_ms: int
    wall_ahead_ms: int
    tables: list[Records]


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Batch)


def pack_head(secret: bytes) -> bytes:
    """The first line."""
    return _FORMAT + _digest(secret) + b"\n"


def pack_batch(batch: Batch) -> bytes:
    """A batch with its frame."""
    payload = _encoder.encode(batch)
    return _FRAME.pack(len(payload), zlib.crc32(payload)) + payload


def read_batches(path: Path, secret: bytes) -> Iterator[Batch]:
    """The batches of a file, oldest first; OSError when there is none.

    Raises:
        QuotaLogError: it is no such file, or, after what is whole, damaged.
    """
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(fd, "rb") as file:
        if os.fstat(fd).st_size > BYTES_MAX:
            raise QuotaLogError("it is larger than all quotas together can be")
        line = file.readline(256)
        if not line.startswith(_FORMAT) or not line.endswith(b"\n"):
            raise QuotaLogError("it is no file of quotas, or one of another version")
        if line != pack_head(secret):
            raise QuotaLogError("it was written under another secret")
        while len(frame := file.read(_FRAME.size)) == _FRAME.size:
            length, checksum = _FRAME.unpack(frame)
            payload = file.read(min(length, BYTES_MAX))
            if len(payload) < length:
                return  # the machine ended while it was written
            try:
                if zlib.crc32(payload) != checksum:
                    raise QuotaLogError("a part of it is damaged")
                yield _decoder.decode(payload)
            except msgspec.MsgspecError as error:
                raise QuotaLogError("a part of it makes no sense") from error


def _digest(secret: bytes) -> bytes:
    """Tells secrets apart without giving one away."""
    return hashlib.blake2b(b"quotas", key=secret, digest_size=16).hexdigest().encode()
