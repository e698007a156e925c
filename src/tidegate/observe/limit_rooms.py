"""Whether limits have room for all their keys: what is counted when they do not, and a word about it, once.

A table that is full gives up the key that would be forgotten first (`evictions`), which may then pass as if it were
new; one of permits refuses a key that it has no row for (`crowded`). `contended` are charges that lost a thousand races
in a row. The counters of a table may begin anywhere, as its place may have been another limit's: so what is told is how
much they grew since this process looked first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from tidegate.config.allotment import SET_BYTES, Place
from tidegate.config.snapshot import Snapshot
from tidegate.memory.meters import CROWDED_AT, MeterReader
from tidegate.memory.quotas import QuotaTable
from tidegate.memory.rates import RateTable
from tidegate.memory.region import Region
from tidegate.observe.log_writer import Say

__all__ = ["LimitRoom", "LimitRooms"]


class LimitRoom(NamedTuple):
    """Of one limit, since this process looked first."""

    evictions: int = 0
    contended: int = 0
    crowded: int = 0


class LimitRooms:
    """Those of the active configuration.

    Args:
        region: The shared memory.
        snapshot: Gives the active snapshot.
        say: The error log.
    """

    def __init__(self, region: Region, snapshot: Callable[[], Snapshot], say: Say) -> None:
        self._region = region
        self._reader = MeterReader(region.mapping)
        self._snapshot = snapshot
        self._say = say
        self._begun: dict[str, tuple[Place, LimitRoom]] = {}
        self._told: set[str] = set()
        self._rooms: dict[str, LimitRoom] = {}

    def __repr__(self) -> str:
        return f"<LimitRooms {self._rooms}>"

    @property
    def rooms(self) -> Mapping[str, LimitRoom]:
        """By the limit's name, as `look` found them."""
        return self._rooms

    def look(self) -> None:
        """Counts what there is now; says which limits have begun to lack room."""
        snapshot = self._snapshot()
        places = {name: place for name, place in snapshot.places.items() if name in snapshot.gateway.limits}
        for gone in self._begun.keys() - places.keys():
            del self._begun[gone]
            self._told.discard(gone)
        self._rooms = {}
        for name, place in places.items():
            now = self._counted(name, place)
            then = self._begun.get(name)
            if then is None or then[0] != place:
                then = self._begun[name] = (place, now)
            # Unsigned words of 64 bits: one that began anywhere may run over.
            room = LimitRoom(*((after - before) % 2**64 for after, before in zip(now, then[1], strict=True)))
            self._rooms[name] = room
            if (room.evictions or room.crowded) and name not in self._told:
                self._told.add(name)
                self._say_so(name, snapshot.gateway.limits[name].keys, room)

    def _counted(self, name: str, place: Place) -> LimitRoom:
        if place.section == "inflight":
            counts = self._reader.read("limit", name, self._reader.places().get(("limit", name), [])).classes
            return LimitRoom(crowded=counts[CROWDED_AT])
        kind = RateTable if place.section == "rates" else QuotaTable
        table = kind(self._region.mapping, place.at * SET_BYTES, place.units - 1)
        return LimitRoom(table.evictions, table.contended)

    def _say_so(self, name: str, keys: int, room: LimitRoom) -> None:
        what = (
            "requests of keys that it has no permits for are refused"
            if room.crowded
            else "the keys that would be forgotten first may pass as if they were new"
        )
        self._say(
            "limit_table_full",
            f"limit {name} has no room for all keys that are asked at once: {what}; it has room for {keys} (`keys`)",
            limit=name,
        )
