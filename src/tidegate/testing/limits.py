"""Limits without a gateway, for filters that look at them."""

from collections.abc import Mapping
from typing import Any

import msgspec

from tidegate.config.allotment import allot, room_of
from tidegate.config.limits import Limit as Settings
from tidegate.config.structure import adapter
from tidegate.limits.limit import Limit
from tidegate.memory.region import Region

__all__ = ["limits"]

_MEMORY = 1 << 20
_KEYS = 64


def limits(**sections: Mapping[str, Any]) -> dict[str, Limit]:
    """Limits as ``[limits.NAME]`` of a configuration would make them, that nobody has asked yet.

    They remember what they are charged (``testing.charge``), up to 64 keys each unless ``keys`` says otherwise. Raises
    ``ValueError`` for what is no limit.
    """
    settings = {
        name: adapter(Settings).validate_json(msgspec.json.encode({"keys": _KEYS, **section}))
        for name, section in sections.items()
    }
    places, without = allot({}, settings, _MEMORY)
    if without:
        raise ValueError(f"there is no room for the keys of {', '.join(without)}")
    region = Region.create(1, **room_of(_MEMORY))
    try:
        inflight = region.inflight(0)
        return {
            name: Limit(name, one, places[name], region.mapping, region.secret, inflight)
            for name, one in settings.items()
        }
    finally:
        region.close()  # the memory stays for as long as they do
