"""How many lines an endless trouble may write: the first of a kind at once, then at most one a second with a count.

Pure arithmetic: the time is an argument, and what is to be written is returned. Nothing is forgotten: the counts of all
entries add up to the number of times something was offered.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

KINDS_MAX = 200
"""Kinds are constants of the program; should one be made of input, the rest is said as "other"."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line to be written; it stands for ``count`` times that it happened, the latest of them shown."""

    kind: str
    level: str
    message: str
    fields: dict[str, Any]
    count: int


class _Held:
    """What is known of a kind: when it was last written about, and what has come since."""

    __slots__ = ("entry", "written_at")

    def __init__(self, now: float) -> None:
        self.written_at = now
        self.entry: Entry | None = None


class BoundedLog:
    """Decides which lines are written.

    Args:
        interval_s: Shortest time between two lines of a kind.
        take_turn: Asked with (kind, whole second) before a line: False leaves this second to another process.
    """

    def __init__(self, interval_s: float = 1.0, take_turn: Callable[[str, int], bool] | None = None) -> None:
        self.interval_s = interval_s
        self.take_turn = take_turn
        self._kinds: dict[str, _Held] = {}

    def offer(self, now: float, kind: str, level: str, message: str, fields: dict[str, Any]) -> Entry | None:
        """Something happened; returns the line to write now, None when it is held back and counted."""
        held = self._kinds.get(kind)
        if held is None:
            if len(self._kinds) >= KINDS_MAX and kind != "other":
                return self.offer(now, "other", level, message, {"kind_was": kind, **fields})
            held = self._kinds[kind] = _Held(now - self.interval_s)
        count = 1 if held.entry is None else held.entry.count + 1
        held.entry = Entry(kind, level, message, fields, count)
        return self._take(held, now)

    def due(self, now: float) -> list[Entry]:
        """Lines held back whose second is over; to be called about once a second."""
        return [entry for held in self._kinds.values() if (entry := self._take(held, now)) is not None]

    def all_held(self) -> list[Entry]:
        """Everything held back, whatever the time: for the end of the process."""
        entries = [held.entry for held in self._kinds.values() if held.entry is not None]
        for held in self._kinds.values():
            held.entry = None
        return entries

    def _take(self, held: _Held, now: float) -> Entry | None:
        entry = held.entry
        if entry is None or now - held.written_at < self.interval_s:
            return None
        if self.take_turn is not None and not self.take_turn(entry.kind, int(now)):
            return None
        held.entry = None
        held.written_at = now
        return entry

    def __repr__(self) -> str:
        held = sum(held.entry.count for held in self._kinds.values() if held.entry is not None)
        return f"<BoundedLog {len(self._kinds)} kinds, {held} held back>"
