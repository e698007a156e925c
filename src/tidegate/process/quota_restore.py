"""Quotas taken up from where the gateway before has left them; what wrote them is `quota_keeper`.

The supervisor does it, for nobody may have counted yet. It loads no more for that than it needs.
"""

from __future__ import annotations

from pathlib import Path

from tidegate.config.allotment import SET_BYTES, Place
from tidegate.config.snapshot import Snapshot
from tidegate.memory.quota_image import restore
from tidegate.memory.quotas import QuotaTable
from tidegate.memory.region import Region
from tidegate.process.quota_log import FILE, QuotaLogError, read_batches

__all__ = ["quota_places", "restore_quotas"]


def restore_quotas(
    region: Region, snapshot: Snapshot, directory: Path, *, wall_ms: int, now_ms: int
) -> tuple[int, str]:
    """Puts what was kept into a new region that nobody serves from yet.

    Returns how old it is in ms (-1: there is nothing), and what is wrong with the file, "" for nothing.
    """
    places = quota_places(snapshot)
    if not places:
        return -1, ""
    written_ms, trouble = -1, ""
    try:
        for batch in read_batches(directory / FILE, region.secret):
            shift_ms = batch.wall_ahead_ms - (wall_ms - now_ms)
            written_ms = batch.unix_ms
            for one in batch.tables:
                place = places.get(one.name)
                if place is not None and place.units - 1 == one.sets:
                    table = QuotaTable(region.mapping, place.at * SET_BYTES, one.sets)
                    longest_ms = 2 * round((snapshot.gateway.limits[one.name].window or 0.0) * 1000)
                    restore(table, one.cells, shift_ms, now_ms, longest_ms)
    except FileNotFoundError:
        return -1, ""
    except (OSError, QuotaLogError, ValueError) as error:
        trouble = f"{directory / FILE}: {error}"
    return (-1 if written_ms < 0 else max(0, wall_ms - written_ms)), trouble


def quota_places(snapshot: Snapshot) -> dict[str, Place]:
    """Where the quotas of a configuration are."""
    limits = snapshot.gateway.limits
    own = {name for name, limit in limits.items() if limit.kind == "quota" and not limit.is_fleet}
    return {name: place for name, place in snapshot.places.items() if name in own}
