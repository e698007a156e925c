"""What the store has counted, copied to the shared region: for ``/metrics``, which control renders without the store.

A slot's part of the section "store" is sixteen words: what its workers did, which goes on over their deaths, and the
machine's sums as this worker saw them last, with the time of that. Of the sums the latest count: all mean one store.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tidegate.memory.mapping import Mapping

if TYPE_CHECKING:
    from tidegate.memory.store.record import StoreStatistics  # and with it LMDB, which control has no use for

__all__ = ["STORE_REPORT_SIZE", "StoreReport", "StoreTotals", "read_store"]

STORE_REPORT_SIZE = 128
"""Bytes of a slot's part of the section "store"."""

_SECTION = "store"
_DID = ("stored", "deleted", "full", "turned_away", "writer_waits", "rebuilt", "broken")
_MACHINE = ("small", "large", "bytes", "large_bytes", "evictions", "expirations")
_MACHINE_AT = len(_DID)
_STAMP_AT = 15


class StoreTotals(NamedTuple):
    """What the store has done in all workers, and what is in it."""

    stored: int
    deleted: int
    full: int
    turned_away: int
    writer_waits: int
    rebuilt: int
    broken: int

    small: int
    large: int
    bytes: int
    large_bytes: int
    evictions: int
    expirations: int


class StoreReport:
    """The writer's end, for the worker in a slot.

    Args:
        mapping: The region.
        slot: Of the worker.
    """

    def __init__(self, mapping: Mapping, slot: int) -> None:
        self._mapping = mapping
        self._slot = slot
        self._told = dict.fromkeys(_DID, 0)

    def publish(self, seen: StoreStatistics, now_ns: int) -> None:
        """Adds what was done since the last time.

        Args:
            seen: The store's statistics.
            now_ns: CLOCK_MONOTONIC.
        """
        for at, name in enumerate(_DID):
            count = getattr(seen, name)
            if count != self._told[name]:
                before = self._mapping.load_word(_SECTION, self._slot, at)
                self._mapping.store_word(_SECTION, self._slot, at, before + count - self._told[name])
                self._told[name] = count
        for at, name in enumerate(_MACHINE, _MACHINE_AT):
            self._mapping.store_word(_SECTION, self._slot, at, getattr(seen, name))
        self._mapping.store_word(_SECTION, self._slot, _STAMP_AT, now_ns)

    def __repr__(self) -> str:
        return f"<StoreReport of slot {self._slot}>"


def read_store(mapping: Mapping) -> StoreTotals | None:
    """What all slots have told; None: no worker has a store."""
    slots = range(mapping.slots)
    stamps = {mapping.load_word(_SECTION, slot, _STAMP_AT): slot for slot in slots}
    latest = max(stamps)
    if latest == 0:
        return None
    did = [sum(mapping.load_word(_SECTION, slot, at) for slot in slots) for at in range(len(_DID))]
    machine = [mapping.load_word(_SECTION, stamps[latest], _MACHINE_AT + at) for at in range(len(_MACHINE))]
    return StoreTotals(*did, *machine)
