"""Who asks most, of each limit and route: what workers keep in their tables, merged.

Tables of one key's series are merged by adding what each has of a key: every worker tells keys apart by the same
fingerprint. A key that no worker has room for is in nobody's list, and in the figures of all.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from tidegate.memory.hitters import WINDOWS_S, HitterReader, KeyFigures, leading
from tidegate.memory.meters import MeterReader

__all__ = ["TOP", "HittersOf", "hitters_document", "hitters_of"]

TOP = 20
"""Keys that are shown of each ranking: by requests, refusals, upstream time and bytes."""

SHOWN_MAX = 32
"""Limits, and routes, whose keys are shown: those with most requests."""

KINDS = ("limit", "route")
_WINDOW_NAMES = ("10s", "10min")


class HittersOf(NamedTuple):
    """Who asked most of one limit or route, by window; ``total`` is of all keys together."""

    kind: str
    name: str
    total: tuple[KeyFigures, ...]
    keys: tuple[list[KeyFigures], ...]


def hitters_of(reader: HitterReader, kind: str, name: str, places: Sequence[tuple[int, int]], now_ns: int) -> HittersOf:
    """Those of one series, which lies in ``places`` (slot, index)."""
    found = [reader.within(places, now_ns, window) for window in range(len(WINDOWS_S))]
    return HittersOf(kind, name, tuple(total for total, _ in found), tuple(leading(keys, TOP) for _, keys in found))


def hitters_document(meters: MeterReader, reader: HitterReader, now_ns: int) -> dict[str, Any]:
    """For ``/status``: by kind, name and window; of those with most requests, as many as are shown."""
    found: dict[str, list[HittersOf]] = {kind: [] for kind in KINDS}
    for (kind, name), places in meters.places().items():
        if kind in KINDS:
            one = hitters_of(reader, kind, name, places, now_ns)
            if one.total[-1].requests:
                found[kind].append(one)
    document: dict[str, Any] = {}
    for kind, ones in found.items():
        ones.sort(key=lambda one: (-one.total[-1].requests, one.name))
        document[f"{kind}s"] = {one.name: _windows(one) for one in ones[:SHOWN_MAX]}
        document[f"{kind}s_left_out"] = max(0, len(ones) - SHOWN_MAX)
    return document


def _windows(one: HittersOf) -> dict[str, Any]:
    return {
        window: {"all": _figures(one.total[at]), "keys": [{"key": key.key, **_figures(key)} for key in one.keys[at]]}
        for at, window in enumerate(_WINDOW_NAMES)
    }


def _figures(one: KeyFigures) -> dict[str, float]:
    return {
        "requests": round(one.requests),
        "refusals": round(one.refusals),
        "upstream_seconds": round(one.upstream_s, 3),
        "bytes": round(one.bytes),
    }
