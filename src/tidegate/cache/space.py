"""Which values stay when there is no room for all: by bytes, by use, and not for who comes once.

New entries stand in line, oldest first, in a fifth of the room. Who has been used when he gets to its head, or is known
to have been asked for more often than those who would have to go, moves to the *kept*; who has not, goes. So a flood of
keys that are each asked for once passes through the line, and nobody who is kept goes for it. Among the kept the oldest
that was not used lately goes first (CLOCK: one that was used goes round again).

This is 2Q's separation (Johnson, Shasha, VLDB 1994) with admission by TinyLFU in place of a list of ghosts; a large one
has to be asked for more often than all together that would go for it ("aggregated victims": Einziger, Eytan, Friedman,
Manes, "Lightweight Robust Size Aware Cache Management", ACM ToS 2022).
"""

from collections import OrderedDict
from typing import Final, NamedTuple

from tidegate.cache.shelf import Entry, Key
from tidegate.cache.sketch import Sketch

__all__ = ["LARGE", "PINNED_SHARE", "Space", "SpaceStatistics"]

_LINE_SHARE: Final = 0.2
_USES_MAX: Final = 8  # what counts when a used one goes round: no fame lasts for more than three rounds

LARGE: Final = 64 << 10
"""Bytes from which on a value is worth a word to the machine's store when it is used here (`Space.used_large`)."""

PINNED_SHARE: Final = 0.5
"""Part of the room that pinned entries may take; what is pinned beyond it is treated like others."""


class SpaceStatistics(NamedTuple):
    """How full it is; ``refused``: larger than all the room."""

    entries: int
    bytes: int
    max_bytes: int
    kept: int
    pinned: int
    evictions: int
    refused: int


class _Place(OrderedDict[Key, Entry]):
    """Entries in one order, and the sum of their sizes."""

    __slots__ = ("bytes",)

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0


