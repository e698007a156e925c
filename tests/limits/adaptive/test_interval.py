"""What an interval says of itself."""

import pytest
from tests.limits.adaptive.intervals import MS, S, interval

from tidegate.limits.adaptive.interval import Interval


def test_one_request_is_an_interval():
    one = Interval.one(5 * S, 40 * MS, 7, was_dropped=True)
    assert (one.started_ns, one.ended_ns, one.count, one.drops) == (5 * S, 5 * S + 40 * MS, 1, 1)
    assert one.latency_min_ns == one.latency_mean_ns == one.latency_p90_ns == 40 * MS
    assert one.in_flight_max == one.in_flight_mean == 7
    assert one.answered == 0


def test_rates_and_shares():
    assert interval(count=200, drops=50).drop_share == 0.25
    assert interval(count=200, drops=50).pass_rate_per_s == pytest.approx(150.0)
    assert interval(count=0).drop_share == 0.0
    assert interval(duration_ns=0).pass_rate_per_s == 0.0
