"""Which limit has which part of the memory that workers share.

Decided where a configuration is checked, once for all workers, and carried in the snapshot. What a limit remembers lies
where its place is, so one that means the same keeps its place over reloads. A place may be given to another limit
without being cleared: cells are told apart by a hash of limit and key, and what the former one left there expires.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Literal, NamedTuple, TypedDict

from tidegate.config.limits import Limit

__all__ = ["LEARNERS", "SET_BYTES", "Place", "Room", "allot", "learners_for", "room_of"]

Section = Literal["rates", "quotas", "inflight"]

SET_BYTES = 128
"""Eight cells of 16 bytes, and the head of a table: the unit that tables of rates and quotas are made of."""

ROWS_A_BLOCK = 8
"""Rows of permits in a block: the unit that tables of concurrency are made of."""

LEARNERS = 256
"""Adaptive limits, and keys of such limits, that the machine learns for at once (``memory.adaptive``)."""

_SHARES: dict[Section, float] = {"rates": 0.5, "quotas": 0.25, "inflight": 0.25}
_BYTES_A_KEY = 20  # with less, live cells begin to push each other out (memory.tables)
_CELLS_A_LEASE = 5  # two epochs, who asks, what a machine has, and what it has lent itself (memory.leases)
_CELLS_A_GRANT = 3  # what is lent, who asks, and what a machine allows itself (memory.grants)
# What a block is taken for here. It is larger on a machine with many cores, whose number is not known where this is
# decided; most of it is never touched, and then costs nothing.
_BYTES_A_BLOCK = 1024
_LARGEST_BLOCKS = 1 << 24  # of one table


class Place(NamedTuple):
    """Part of a section: from the unit ``at``, so many ``units``: of ``SET_BYTES``, or blocks.

    An adaptive limit learns in ``learners`` rows from ``learns_at`` beside it. What a fleet lends a limit of
    concurrency is in ``grants`` units of "quotas" from ``grants_at``.
    """

    section: Section
    at: int
    units: int
    learners: int = 0
    learns_at: int = -1
    grants: int = 0
    grants_at: int = -1

    @property
    def size(self) -> tuple[str, int, int, int]:
        """What it takes, wherever that is."""
        return self.section, self.units, self.learners, self.grants


class Room(TypedDict):
    """Bytes, or blocks, of each section."""

    rates: int
    quotas: int
    inflight_blocks: int


def room_of(limits_memory: int) -> Room:
    """What ``Region.create`` is given for ``server.limits_memory``."""
    units = _units_of(limits_memory)
    return {
        "rates": units["rates"] * SET_BYTES,
        "quotas": units["quotas"] * SET_BYTES,
        "inflight_blocks": units["inflight"],
    }


def _units_of(limits_memory: int) -> dict[Section, int]:
    return {
        section: int(limits_memory * share) // (_BYTES_A_BLOCK if section == "inflight" else SET_BYTES)
        for section, share in _SHARES.items()
    }


def section_of(limit: Limit) -> Section:
    """Where a limit remembers."""
    if limit.is_fleet and limit.kind != "concurrency":
        return "quotas"  # what is borrowed is a count in a window
    return "rates" if limit.kind == "rate" else "quotas" if limit.kind == "quota" else "inflight"


def units_for(limit: Limit) -> int:
    """Units of a table: its head and sets for its keys, at least two; or blocks of twice as many rows as are used."""
    if limit.kind != "concurrency":
        return _table_units(limit, _CELLS_A_LEASE if limit.is_fleet else 1)
    blocks = 1
    rows = (4 if limit.queue else 2) * limit.keys  # who waits for a key is counted in a row of its own
    while limit.key and blocks * ROWS_A_BLOCK < rows and blocks < _LARGEST_BLOCKS:
        blocks *= 2
    return blocks


def _table_units(limit: Limit, cells_a_key: int) -> int:
    return 1 + max(2, -(-limit.keys * cells_a_key * _BYTES_A_KEY // SET_BYTES) if limit.key else 0)


def grants_for(limit: Limit) -> int:
    """Units in which a machine has what a fleet lends a limit of concurrency."""
    return _table_units(limit, _CELLS_A_GRANT) if limit.is_fleet and limit.kind == "concurrency" else 0


def learners_for(limit: Limit) -> int:
    """Rows in which an adaptive limit learns: one, or one for each of the keys that it learns for."""
    if limit.adaptive is None:
        return 0
    return limit.adaptive.keys if limit.key else 1


def allot(
    previous: Mapping[str, Place], limits: Mapping[str, Limit], limits_memory: int
) -> tuple[dict[str, Place], list[str]]:
    """A place for each limit, and the names of those for which no room is left.

    Args:
        previous: The places of the configuration that is active; {} when there is none.
        limits: Those of the new one, by name.
        limits_memory: Bytes that there are.
    """
    room = _units_of(limits_memory)
    wanted = {
        name: Place(section_of(limit), -1, units_for(limit), learners_for(limit), grants=grants_for(limit))
        for name, limit in limits.items()
    }
    places = {
        name: previous[name]
        for name, place in wanted.items()
        if name in previous and previous[name].size == place.size and _fits(previous[name], room)
    }
    without = []
    # The large ones first: they are the ones that have to look for a gap.
    for name in sorted(wanted.keys() - places.keys(), key=lambda name: (-wanted[name].units, name)):
        section, _, units, learners, _, grants, _ = wanted[name]
        at = _gap(_taken(places.values(), section), units)
        learns_at = _gap(((one.learns_at, one.learners) for one in places.values() if one.learners), learners)
        grants_at = _gap(_taken(places.values(), "quotas"), grants)
        place = Place(section, at, units, learners, learns_at if learners else -1, grants, grants_at if grants else -1)
        if _fits(place, room):
            places[name] = place
        else:
            without.append(name)
    return {name: places[name] for name in limits if name in places}, sorted(without)


def _fits(place: Place, room: Mapping[Section, int]) -> bool:
    return (
        place.at + place.units <= room[place.section]
        and place.learns_at + place.learners <= LEARNERS
        and place.grants_at + place.grants <= room["quotas"]
    )


def _taken(places: Collection[Place], section: Section) -> Iterator[tuple[int, int]]:
    """What is taken of a section: where, and how many units."""
    for one in places:
        if one.section == section:
            yield one.at, one.units
        if one.grants and section == "quotas":
            yield one.grants_at, one.grants


def _gap(taken: Iterable[tuple[int, int]], units: int) -> int:
    """Where the first so many units are that nobody has; ``taken``: where, and how many."""
    at = 0
    for begin, length in sorted(taken):
        if begin - at >= units:
            break
        at = max(at, begin + length)
    return at
