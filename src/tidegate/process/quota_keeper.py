"""Quotas over a restart: control writes what has changed every second; `quota_restore` takes it up.

Rules:
- Nobody who serves waits for it: a thread of control looks at the tables, where memory has been touched, and compares.
- What is lost is a second at most, where gateway and machine end without a word.
- Times are of a clock that begins with the machine. With each batch stands how far the wall clock was ahead of it, and
  by that a window ends when it was to end. A wall clock that was set meanwhile moves the ends with it, and none lies
  further ahead than a window is long.
- A disk that takes nothing costs what would be kept, is said once, and is tried again.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from mmap import mmap
from pathlib import Path
from typing import NamedTuple

from tidegate.config.allotment import SET_BYTES, Place
from tidegate.config.snapshot import Snapshot
from tidegate.memory.quota_image import changed, image_size
from tidegate.memory.quotas import QuotaTable
from tidegate.memory.region import Region
from tidegate.observe.log_writer import Say
from tidegate.process.quota_log import FILE, Batch, Records, pack_batch, pack_head
from tidegate.process.quota_restore import quota_places
from tidegate.process.whole_file import write_whole

__all__ = ["QuotaKeeper"]

PERIOD_S = 1.0
_CELL_BYTES = 16
_AT_ONCE = 1 << 18  # bytes of a table that are compared without letting go of the interpreter
_ROOMY = 1 << 20
_GROWN = 4


class _Table(NamedTuple):
    """One quota's table as it is, and as it was when it was written last."""

    place: Place
    table: QuotaTable
    image: mmap


class QuotaKeeper:
    """Keeps the quotas of the active configuration.

    Args:
        region: The shared memory.
        directory: The state directory.
        snapshot: Gives the active snapshot.
        say: The error log.
        is_ours: Whether the directory is this gateway's still.
        wall_ms: Milliseconds since 1970.
        now_ms: CLOCK_MONOTONIC in milliseconds.
    """

    def __init__(
        self,
        region: Region,
        directory: Path,
        snapshot: Callable[[], Snapshot],
        say: Say,
        *,
        is_ours: Callable[[], bool] = lambda: True,
        wall_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        now_ms: Callable[[], int] = lambda: time.monotonic_ns() // 1_000_000,
    ) -> None:
        self._region = region
        self._path = directory / FILE
        self._snapshot = snapshot
        self._say = say
        self._is_ours = is_ours
        self._wall_ms = wall_ms
        self._now_ms = now_ms
        self._tables: dict[str, _Table] = {}
        self._fd = -1  # of the file, to append to; -1: it is to be begun anew
        self._size = self._begun_with = 0
        self._has_failed = False
        self._writing = threading.Lock()

    def __repr__(self) -> str:
        return f"<QuotaKeeper {self._path} {len(self._tables)} quotas, {self._size} bytes>"

    async def run(self) -> None:
        """Keeps them until it is cancelled."""
        while True:
            await asyncio.sleep(PERIOD_S)
            await asyncio.to_thread(self.keep)

    def keep(self) -> None:
        """Writes what has changed since the last time. For a thread: it waits for the disk."""
        with self._writing:
            if not self._is_ours():
                return
            try:
                self._keep()
            except OSError as error:
                self._begin_anew()
                if not self._has_failed:
                    message = f"{self._path}: {error.strerror or error}; a restart would begin quotas anew"
                    self._say("quotas_not_kept", message)
                self._has_failed = True
            else:
                self._has_failed = False

    def close(self) -> None:
        """Gives the file up."""
        with self._writing:
            self._begin_anew()

    def _keep(self) -> None:
        self._follow()
        if not self._tables:
            return
        batch = Batch(self._wall_ms(), self._wall_ms() - self._now_ms(), list(self._changed()))
        if self._fd >= 0 and self._size <= _ROOMY + _GROWN * self._begun_with:
            if batch.tables:
                _append(self._fd, packed := pack_batch(batch))
                self._size += len(packed)
            return
        if self._fd >= 0:
            self._begin_anew()
            self._follow()
            batch = Batch(batch.unix_ms, batch.wall_ahead_ms, list(self._changed()))
        content = pack_head(self._region.secret) + pack_batch(batch)
        write_whole(self._path, content)
        self._fd = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW)
        self._size = self._begun_with = len(content)

    def _begin_anew(self) -> None:
        """The next time everything is written."""
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1
        self._tables = {}

    def _follow(self) -> None:
        """Looks at the tables of the configuration that is active now."""
        snapshot = self._snapshot()
        places = quota_places(snapshot)
        if places != {name: one.place for name, one in self._tables.items()}:
            self._begin_anew()
        for name, place in places.items():
            if name not in self._tables:
                table = QuotaTable(self._region.mapping, place.at * SET_BYTES, place.units - 1)
                # Memory of nobody's, which is taken as it is touched.
                self._tables[name] = _Table(place, table, mmap(-1, image_size(place.units - 1)))

    def _changed(self) -> Iterator[Records]:
        for name, one in self._tables.items():
            records = b"".join(
                changed(one.table, one.image, first // _CELL_BYTES, (end - first) // _CELL_BYTES, self._now_ms())
                for first, end in self._touched(one.place)
            )
            if records:
                yield Records(name, one.place.units - 1, records)

    def _touched(self, place: Place) -> Iterator[tuple[int, int]]:
        """Where a table has been written to, in bytes from its first cell: to look at the rest would take memory."""
        section = self._region.mapping.layout.sections["quotas"].offset
        begin = section + (place.at + 1) * SET_BYTES  # behind the table's head
        end = section + (place.at + place.units) * SET_BYTES
        at = begin
        while at < end:
            try:
                first = os.lseek(self._region.fd, at, os.SEEK_DATA)
            except OSError:
                return  # nothing more
            at = min(os.lseek(self._region.fd, first, os.SEEK_HOLE), end)
            for piece in range(max(first, begin), at, _AT_ONCE):
                yield piece - begin, min(piece + _AT_ONCE, at) - begin


def _append(fd: int, content: bytes) -> None:
    at = 0
    while at < len(content):
        at += os.write(fd, content[at:])
    with contextlib.suppress(OSError):  # some file systems have no such call
        os.fdatasync(fd)
