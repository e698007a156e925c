"""What a cache has counted, copied to the worker's meters in shared memory.

Shared counters outlive the worker, those of a cache do not: what is added is the difference to the last time.
"""

from typing import Final

from tidegate.cache.statistics import CacheStatistics
from tidegate.memory.meters import Meters

__all__ = ["CACHE_EVENTS", "CacheReport", "bytes_of", "split_bytes"]

CACHE_EVENTS: Final = {
    "worker": ("hits", "misses", "collapsed", "stale", "stale_if_error", "evictions"),
    "machine": ("hits", "misses", "stored", "refused"),
    "redis": ("hits", "misses", "stored", "fenced", "errors", "gaps"),
    "source": ("wholes", "changes", "losses", "failures", "unreadable"),
    "origin": ("loads", "failures", "refreshes", "invalidations", "told_late", "never_told"),
}
"""What the classes of a tier's series count, in this order."""


_AGE_MAX_S: Final = 65_535  # what a gauge can say


class CacheReport:
    """One cache's.

    Args:
        name: Of the cache, the first word of its series' names.
        shared: The worker's meters.
    """

    def __init__(self, name: str, shared: Meters) -> None:
        self._name = name
        self._shared = shared
        self._told: dict[str, list[int]] = {}

    def publish(self, seen: CacheStatistics) -> None:
        """Adds what has been counted since the last time."""
        worker, machine, redis, source = seen.worker, seen.machine, seen.redis, seen.source
        events = (worker.hits, worker.misses, seen.collapsed, seen.stale, seen.stale_if_error, worker.evictions)
        series = self._add("worker", events)
        # The bytes in two gauges of sixteen bits, and how old the oldest value is.
        self._shared.set_gauges(series, *split_bytes(worker.bytes), round(worker.age_s))
        loads = (seen.loads, seen.load_failures, seen.refreshes, seen.invalidations, seen.told_late, seen.never_told)
        series = self._add("origin", loads, duration_ns=round(seen.load_total_s * 1e9))
        self._shared.set_gauges(series, seen.waiting, seen.untold, 0)
        if machine is not None:
            self._add("machine", (machine.hits, machine.misses, machine.stored, machine.refused))
        if redis is not None:
            counts = (redis.hits, redis.misses, redis.stored, redis.fenced, redis.errors, redis.gaps)
            self._add("redis", counts, bytes_in=redis.bytes_in, bytes_out=redis.bytes_out)
        if source is not None:
            heard = (source.wholes, source.changes, source.losses, source.failures, source.unreadable)
            series = self._add("source", heard)
            self._shared.set_gauges(series, 0, 0, round(min(source.age_s, _AGE_MAX_S)))

    def _add(
        self, tier: str, events: tuple[int, ...], *, bytes_in: int = 0, bytes_out: int = 0, duration_ns: int = 0
    ) -> int:
        now = [*events, *(0,) * (6 - len(events)), bytes_in, bytes_out, duration_ns]
        before = self._told.get(tier) or [0] * len(now)
        self._told[tier] = now
        # Less than before: the tier was made anew, and has counted all of it since.
        new = [count - known if count >= known else count for count, known in zip(now, before, strict=True)]
        series = self._shared.series_index("cache", f"{self._name} {tier}")
        self._shared.add_to_series(series, classes=new[:6], bytes_in=new[6], bytes_out=new[7], duration_ns=new[8])
        return series

    def __repr__(self) -> str:
        return f"<CacheReport of {self._name}>"


def split_bytes(size: int) -> tuple[int, int]:
    """A number of bytes as two gauges, whose sums over workers `bytes_of` understands; to a KiB."""
    return divmod(size >> 10, 1 << 16)


def bytes_of(high: int, low: int) -> int:
    """The bytes of two gauges, or of their sums."""
    return ((high << 16) + low) << 10
