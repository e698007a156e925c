"""Who asks most, merged over the workers and bounded for who looks."""

from hashlib import blake2b

import pytest

from tidegate.memory.hitters import HitterReader
from tidegate.memory.meters import MeterReader
from tidegate.memory.region import Region
from tidegate.observe.hitters import SHOWN_MAX, TOP, hitters_document

NOW = 1000 * 600 * 1_000_000_000


@pytest.fixture
def region():
    made = Region.create(slots=2, log_bytes=1 << 16, series=100)
    yield made
    made.close()


def record(region, slot, kind, name, key, **figures):
    series = region.slot(slot).take_meters().series_index(kind, name)
    # Not `hash`: with some of its seeds one key has all its cells in common with greater ones, and is not seen.
    fingerprint = int.from_bytes(blake2b(key.encode(), digest_size=8).digest())
    region.slot(slot).take_hitters().record(series, fingerprint, key.encode(), NOW, **figures)


def document(region, now_ns=NOW):
    return hitters_document(MeterReader(region.mapping), HitterReader(region.mapping), now_ns)


def test_workers_are_merged_by_key_and_windows_are_apart(region):
    # The series of a limit lies elsewhere in each worker.
    region.slot(1).take_meters().series_index("route", "first")
    for slot in range(2):
        record(region, slot, "limit", "edge", "acme", refusals=1, upstream_ns=10**9, size=50)
    found = document(region)["limits"]["edge"]
    figures = {"requests": 2, "refusals": 2, "upstream_seconds": 2.0, "bytes": 100}
    assert found["10s"] == {"all": figures, "keys": [{"key": "acme", **figures}]}
    later = document(region, NOW + 30 * 1_000_000_000)["limits"]["edge"]
    assert later["10s"]["keys"] == []
    assert later["10min"]["keys"][0]["requests"] == 2


def test_twenty_of_each_ranking_are_shown(region):
    for at in range(60):
        record(region, 0, "route", "all", f"k{at:02}", times=60 - at)
    keys = document(region)["routes"]["all"]["10min"]["keys"]
    assert [one["key"] for one in keys] == [f"k{at:02}" for at in range(TOP)]


def test_those_with_most_requests_are_shown_and_the_rest_is_counted(region):
    for at in range(SHOWN_MAX + 5):
        record(region, 0, "route", f"r{at}", "acme", times=1 + at)
    found = document(region)
    assert len(found["routes"]) == SHOWN_MAX
    assert "r0" not in found["routes"]
    assert found["routes_left_out"] == 5
    assert (found["limits"], found["limits_left_out"]) == ({}, 0)
