"""How an entry of the store is written down, and what is told of the store.

An entry is one record in LMDB: a head, what the cache wants to know of the value (opaque here), and the value. A value
of more than ``SMALL_MAX`` bytes is a file, and the record names it.

Times are seconds of CLOCK_BOOTTIME, as `boot_s` gives them: the same in all processes, never stepped, and running on
while the machine sleeps, so that no step of the wall clock makes an entry immortal. They mean nothing after a reboot,
and neither does a store on tmpfs; one that lies on a disk knows the boot it was made in, and is begun anew.
"""

from __future__ import annotations

import struct
import time
from functools import partial
from hashlib import blake2b
from typing import Final, NamedTuple

import msgspec

__all__ = [
    "META_MAX",
    "SMALL_MAX",
    "Buffer",
    "Entry",
    "Head",
    "StoreStatistics",
    "boot_s",
    "entry_of",
    "pack",
    "record_size",
    "stored_key",
    "unpack",
]

Buffer = bytes | bytearray | memoryview

SMALL_MAX = 64 * 1024
"""Bytes of a value that is kept in LMDB at most; a larger one is a file of its own."""

META_MAX = 16 * 1024
"""Bytes of what the cache wants to know of a value, at most."""

_KEY_MAX = 480  # LMDB takes 511
_DIGEST = 0xFF  # what a key that is written as its digest begins with; no other does
_HEAD = struct.Struct("<IIQQdd")
_HEAD_SIZE = _HEAD.size
_unpack_head = _HEAD.unpack_from


boot_s: Final = partial(time.clock_gettime, time.CLOCK_BOOTTIME)
"""Seconds since the machine was started, sleep included: the clock of the store."""


class Entry(msgspec.Struct, frozen=True, gc=False):
    """What the store has of a key.

    ``value`` is a memoryview only of a large value: of its file, which stays mapped as long as that is referenced,
    whatever becomes of the entry. Times are seconds as of `boot_s`.
    """

    value: bytes | memoryview
    meta: bytes
    stored_s: float
    expires_s: float


class Head(NamedTuple):
    """What a record begins with. ``cell``: of its use; ``file``: 0, or the number of the file with the value."""

    cell: int
    meta_size: int
    value_size: int
    file: int
    stored_s: float
    expires_s: float


class StoreStatistics(NamedTuple):
    """The store as a process sees it; the first row is the machine's, the others count what this process did."""

    entries: int
    bytes: int  # that count towards the bound: keys, values and what it takes to find them
    small: int
    large: int
    large_bytes: int
    evictions: int
    expirations: int

    stored: int
    deleted: int
    full: int  # could not be stored: no room in the file system, or all of it held by a reader that stands still
    turned_away: int  # not even tried: the writer was stuck, or too much waited for it
    writer_waits: int  # times that the writer became stuck
    rebuilt: int  # times that a damaged store was begun anew
    broken: int  # records that could not be read
    waiting: int  # writes that wait now
    is_full: bool
    is_stuck: bool
    is_away: bool  # another generation became valid, and is being opened: nothing is read until then


def stored_key(key: bytes) -> bytes:
    """The key as it is written: itself, or a digest where LMDB would refuse it or could take it for one."""
    if 0 < len(key) <= _KEY_MAX and key[0] != _DIGEST:
        return key
    return b"\xff" + blake2b(key).digest()


def pack(head: Head, meta: bytes, value: Buffer = b"") -> bytes:
    """The record of an entry; without ``value`` for one that is a file."""
    return b"".join((_HEAD.pack(*head), meta, value))


def record_size(meta: bytes, value_size: int) -> int:
    """Bytes of the record that `pack` makes."""
    return _HEAD.size + len(meta) + value_size


def unpack(record: bytes | memoryview) -> Head:
    """The head of a record, checked against its length.

    Raises:
        ValueError: It is none.
    """
    if len(record) < _HEAD.size:
        raise ValueError(f"a record has at least {_HEAD.size} bytes, not {len(record)}")
    head = Head(*_HEAD.unpack_from(record))
    if len(record) != _HEAD.size + head.meta_size + (0 if head.file else head.value_size):
        raise ValueError(f"a record of {len(record)} bytes says that it has {head.meta_size} and {head.value_size}")
    return head


def entry_of(record: bytes) -> tuple[int, int, int, Entry]:
    """What a reader wants of a record: its cell, its file and that one's size, and the entry, with no value of a file.

    In one go, and with no `Head`: this is on the way of each read, and that alone would be a third of it.

    Raises:
        ValueError, struct.error: It is none.
    """
    cell, meta_size, size, file, stored_s, expires_s = _unpack_head(record)
    at = _HEAD_SIZE + meta_size
    if len(record) != (at if file else at + size):
        raise ValueError(f"a record of {len(record)} bytes says that it has {meta_size} and {size}")
    return cell, file, size, Entry(record[at:], record[_HEAD_SIZE:at], stored_s, expires_s)
