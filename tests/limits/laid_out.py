"""Limits with their places in a region of a test's own."""

from tidegate.config.allotment import allot
from tidegate.config.limits import Limit as Settings
from tidegate.limits.limit import Limit
from tidegate.memory.region import Region

MEMORY = 1 << 20


def laid_out(region: Region, **limits: Settings) -> tuple[Limit, ...]:
    """Compiled for the worker in slot 0, in their order."""
    places, without = allot({}, limits, MEMORY)
    assert not without
    return tuple(
        Limit(name, one, places[name], region.mapping, region.secret, region.inflight(0))
        for name, one in limits.items()
    )


def limit(region: Region, settings: Settings, name: str = "a") -> Limit:
    """One alone."""
    return laid_out(region, **{name: settings})[0]
