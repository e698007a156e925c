"""Metrics of the machine store, as somebody else reads them."""

import asyncio

from prometheus_client.parser import text_string_to_metric_families

from tidegate.memory.region import Region
from tidegate.memory.store.record import StoreStatistics
from tidegate.memory.store_report import StoreReport
from tidegate.observe.metrics import Metrics
from tidegate.observe.store_metrics import STORE

SEEN = StoreStatistics(
    entries=9, bytes=1000, small=7, large=2, large_bytes=600, evictions=11, expirations=12,
    stored=13, deleted=14, full=15, turned_away=16, writer_waits=17, rebuilt=18, broken=19, waiting=20,
    is_full=True, is_stuck=False, is_away=False,
)  # fmt: skip


def exposition(region):
    return asyncio.run(Metrics(region).render()).decode()


def test_every_metric_is_there_with_its_type_and_labels():
    region = Region.create(2)
    StoreReport(region.mapping, 1).publish(SEEN, 5)
    families = {family.name: family for family in text_string_to_metric_families(exposition(region))}
    region.close()
    for metric in STORE:
        family = families[metric.name.removesuffix("_total")]
        assert (family.type, family.documentation) == (metric.type, metric.meaning)
        assert all(set(sample.labels) == set(metric.labels) for sample in family.samples)
    found = {
        (sample.name.removeprefix("tidegate_store_"), *sample.labels.values()): sample.value
        for family in families.values()
        for sample in family.samples
        if family.name.startswith("tidegate_store")
    }
    assert found == {
        ("entries", "small"): 7,
        ("entries", "large"): 2,
        ("bytes", "small"): 400,
        ("bytes", "large"): 600,
        ("removals_total", "evicted"): 11,
        ("removals_total", "expired"): 12,
        ("writes_total", "stored"): 13,
        ("writes_total", "deleted"): 14,
        ("writes_total", "no_room"): 15,
        ("writes_total", "turned_away"): 16,
        ("stuck_total",): 17,
        ("damages_total", "value"): 19,
        ("damages_total", "store"): 18,
    }


def test_a_gateway_without_a_store_has_no_metrics_of_it():
    region = Region.create(1)
    text = exposition(region)
    region.close()
    assert "tidegate_store" not in text
