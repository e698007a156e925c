"""What ``paced --raw`` wrote: every exchange of a load, one by one."""

import struct
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

RECORD = struct.Struct("=qqqIHH")  # as in paced.c


class Exchange(NamedTuple):
    """One exchange; times are nanoseconds on CLOCK_MONOTONIC.

    ``server`` is the number that the connection's latest answer began with, 0 when it had not answered yet.
    ``is_fresh``: it was the first of its connection.
    """

    due_ns: int
    begun_ns: int
    ended_ns: int
    server: int
    has_failed: bool
    is_fresh: bool


def read(path: Path) -> Iterator[Exchange]:
    """The exchanges in the order in which they ended."""
    content = path.read_bytes()
    return (Exchange(*fields[:4], *map(bool, fields[4:])) for fields in RECORD.iter_unpack(content))


class Latencies:
    """Milliseconds from when exchanges were due to their end, sorted into groups, and the failed ones."""

    def __init__(self, path: Path, group: Callable[[int], str]) -> None:
        """``group``: of an exchange by when it was due."""
        self.failed: dict[str, list[Exchange]] = {}
        self._ms: dict[str, array[float]] = {}
        for exchange in read(path):
            name = group(exchange.due_ns)
            if exchange.has_failed:
                self.failed.setdefault(name, []).append(exchange)
            else:
                self._ms.setdefault(name, array("d")).append((exchange.ended_ns - exchange.due_ns) / 1e6)
        for name, values in self._ms.items():
            self._ms[name] = array("d", sorted(values))

    def count(self, name: str) -> int:
        """Exchanges of a group that were answered."""
        return len(self._ms.get(name, ()))

    def quantile_ms(self, name: str, share: float) -> float | None:
        """Of a group; None when it is empty."""
        values = self._ms.get(name)
        return values[min(len(values) - 1, int(share * len(values)))] if values else None
