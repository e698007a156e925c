"""How much memory is in use, of one process or of all that share a bound, and the bound.

- Of a process: what is its own (anonymous). What it touched of the region that workers share is not counted, as that is
  there once for all of them.
- Of a control group: what it uses less what the kernel takes back when it is wanted (``inactive_file``), as Kubernetes
  counts a working set. Of the groups around the process the one that is fullest counts.
- Where no group has a bound: of the machine, less what is available (``MemAvailable``).

What cannot be read is taken for nothing in use: a file that is missing is no reason to refuse anybody.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from tidegate.config.shedding import MemoryLevel

__all__ = ["MemoryUse"]

_PAGE = os.sysconf("SC_PAGE_SIZE")


class MemoryUse:
    """Memory in use over its bound.

    Args:
        level: The bound.
        proc: Where procfs is.
        groups: Where the control groups are.
    """

    def __init__(self, level: MemoryLevel, *, proc: str = "/proc", groups: str = "/sys/fs/cgroup") -> None:
        self._level = level
        self._proc = Path(proc)
        self._groups = Path(groups)

    def __repr__(self) -> str:
        return f"<MemoryUse {self.pressure():.3f} of {self._level}>"

    def pressure(self) -> float:
        """1: the bound is reached. Reads a few files that the kernel makes at once."""
        try:
            if self._level.size:
                return self._own_bytes() / self._level.size
            return self._share() / self._level.share
        except (OSError, ValueError, IndexError, KeyError):
            return 0.0

    def _own_bytes(self) -> int:
        _, resident, shared, *_ = (self._proc / "self/statm").read_bytes().split()
        return (int(resident) - int(shared)) * _PAGE

    def _share(self) -> float:
        bounded = list(self._of_groups())
        if bounded:
            return max(bounded)
        told = _pairs(self._proc / "meminfo")
        return 1 - told["MemAvailable"] / told["MemTotal"]

    def _of_groups(self) -> Iterator[float]:
        """Of each group around the process that has a bound."""
        for line in (self._proc / "self/cgroup").read_text().splitlines():
            _, controllers, place = line.split(":", 2)
            if controllers == "":  # version 2
                yield from self._up(self._groups, place, "memory.max", "memory.current", "inactive_file")
            elif "memory" in controllers.split(","):
                yield from self._up(
                    self._groups / "memory",
                    place,
                    "memory.limit_in_bytes",
                    "memory.usage_in_bytes",
                    "total_inactive_file",
                )

    def _up(self, root: Path, place: str, bound: str, used: str, given_back: str) -> Iterator[float]:
        group = root / place.lstrip("/")
        for one in (group, *group.parents):
            if one != root and root not in one.parents:
                return
            try:
                most = (one / bound).read_text().strip()
                if most == "max" or int(most) >= 1 << 60:  # version 1 spells "none" as a very large number
                    continue
                in_use = int((one / used).read_text()) - _pairs(one / "memory.stat").get(given_back, 0)
                yield in_use / int(most)
            except OSError:
                continue  # the root of version 2 has none of these


def _pairs(path: Path) -> dict[str, int]:
    """Lines of a name and a number, with or without a colon and a unit."""
    lines = (line.replace(":", " ").split() for line in path.read_text().splitlines())
    return {words[0]: int(words[1]) for words in lines if len(words) > 1}
