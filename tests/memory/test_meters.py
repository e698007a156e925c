"""Counters and histograms of the slots."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.memory.histogram import BUCKETS, bucket_of
from tidegate.memory.meters import COUNTER_NAMES, GAUGES, VERDICTS, MeterReader
from tidegate.memory.region import Region, read_meters

pytestmark = pytest.mark.sanitize


@pytest.fixture
def region():
    made = Region.create(slots=2, log_bytes=1 << 16, series=3)
    yield made
    made.close()


def series_of(region, slot=None):
    return {(one.kind, one.name): one for one in read_meters(region, slot).series}


def test_counters_of_all_slots_are_summed(region):
    for i in range(2):
        meters = region.slot(i).take_meters()
        for at, name in enumerate(COUNTER_NAMES):
            meters.count(name, at + 1)
    counters = read_meters(region).counters
    assert counters["connections_accepted"] == 2
    assert counters["gc_collections"] == 2 * (COUNTER_NAMES.index("gc_collections") + 1)
    assert read_meters(region, 1).counters["connections_open"] == 2


def test_largest_of_a_maximum_is_kept_not_the_sum(region):
    region.slot(0).take_meters().set("loop_lag_max_ns", 500)
    region.slot(1).take_meters().set("loop_lag_max_ns", 300)
    assert read_meters(region).counters["loop_lag_max_ns"] == 500


def test_successor_goes_on_with_counters_and_resets_gauges(region):
    first = region.slot(0).take_meters()
    for name in COUNTER_NAMES:
        first.count(name, 5)
    route = first.series_index("route", "orders")
    first.record_exchange(route, 200, 3_000_000, 10, 20)
    del first
    second = region.slot(0).take_meters()
    counters = read_meters(region, 0).counters
    assert {name for name in COUNTER_NAMES if counters[name] == 0} == GAUGES | {"log_lines_lost"}
    assert all(counters[name] == 5 for name in COUNTER_NAMES if name not in GAUGES | {"log_lines_lost"})
    assert second.series_index("route", "orders") == route
    second.record_exchange(route, 200, 3_000_000, 10, 20)
    assert series_of(region)["route", "orders"].classes[2] == 2


def test_series_are_found_again_by_kind_and_name(region):
    meters = region.slot(0).take_meters()
    route = meters.series_index("route", "a")
    assert meters.series_index("upstream", "a") != route
    assert meters.series_index("route", "a") == route
    assert route > 1


def test_two_views_in_one_process_find_each_others_series(region):
    pulse, plane = region.slot(0).take_meters(), region.slot(0).take_meters()
    assert pulse.series_index("route", "a") == plane.series_index("route", "a") == 9
    assert plane.series_index("route", "b") == 10
    assert pulse.series_index("upstream", "b") == 11
    assert plane.series_index("upstream", "b") == 11
    assert set(MeterReader(region.mapping).places()) == {
        ("route", "other"), ("upstream", "other"), ("limit", "other"),
        ("redis_command", "other"), ("redis_lane", "other"), ("redis_keys", "other"), ("shed", "other"),
        ("fleet", "other"), ("cache", "other"),
        ("route", "a"), ("route", "b"), ("upstream", "b"),
    }  # fmt: skip


def test_beyond_the_bound_everything_counts_as_other_of_its_kind(region):
    meters = region.slot(0).take_meters()
    made = [meters.series_index("route", f"r{i}") for i in range(5)]
    assert made == [9, 10, 11, 0, 0]
    assert meters.series_index("upstream", "u") == 1
    assert meters.series_index("limit", "l") == 2
    assert read_meters(region).series_refused == 4
    meters.record_exchange(made[4], 200, 1000)
    meters.record_exchange(1, 502, 1000)
    totals = series_of(region)
    assert totals["route", "other"].classes == (0, 0, 1, 0, 0, 0)
    assert totals["upstream", "other"].classes == (0, 0, 0, 0, 0, 1)


def test_what_was_counted_elsewhere_is_added_to_a_series(region):
    meters, reader = region.slot(0).take_meters(), MeterReader(region.mapping)
    at = meters.series_index("redis_command", "main GET")
    for _ in range(2):
        meters.add_to_series(at, classes=[3, 1, 0, 0, 0, 0], duration_ns=5000, bytes_in=7, buckets=[0, 4])
    meters.set_gauges(at, 2, 70_000, 1)
    one = series_of(region)["redis_command", "main GET"]
    assert (one.classes, one.duration_ns, one.bytes_in, one.bytes_out) == ((6, 2, 0, 0, 0, 0), 10_000, 14, 0)
    assert one.buckets[:3] == (0, 8, 0) and sum(one.buckets) == 8
    places = reader.places()["redis_command", "main GET"]
    assert reader.gauges(places) == (2, 65_535, 1)
    assert reader.gauges(places * 2) == (4, 131_070, 2)
    with pytest.raises(IndexError):
        meters.add_to_series(10_000, classes=[0] * 6)


def test_verdicts_of_a_limit_are_counted_by_name(region):
    meters = region.slot(0).take_meters()
    at = meters.series_index("limit", "edge")
    for times, verdict in enumerate(VERDICTS, 1):
        meters.record_limit(at, verdict, times)
    assert series_of(region)["limit", "edge"].classes == (1, 2, 3, 4, 0, 0)


def test_route_named_other_shares_the_series_other(region):
    assert region.slot(0).take_meters().series_index("route", "other") == 0


def test_same_series_at_different_places_of_two_slots_is_summed(region):
    one, two = (region.slot(i).take_meters() for i in range(2))
    one.series_index("route", "first")
    one.record_exchange(one.series_index("route", "orders"), 404, 2_000, 1, 2)
    two.record_exchange(two.series_index("route", "orders"), 200, 5_000, 3, 4)
    orders = series_of(region)["route", "orders"]
    assert orders.classes == (0, 0, 1, 0, 1, 0)
    assert (orders.bytes_in, orders.bytes_out, orders.duration_ns) == (4, 6, 7_000)
    assert sum(orders.buckets) == 2
    assert series_of(region, 0)["route", "orders"].classes[4] == 1


def test_long_names_that_begin_alike_stay_apart(region):
    meters = region.slot(0).take_meters()
    a, b = meters.series_index("route", "x" * 80 + "a"), meters.series_index("route", "x" * 80 + "b")
    assert a != b
    names = [name for kind, name in MeterReader(region.mapping).places() if name != "other"]
    assert len(set(names)) == 2
    assert all(len(name) <= 63 for name in names)
    assert region.slot(0).take_meters().series_index("route", "x" * 80 + "a") == a


@pytest.mark.parametrize(
    ("status", "at"), [(0, 0), (100, 1), (101, 1), (204, 2), (399, 3), (499, 4), (599, 5), (600, 5), (999, 5), (7, 0)]
)
def test_status_is_counted_by_its_class(region, status, at):
    meters = region.slot(0).take_meters()
    meters.record_exchange(0, status, 1)
    assert [i for i, n in enumerate(series_of(region)["route", "other"].classes) if n] == [at]


@given(duration=st.integers(0, 2**63 - 1))
def test_compiled_bucket_agrees_with_the_arithmetic(duration):
    region = Region.create(1, 1, 1)
    try:
        region.slot(0).take_meters().record_exchange(0, 200, duration)
        buckets = read_meters(region).series[0].buckets
        assert len(buckets) == BUCKETS
        assert buckets[bucket_of(duration // 1000)] == 1
    finally:
        region.close()


def test_index_out_of_the_table_counts_as_other(region):
    region.slot(0).take_meters().record_exchange(4_000_000, 200, 1)
    assert series_of(region)["route", "other"].classes[2] == 1


def test_gauge_taken_too_often_shows_below_zero(region):
    region.slot(0).take_meters().count("connections_open", 2**64 - 1)
    assert read_meters(region).counters["connections_open"] == -1


def test_counter_cannot_be_set(region):
    with pytest.raises(ValueError, match="only grow"):
        region.slot(0).take_meters().set("exchanges_started", 0)


def test_sums_are_those_of_all_slots_and_the_greatest_of_what_is_no_sum(region):
    for at in range(2):
        meters = region.slot(at).take_meters()
        series = meters.series_index("upstream", "store")
        meters.record_exchange(series, 200, 1_000, 1, 2)
        meters.record_exchange(series, 0, 2_000)
        meters.record_upstream(
            series, failures=3, rtt_ns=10 + at, retransmits=4, open=70_000, waiting=5, asked=6 + at, failing=at
        )
    reader = MeterReader(region.mapping)
    (one,) = [one for one in reader.sums() if one.name == "store"]
    assert one[:6] == ("upstream", "store", 4, 2, 4, 6_000)
    assert (one.failures, one.retransmits, one.rtt_ns) == (6, 8, 11)
    assert (one.open, one.waiting) == (2 * 65_535, 10)
    assert (one.endpoints_asked, one.endpoints_failing) == (7, 1)
    late = region.slot(1).take_meters()
    late.record_upstream(late.series_index("upstream", "later"), failures=1)
    assert [one.failures for one in reader.sums() if one.name == "later"] == [1]


def test_successor_resets_what_an_upstream_is_now_and_goes_on_with_its_counters(region):
    first = region.slot(0).take_meters()
    first.record_upstream(first.series_index("upstream", "store"), failures=3, rtt_ns=9, retransmits=4, open=2)
    region.slot(0).take_meters()
    (one,) = [one for one in MeterReader(region.mapping).sums() if one.name == "store"]
    assert (one.failures, one.retransmits, one.rtt_ns, one.open) == (3, 4, 0, 0)
