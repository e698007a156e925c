"""Which limit has which part of the memory that workers share.

Decided where a configuration is checked, once for all workers, and carried in the snapshot. What a limit remembers lies
where its place is, so one that means the same keeps its place over reloads. A place may be given to another limit
without being cleared: cells are told apart by a hash of limit and key, and what the former one left there expires.
"""

from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

from tidegate.config.limits import Limit

__all__ = ["SET_BYTES", "Place", "allot", "room_of"]

Section = Literal["rates", "quotas", "inflight"]

SET_BYTES = 128
"""Eight cells of 16 bytes, and the head of a table: the unit that tables of rates and quotas are made of."""

_SHARES: dict[Section, float] = {"rates": 0.5, "quotas": 0.25, "inflight": 0.25}
_BYTES_A_KEY = 20  # with less, live cells begin to push each other out (memory.tables)


class Place(NamedTuple):
    """Part of a section: from the unit ``at``, so many ``units`` of ``SET_BYTES``."""

    section: Section
    at: int
    units: int


def room_of(limits_memory: int) -> dict[Section, int]:
    """Bytes of each section, of ``server.limits_memory`` bytes in all."""
    return {section: int(limits_memory * share) // SET_BYTES * SET_BYTES for section, share in _SHARES.items()}


def units_for(limit: Limit) -> int:
    """Units of a limit's table: its head, and sets for its keys, at least two."""
    return 1 + max(2, -(-limit.keys * _BYTES_A_KEY // SET_BYTES) if limit.key else 0)


def allot(
    previous: Mapping[str, Place], limits: Mapping[str, Limit], limits_memory: int
) -> tuple[dict[str, Place], list[str]]:
    """A place for each limit, and the names of those for which no room is left.

    Args:
        previous: The places of the configuration that is active; {} when there is none.
        limits: Those of the new one, by name.
        limits_memory: Bytes that there are.
    """
    room = room_of(limits_memory)
    wanted = {name: Place("rates", -1, units_for(limit)) for name, limit in limits.items()}
    places = {
        name: previous[name]
        for name, place in wanted.items()
        if name in previous and previous[name].units == place.units and _fits(previous[name], room)
    }
    without = []
    # The large ones first: they are the ones that have to look for a gap.
    for name in sorted(wanted.keys() - places.keys(), key=lambda name: (-wanted[name].units, name)):
        section, _, units = wanted[name]
        at = _gap((one for one in places.values() if one.section == section), units)
        place = Place(section, at, units)
        if _fits(place, room):
            places[name] = place
        else:
            without.append(name)
    return {name: places[name] for name in limits if name in places}, sorted(without)


def _fits(place: Place, room: Mapping[Section, int]) -> bool:
    return (place.at + place.units) * SET_BYTES <= room[place.section]


def _gap(taken: Iterable[Place], units: int) -> int:
    """Where the first so many units are that nobody has."""
    at = 0
    for place in sorted(taken, key=lambda place: place.at):
        if place.at - at >= units:
            break
        at = max(at, place.at + place.units)
    return at
