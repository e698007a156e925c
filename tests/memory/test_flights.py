"""The table of flights: one leader a key, until it lands or its lease ends."""

import pytest

from tidegate.memory.flights import FLIGHTS, FlightTable, flights_size
from tidegate.memory.region import Region

NOW_NS = 10**12
LEASE_NS = 5 * 10**9
KEY = 0x1234_5678_9ABC_DEF0


@pytest.fixture
def region():
    made = Region.create(4, 1, 1)
    yield made
    made.close()


@pytest.fixture
def tables(region):
    return [FlightTable(region.mapping, slot) for slot in range(4)]


def test_one_leads_and_the_others_do_not(tables):
    until = tables[1].lead(KEY, NOW_NS, LEASE_NS)
    assert abs(until - NOW_NS - LEASE_NS) < 2048 and until % 1024 == 1
    assert [table.lead(KEY, NOW_NS + 1, LEASE_NS) for table in tables] == [0] * 4
    assert all(table.is_flying(KEY, NOW_NS + 1) for table in tables)
    assert not tables[0].is_flying(KEY + 1, NOW_NS)
    assert tables[0].lead(KEY + 1, NOW_NS, LEASE_NS)


def test_after_a_landing_another_leads(tables):
    until = tables[1].lead(KEY, NOW_NS, LEASE_NS)
    assert tables[1].land(KEY, until)
    assert not tables[1].land(KEY, until)
    assert not tables[2].is_flying(KEY, NOW_NS + 1)
    assert tables[2].lead(KEY, NOW_NS + 1, LEASE_NS)


def test_lease_ends_by_itself_and_its_leader_ends_nobody_elses(tables):
    first = tables[1].lead(KEY, NOW_NS, LEASE_NS)
    assert tables[2].lead(KEY, first - 1, LEASE_NS) == 0
    second = tables[2].lead(KEY, first, LEASE_NS)
    assert second
    assert not tables[1].land(KEY, first)
    assert tables[0].is_flying(KEY, first + 1)
    assert tables[2].land(KEY, second)


def test_one_slot_leads_twice_in_a_row_by_two_leases(tables):
    first = tables[1].lead(KEY, NOW_NS, LEASE_NS)
    second = tables[1].lead(KEY, first, LEASE_NS)
    assert second > first
    assert not tables[1].land(KEY, first)
    assert tables[1].land(KEY, second)


def test_what_the_dead_led_is_free_and_nothing_else(tables):
    keys = [KEY ^ n * 0x9E37_79B9_7F4A_7C15 % 2**64 for n in range(100)]
    for at, key in enumerate(keys):
        assert tables[at % 4].lead(key, NOW_NS, LEASE_NS)
    assert tables[0].flying(NOW_NS) == 100
    assert tables[0].forget(2, NOW_NS) == 25
    assert tables[0].flying(NOW_NS) == 75
    assert [tables[0].is_flying(key, NOW_NS) for key in keys[:4]] == [True, True, False, True]
    assert tables[0].forget(2, NOW_NS) == 0


def test_slot_gives_back_what_its_worker_led(region, tables, monkeypatch):
    monkeypatch.setattr("time.monotonic_ns", lambda: NOW_NS)
    tables[2].lead(KEY, NOW_NS, LEASE_NS)
    tables[3].lead(KEY + 1, NOW_NS, LEASE_NS)
    region.slot(2).give_back()
    assert not tables[0].is_flying(KEY, NOW_NS)
    assert tables[0].is_flying(KEY + 1, NOW_NS)


def test_a_thousand_flights_at_once_leave_each_other_alone(tables):
    keys = [pow(3, n, 2**64 - 59) | 1 << 20 for n in range(1, 1001)]
    for at, key in enumerate(keys):
        assert tables[at % 4].lead(key, NOW_NS, LEASE_NS)
    assert all(table.lead(key, NOW_NS + 1, LEASE_NS) == 0 for key in keys for table in tables)
    assert tables[0].evictions == 0
    assert flights_size() > FLIGHTS * 16


def test_lease_has_a_least_length(tables):
    assert tables[0].lead(KEY, NOW_NS, 0) > NOW_NS
    assert tables[1].lead(KEY, NOW_NS + 900_000, LEASE_NS) == 0


def test_slot_has_to_be_there(region):
    with pytest.raises(IndexError, match="no slot 4"):
        FlightTable(region.mapping, 4)
