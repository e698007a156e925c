"""Metrics of caches, as somebody else reads them."""

from __future__ import annotations

import asyncio

from prometheus_client.parser import text_string_to_metric_families

from tidegate.cache.report import CacheReport
from tidegate.cache.statistics import (
    CacheStatistics,
    MachineStatistics,
    RemoteStatistics,
    SourceStatistics,
    TierStatistics,
)
from tidegate.memory.region import Region
from tidegate.observe.cache_metrics import CACHE
from tidegate.observe.metrics import Metrics

SEEN = CacheStatistics(
    name="prices",
    worker=TierStatistics(hits=1, misses=2, entries=3, bytes=4096, evictions=5, age_s=6.4),
    collapsed=7,
    waiting=8,
    stale=9,
    stale_if_error=10,
    refreshes=11,
    loads=12,
    load_failures=13,
    load_total_s=1.5,
    invalidations=14,
    machine=MachineStatistics(hits=15, misses=16, stored=17, refused=18),
    untold=31,
    told_late=32,
    never_told=33,
    source=SourceStatistics(wholes=27, changes=28, losses=29, failures=30, unreadable=34, age_s=float("inf")),
    redis=RemoteStatistics(hits=19, misses=20, stored=21, fenced=22, bytes_in=23, bytes_out=24, errors=25, gaps=26),
)


def exposition(region: Region) -> str:
    return asyncio.run(Metrics(region).render()).decode()


def test_every_metric_is_there_with_its_type_and_labels() -> None:
    region = Region.create(2)
    assert "tidegate_cache" not in exposition(region), "no worker has a cache"
    for slot in (0, 1):
        CacheReport("prices", region.slot(slot).take_meters()).publish(SEEN)
    families = {family.name: family for family in text_string_to_metric_families(exposition(region))}
    region.close()
    for metric in CACHE:
        family = families[metric.name.removesuffix("_total")]
        assert (family.type, family.documentation) == (metric.type, metric.meaning)
        assert family.samples and all(set(sample.labels) == set(metric.labels) for sample in family.samples)
    found = {
        (sample.name.removeprefix("tidegate_cache_"), *list(sample.labels.values())[1:]): sample.value
        for family in families.values()
        for sample in family.samples
        if family.name.startswith("tidegate_cache")
    }
    by_tier = {
        "worker": {"hits": 1, "misses": 2, "collapsed": 7, "stale": 9, "stale_if_error": 10, "evictions": 5},
        "machine": {"hits": 15, "misses": 16, "stored": 17, "refused": 18},
        "redis": {"hits": 19, "misses": 20, "stored": 21, "fenced": 22, "errors": 25, "gaps": 26},
        "source": {"wholes": 27, "changes": 28, "losses": 29, "failures": 30, "unreadable": 34},
        "origin": {
            "loads": 12,
            "failures": 13,
            "refreshes": 11,
            "invalidations": 14,
            "told_late": 32,
            "never_told": 33,
        },
    }
    events = {("events_total", tier, what): 2 * n for tier, counts in by_tier.items() for what, n in counts.items()}
    assert found == events | {
        ("redis_bytes_total", "in"): 46,
        ("redis_bytes_total", "out"): 48,
        ("load_seconds_total",): 3.0,
        ("bytes",): 8192,
        ("age_seconds",): 6,
        ("waiting",): 16,
        ("untold",): 62,
        ("source_age_seconds",): 65_535,
    }
