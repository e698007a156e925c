"""What the store tells in the shared region."""

import pytest

from tidegate.memory.region import Region
from tidegate.memory.store.record import StoreStatistics
from tidegate.memory.store_report import StoreReport, read_store

NOTHING = StoreStatistics(*[0] * 15, is_full=False, is_stuck=False, is_away=False)


@pytest.fixture
def region():
    made = Region.create(3, 1, 1)
    yield made
    made.close()


def test_a_gateway_without_a_store_tells_nothing(region):
    assert read_store(region.mapping) is None


def test_what_workers_did_is_added_up_and_goes_on_over_their_deaths(region):
    first, second = StoreReport(region.mapping, 0), StoreReport(region.mapping, 2)
    first.publish(NOTHING._replace(stored=5, full=1), 10)
    first.publish(NOTHING._replace(stored=7, full=1), 20)
    second.publish(NOTHING._replace(stored=100, deleted=3, rebuilt=1), 30)
    StoreReport(region.mapping, 0).publish(NOTHING._replace(stored=2, turned_away=4, broken=6, writer_waits=8), 40)
    seen = read_store(region.mapping)
    assert (seen.stored, seen.deleted, seen.full, seen.turned_away) == (109, 3, 1, 4)
    assert (seen.writer_waits, seen.rebuilt, seen.broken) == (8, 1, 6)


def test_what_is_in_it_is_what_was_seen_last_and_not_a_sum(region):
    late, early = StoreReport(region.mapping, 0), StoreReport(region.mapping, 2)
    late.publish(
        NOTHING._replace(entries=3, small=2, large=1, bytes=300, large_bytes=200, evictions=9, expirations=8), 50
    )
    early.publish(NOTHING._replace(entries=2, small=1, large=1, bytes=100, large_bytes=90, evictions=5), 40)
    assert read_store(region.mapping)[-6:] == (2, 1, 300, 200, 9, 8)
    early.publish(NOTHING._replace(small=4, bytes=40), 60)
    assert read_store(region.mapping)[-6:] == (4, 0, 40, 0, 0, 0)
