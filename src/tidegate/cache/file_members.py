"""Members of a JSON object in a file, as a source that a cache watches.

The file is looked at once a second, and read in a thread when it is another one or was written. Whoever writes it puts
it in place by a rename: half a document is none, and what was there goes on for a while.
"""

import asyncio
import os
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from tidegate.cache.follower import Changed, Whole
from tidegate.cache.names import unwire, wire
from tidegate.cache.shelf import Key
from tidegate.errors import GatewayError, Kind, Source

__all__ = ["FILE_MAX", "FileMembers"]

LOOK_S: Final = 1.0
FILE_MAX: Final = 16 << 20
"""Bytes that such a file may have: decoding it, in whatever thread, holds the loop, for 4 ms a megabyte."""


class _Read(NamedTuple):
    """What a file had, as it stands there, and by what it is told apart from others and from itself later."""

    mark: tuple[int, ...]
    values: dict[Key, bytes]


class FileMembers:
    """The source.

    Args:
        path: Of the file.
        look_s: See `LOOK_S`.
    """

    def __init__(self, path: Path, look_s: float = LOOK_S) -> None:
        self.name = f"file {path}"
        self.unreadable = 0
        self._path = path
        self._look_s = look_s
        self._read = _Read((), {})

    async def load(self, key: Key) -> Any:
        """One value, None when there is none."""
        found = (await self._look()).values.get(unwire(wire(key)))
        return None if found is None else self._decode(found)

    async def say(self) -> AsyncGenerator[Whole | Changed, None]:
        """The whole, then changes; see `tidegate.cache.follower.Source`."""
        looked_at = _boot_s()
        before = await self._look()
        yield Whole({key: self._decode(value) for key, value in before.values.items()})
        yield Changed((), looked_at)
        while True:
            await asyncio.sleep(self._look_s)
            looked_at = _boot_s()
            now = await self._look()
            keys = now.values.keys() | before.values.keys() if now is not before else ()
            changed = tuple(key for key in keys if now.values.get(key) != before.values.get(key))
            before = now
            yield Changed(changed, looked_at)

    def _decode(self, value: bytes) -> Any:
        try:
            return msgspec.json.decode(value)
        except ValueError:  # what was passed over as a member is no text, or a number out of range
            self.unreadable += 1
            return None

    async def _look(self) -> _Read:
        """What it has now. Raises GatewayError when it cannot be read."""
        self._read = await asyncio.get_running_loop().run_in_executor(None, self._read_again, self._read)
        return self._read

    def _read_again(self, before: _Read) -> _Read:
        try:
            with self._path.open("rb") as file:
                found = os.fstat(file.fileno())
                mark = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)
                if mark == before.mark:
                    return before
                content = file.read(FILE_MAX + 1)
        except OSError as error:
            raise GatewayError.from_os_error(error, str(self._path), connected=False) from error
        if len(content) > FILE_MAX:
            raise self._refused(f"has more than {FILE_MAX} bytes")
        try:
            members = msgspec.json.decode(content, type=dict[str, msgspec.Raw])
            return _Read(mark, {key: bytes(value) for key, value in members.items()})
        except (ValueError, RecursionError) as error:
            raise self._refused(f"is no JSON object: {error}") from error

    def _refused(self, why: str) -> GatewayError:
        return GatewayError(Kind.PROXY_CONFIGURATION_ERROR, f"{self._path} {why}", source=Source.INTERNAL)

    def __repr__(self) -> str:
        return f"<FileMembers {self._path}: {len(self._read.values)}>"


def _boot_s() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)
