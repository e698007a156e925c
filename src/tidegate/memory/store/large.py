"""Large values: each a file of its own, written beside its place, renamed, and mapped by who reads it.

A file never changes once it has its number, and its number is never given to another that somebody could have seen. So
a value that is mapped stays as it was, when its file has long been unlinked.

What a killed process leaves behind is a file that it had not finished, which has its pid in its name, or one that no
entry names any more; `sweep` removes both.
"""

from __future__ import annotations

import contextlib
import mmap
import os
from collections.abc import Callable
from pathlib import Path

from tidegate.memory.store.record import Buffer

__all__ = ["LargeValues"]

_PIECE = 1 << 20
_BESIDE = "beside-"


class LargeValues:
    """The files of one generation of a store, in a directory of their own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._written = 0

    def write(self, value: Buffer) -> str:
        """Writes a value beside its place and returns the name it has there.

        Raises:
            OSError: There is no room, or no such directory any more; nothing is left of it.
        """
        self._written += 1
        name = f"{_BESIDE}{os.getpid()}-{self._written}"
        path = self.directory / name
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            left = memoryview(value).cast("B")
            while left:
                left = left[os.write(fd, left[:_PIECE]) :]
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        finally:
            os.close(fd)
        return name

    def take(self, name: str, number: int) -> None:
        """Gives what was written beside its place the number by which an entry will name it."""
        os.rename(self.directory / name, self.directory / str(number))  # noqa: PTH104 - half the time of Path.rename

    def discard(self, name: str) -> None:
        """Removes what was written and shall have no number."""
        (self.directory / name).unlink(missing_ok=True)

    def remove(self, numbers: list[int]) -> None:
        """Unlinks files whose entries are gone; who has them mapped keeps them."""
        for number in numbers:
            with contextlib.suppress(OSError):  # gone already, or not ours to remove: the next sweep looks again
                os.unlink(self.directory / str(number))  # noqa: PTH108 - there may be thousands

    def view(self, number: int, size: int) -> memoryview | None:
        """Maps a file; None when it is not there any more, or not whole."""
        try:
            fd = os.open(f"{self.directory}/{number}", os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            return None
        try:
            if os.fstat(fd).st_size != size:
                return None
            return memoryview(mmap.mmap(fd, size, prot=mmap.PROT_READ))
        finally:
            os.close(fd)

    def sweep(self, is_named: Callable[[int], bool]) -> int:
        """Removes what the dead have left behind and returns how many files that were.

        Args:
            is_named: Whether an entry names the file of that number, or one that is being stored may yet.
        """
        swept = 0
        for name in os.listdir(self.directory):  # noqa: PTH208 - names are all that is wanted
            if name.startswith(_BESIDE):
                pid = name.removeprefix(_BESIDE).partition("-")[0]
                is_needed = pid.isdecimal() and int(pid) != os.getpid() and Path(f"/proc/{pid}").exists()
            else:
                is_needed = name.isdecimal() and is_named(int(name))
            if not is_needed:
                self.discard(name)
                swept += 1
        return swept

    def __repr__(self) -> str:
        return f"<LargeValues in {self.directory}>"
