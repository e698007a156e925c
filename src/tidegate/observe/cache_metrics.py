"""Metrics of caches, from what workers copy into the shared region."""

from collections.abc import Iterable
from typing import NamedTuple

from tidegate.cache.report import CACHE_EVENTS, bytes_of
from tidegate.memory.meters import MeterReader
from tidegate.observe.metric_names import Families, Metric, Samples

__all__ = ["AGE", "BYTES", "CACHE", "SOURCE_AGE", "UNTOLD", "WAITING", "Tier", "cache_families", "tiers_in"]

EVENTS = Metric(
    "tidegate_cache_events_total",
    "counter",
    ("cache", "tier", "event"),
    "what happened in a tier: in the `worker` (`hits`, `misses`, callers `collapsed` into one fetch, values given out "
    "`stale`, `stale_if_error`, `evictions`), on the `machine` (`hits`, `misses`, `stored`, `refused`), in `redis` "
    "(`hits`, `misses`, `stored`, `fenced` off by an invalidation, `errors`, `gaps` in what others said), in a "
    "`source` that is watched (`wholes` read, `changes` heard of, `losses`, `failures` to fetch what has changed, "
    "`unreadable` values) and at the `origin` (`loads`, their `failures`, `refreshes` nobody waited for, "
    "`invalidations`, of which Redis was `told_late` or `never_told`)",
)
TRAFFIC = Metric(
    "tidegate_cache_redis_bytes_total", "counter", ("cache", "direction"), "bytes of values read (in) and stored (out)"
)
LOAD = Metric("tidegate_cache_load_seconds_total", "counter", ("cache",), "time that loads have taken, in sum")
BYTES = Metric("tidegate_cache_bytes", "gauge", ("cache",), "what workers keep at hand, of all of them together")
AGE = Metric("tidegate_cache_age_seconds", "gauge", ("cache",), "how long the oldest value at hand has been there")
WAITING = Metric("tidegate_cache_waiting", "gauge", ("cache",), "callers that wait for a fetch now")
SOURCE_AGE = Metric(
    "tidegate_cache_source_age_seconds",
    "gauge",
    ("cache",),
    "how long ago all that had changed in the source was known, at most; below 3 while it is heard",
)
UNTOLD = Metric("tidegate_cache_untold", "gauge", ("cache",), "invalidations that Redis could not be told yet")
CACHE = (EVENTS, TRAFFIC, LOAD, BYTES, AGE, WAITING, SOURCE_AGE, UNTOLD)
"""Every metric of this module, in the order of the exposition."""


class Tier(NamedTuple):
    """A tier of a cache, of all workers together; ``gauges``: what it has now, by metric."""

    cache: str
    tier: str
    events: dict[str, int]
    bytes_in: int
    bytes_out: int
    load_s: float
    gauges: dict[Metric, int]


def tiers_in(reader: MeterReader) -> list[Tier]:
    """Every tier that a worker has told of."""
    found = []
    places = reader.places()
    for one in reader.sums():
        cache, _, tier = one.name.rpartition(" ")
        if one.kind != "cache" or tier not in CACHE_EVENTS:
            continue
        read = reader.read(one.kind, one.name, places.get((one.kind, one.name), []))
        gauges = {}
        if tier == "worker":
            gauges = {BYTES: bytes_of(one.open, one.waiting), AGE: one.endpoints_asked}
        elif tier == "origin":
            gauges = {WAITING: one.open, UNTOLD: one.waiting}
        elif tier == "source":
            gauges = {SOURCE_AGE: one.endpoints_asked}
        events = dict(zip(CACHE_EVENTS[tier], read.classes, strict=False))
        found.append(Tier(cache, tier, events, one.bytes_in, one.bytes_out, one.duration_ns / 1e9, gauges))
    return found


def cache_families(tiers: Iterable[Tier]) -> Families:
    """Each family with its samples."""
    samples: dict[Metric, Samples] = {metric: [] for metric in CACHE}
    for one in tiers:
        label = {"cache": one.cache}
        samples[EVENTS] += [({**label, "tier": one.tier, "event": event}, n) for event, n in one.events.items()]
        for metric, value in one.gauges.items():
            samples[metric].append((label, value))
        if one.tier == "redis":
            samples[TRAFFIC].append(({**label, "direction": "in"}, one.bytes_in))
            samples[TRAFFIC].append(({**label, "direction": "out"}, one.bytes_out))
        if one.tier == "origin":
            samples[LOAD].append((label, one.load_s))
    yield from samples.items()
