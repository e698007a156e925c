"""Metrics of the machine store, from what workers copy into the shared region."""

from __future__ import annotations

from tidegate.memory.store_report import StoreTotals
from tidegate.observe.metric_names import Families, Metric

__all__ = ["STORE", "store_families"]

ENTRIES = Metric(
    "tidegate_store_entries", "gauge", ("size",), "values in the machine store: `small` ones, and `large` over 64 KiB"
)
BYTES = Metric(
    "tidegate_store_bytes",
    "gauge",
    ("size",),
    "what they count towards its bound: values, keys and what it takes to find them",
)
REMOVALS = Metric(
    "tidegate_store_removals_total",
    "counter",
    ("reason",),
    "values that made room for others (`evicted`) or were over (`expired`), since the store was begun",
)
WRITES = Metric(
    "tidegate_store_writes_total",
    "counter",
    ("result",),
    "writes: `stored`, `deleted`, or in vain: `no_room` in its file system, `turned_away` because its writer was stuck "
    "or too much waited for it",
)
STUCK = Metric(
    "tidegate_store_stuck_total", "counter", (), "times that a worker's writer was held up, mostly by a stopped process"
)
DAMAGES = Metric(
    "tidegate_store_damages_total",
    "counter",
    ("what",),
    "values that could not be read (`value`), and times that the store was begun anew (`store`)",
)
STORE = (ENTRIES, BYTES, REMOVALS, WRITES, STUCK, DAMAGES)
"""Every metric of this module, in the order of the exposition."""


def store_families(seen: StoreTotals) -> Families:
    """Each family with its samples.

    Args:
        seen: What all workers have told.
    """
    yield ENTRIES, [({"size": "small"}, seen.small), ({"size": "large"}, seen.large)]
    yield BYTES, [({"size": "small"}, seen.bytes - seen.large_bytes), ({"size": "large"}, seen.large_bytes)]
    yield REMOVALS, [({"reason": "evicted"}, seen.evictions), ({"reason": "expired"}, seen.expirations)]
    results = ("stored", "deleted", "no_room", "turned_away")
    counts = (seen.stored, seen.deleted, seen.full, seen.turned_away)
    yield WRITES, [({"result": result}, count) for result, count in zip(results, counts, strict=True)]
    yield STUCK, [({}, seen.writer_waits)]
    yield DAMAGES, [({"what": "value"}, seen.broken), ({"what": "store"}, seen.rebuilt)]