class Space:
    """Keeps ``entries`` within bounds.

    Args:
        entries: Those there are, by key; changed here only.
        max_bytes: Room for the sum of their sizes.
    """

    def __init__(self, entries: dict[Key, Entry], max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.evictions = self.refused = 0
        self._entries = entries
        self._line, self._kept, self._pinned = _Place(), _Place(), _Place()
        self._pins: set[Key] = set()
        self._large: dict[Key, int] = {}  # of large ones: their uses at the last look
        self._sketch = Sketch()

    def put(self, entry: Entry) -> bool:
        """Takes an entry in, in place of an older one of its key; False when it does not stay."""
        key = entry.key
        self._sketch.count(key)
        place = self._place_of(key) if key in self._entries else None
        if place is self._pinned and not self._has_room_among_pinned(entry.size - place[key].size):
            entry.uses += self._remove(place, key).uses
            place = None
        if place is not None:
            entry.uses += place[key].uses
            place.bytes += entry.size - place[key].size
            place[key] = entry
        elif key in self._pins and self._has_room_among_pinned(entry.size):
            self._add(self._pinned, entry)
        else:
            self._add(self._line, entry)
        self._entries[key] = entry
        if entry.size >= LARGE:
            self._large[key] = entry.uses
        else:
            self._large.pop(key, None)
        if entry.size > self.max_bytes:
            self.drop(key)
            self.refused += 1
            return False
        self._shrink()
        return key in self._entries

    def drop(self, key: Key) -> bool:
        """Takes an entry out; whether there was one."""
        place = self._place_of(key)
        if place is None:
            return False
        self._remove(place, key)
        self._forget(key)
        return True

    def clear(self) -> None:
        """Takes all of them out."""
        for place in (self._line, self._kept, self._pinned):
            place.clear()
            place.bytes = 0
        self._entries.clear()
        self._large.clear()

    def pin(self, key: Key) -> None:
        """An entry of ``key``, this one or one to come, stays until its time is over."""
        self._pins.add(key)
        place = self._place_of(key)
        if place is not None and place is not self._pinned:
            entry = self._remove(place, key)
            self._add(self._pinned if self._has_room_among_pinned(entry.size) else place, entry)

    def unpin(self, key: Key) -> None:
        """It is one like the others again."""
        self._pins.discard(key)
        if key in self._pinned:
            self._add(self._kept, self._remove(self._pinned, key))

    def resize(self, max_bytes: int) -> None:
        """Has another bound from now on."""
        self.max_bytes = max_bytes
        for key in [key for key, entry in self._entries.items() if entry.size > max_bytes]:
            self.drop(key)
        for key in list(self._pinned):
            if self._pinned.bytes <= PINNED_SHARE * max_bytes:
                break
            self._add(self._kept, self._remove(self._pinned, key))
        self._shrink()

    def used_large(self) -> list[Key]:
        """Which values of `LARGE` bytes or more were used since the last call."""
        found = []
        for key, before in self._large.items():
            uses = self._entries[key].uses
            if uses > before:
                found.append(key)
            self._large[key] = uses
        return found

    def oldest_at(self) -> float | None:
        """When the oldest entry came that is first to be judged; None when there is none."""
        heads = [next(iter(place.values())).came_at for place in (self._line, self._kept, self._pinned) if place]
        return min(heads) if heads else None

    def statistics(self) -> SpaceStatistics:
        """How full it is."""
        return SpaceStatistics(
            len(self._entries),
            self._line.bytes + self._kept.bytes + self._pinned.bytes,
            self.max_bytes,
            len(self._kept),
            len(self._pinned),
            self.evictions,
            self.refused,
        )

    # -- inside ---------------------------------------------------------------------------------------------------

    def _place_of(self, key: Key) -> "_Place | None":
        for place in (self._kept, self._line, self._pinned):
            if key in place:
                return place
        return None

    def _has_room_among_pinned(self, size: int) -> bool:
        return self._pinned.bytes + size <= PINNED_SHARE * self.max_bytes

    def _add(self, place: "_Place", entry: Entry) -> None:
        place[entry.key] = entry
        place.bytes += entry.size

    def _forget(self, key: Key) -> None:
        del self._entries[key]
        self._large.pop(key, None)

    def _remove(self, place: "_Place", key: Key) -> Entry:
        entry = place.pop(key)
        place.bytes -= entry.size
        return entry

    def _shrink(self) -> None:
        while True:
            room = self.max_bytes - self._pinned.bytes
            in_line, kept = self._line.bytes, self._kept.bytes
            if in_line + kept <= room:
                return
            if self._line and (in_line > _LINE_SHARE * room or not self._kept):
                self._judge(next(iter(self._line.values())), (1.0 - _LINE_SHARE) * room)
            else:
                self._evict_kept()

    def _judge(self, entry: Entry, room: float) -> None:
        """The head of the line moves to the kept, or goes."""
        self._remove(self._line, entry.key)
        if entry.size > room or not (entry.uses or self._is_worth(entry, room)):
            self._forget(entry.key)
            self.evictions += 1
            return
        entry.uses = 1  # or it would be the first to go when all others have been used
        self._add(self._kept, entry)
        while self._kept.bytes > room:
            self._evict_kept()

    def _is_worth(self, entry: Entry, room: float) -> bool:
        """Whether it was asked for more often than those together who would have to go."""
        asked = self._sketch.estimate(entry.key)
        if asked <= 1:
            return False
        against, missing = 1, self._kept.bytes + entry.size - room
        for victim in self._kept.values():
            if missing <= 0 or asked <= against:
                break
            against += victim.uses + self._sketch.estimate(victim.key)
            missing -= victim.size
        return asked > against

    def _evict_kept(self) -> None:
        while True:
            key, entry = self._kept.popitem(last=False)
            if not entry.uses:
                self._kept.bytes -= entry.size
                self._forget(key)
                self.evictions += 1
                return
            entry.uses = min(entry.uses, _USES_MAX) >> 1
            self._kept[key] = entry

    def __repr__(self) -> str:
        return f"<Space {self.statistics()}>"
