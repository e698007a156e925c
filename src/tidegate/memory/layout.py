"""Where everything lies in the shared region: a versioned header and a table of named sections.

The header is the first page::

    0     magic "TIDEGATE"
    8     layout version, header size                     u32, u32
    16    size of the region                              u64
    24    worker slots, sections                          u32, u32
    32    workers of one generation                       u32
    64    snapshot number: the switch                     u64, alone in its cache line
    128   secret made at start                            32 bytes
    256   section table: name, offset, size, stride       char[16], u64, u64, u64, 24 spare bytes

There are twice as many worker slots as workers of one generation: while a new one starts and the old one drains, each
has slots of its own, and the next but one finds those of the first empty again.

A section with a stride has one part per worker slot; a section without one is shared by all. Each section starts on a
page of its own. A section of no bytes is room that this gateway has no use for.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

MAGIC = b"TIDEGATE"
LAYOUT_VERSION = 4
HEADER_SIZE = 4096
SNAPSHOT_OFFSET = 64
SECRET_OFFSET = 128
SECRET_SIZE = 32
TABLE_OFFSET = 256
SECTIONS_MAX = 48
SLOTS_MAX = 1024

_PREFIX = struct.Struct("<8sIIQIII")
_ENTRY = struct.Struct("<16sQQQ24x")


@dataclass(frozen=True, slots=True)
class Section:
    """One named part of the region; ``stride`` is the bytes of each worker slot, 0 where all slots share it."""

    name: str
    offset: int
    size: int
    stride: int


@dataclass(frozen=True, slots=True)
class Layout:
    """What the header says."""

    size: int
    slots: int
    workers: int
    sections: dict[str, Section]


def plan(slots: int, parts: list[tuple[str, int, int]], *, workers: int | None = None) -> Layout:
    """Lays out ``parts``: (name, bytes per slot, bytes shared by all), one of the two zero, in the order given.

    ``workers``: how many of the slots one generation fills; all of them unless said otherwise.
    """
    if not 1 <= slots <= SLOTS_MAX:
        raise ValueError(f"a region has 1 to {SLOTS_MAX} worker slots, not {slots}")
    if len(parts) > SECTIONS_MAX:
        raise ValueError(f"a region has at most {SECTIONS_MAX} sections, not {len(parts)}")
    sections: dict[str, Section] = {}
    at = HEADER_SIZE
    for name, stride, shared in parts:
        if not 0 < len(name.encode()) < 16 or name in sections:
            raise ValueError(f"section name {name!r} is empty, longer than 15 bytes or taken")
        if stride % 64:
            raise ValueError(f"section {name!r}: {stride} bytes a slot is no multiple of a cache line")
        size = stride * slots or shared
        sections[name] = Section(name, at, size, stride)
        at = (at + size + 4095) & ~4095
    return Layout(at, slots, workers or slots, sections)


def pack_header(layout: Layout) -> bytes:
    """The first page of a new region; the snapshot number starts at 0: none yet."""
    header = bytearray(HEADER_SIZE)
    counts = (layout.slots, len(layout.sections), layout.workers)
    _PREFIX.pack_into(header, 0, MAGIC, LAYOUT_VERSION, HEADER_SIZE, layout.size, *counts)
    for i, part in enumerate(layout.sections.values()):
        at = TABLE_OFFSET + i * _ENTRY.size
        _ENTRY.pack_into(header, at, part.name.encode(), part.offset, part.size, part.stride)
    return bytes(header)


def parse_header(header: bytes, actual_size: int) -> Layout:
    """Reads a header back and checks every offset in it.

    Raises ``ValueError`` saying what was expected and what was found: a descriptor that is something else, a region of
    another layout version, a table that points outside the region.
    """
    if len(header) < HEADER_SIZE or header[:8] != MAGIC:
        raise ValueError(f"not a Tidegate region: expected it to begin with {MAGIC!r}, found {bytes(header[:8])!r}")
    _, version, header_size, size, slots, count, workers = _PREFIX.unpack_from(header)
    if version != LAYOUT_VERSION:
        raise ValueError(f"the region has layout version {version}, this program reads {LAYOUT_VERSION}")
    if header_size != HEADER_SIZE or size != actual_size:
        raise ValueError(f"the region says it has {size} bytes, its descriptor has {actual_size}")
    if not 1 <= workers <= slots <= SLOTS_MAX or count > SECTIONS_MAX:
        raise ValueError(f"the region's header is damaged: {workers} workers, {slots} slots, {count} sections")
    sections: dict[str, Section] = {}
    for i in range(count):
        raw, offset, length, stride = _ENTRY.unpack_from(header, TABLE_OFFSET + i * _ENTRY.size)
        name = raw.rstrip(b"\0").decode("ascii", "replace")
        inside = offset >= HEADER_SIZE and offset + length <= size and offset % 64 == 0
        if not inside or stride % 64 or stride * slots > length or name in sections:
            raise ValueError(f"the region's header is damaged: section {name!r} at {offset}, {length} bytes")
        sections[name] = Section(name, offset, length, stride)
    return Layout(size, slots, workers, sections)
