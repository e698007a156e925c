"""What every algorithm keeps, whichever it is: restored numbers make sense, limits stay numbers."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.limits.adaptive.intervals import MS, S, interval

from tidegate.limits.adaptive.algorithm import finite
from tidegate.limits.adaptive.catalogue import ALGORITHMS, make

INTERVALS = st.lists(
    st.builds(
        lambda at, latency_ms, spread_ms, in_flight, drops: interval(
            at + 1,
            latency_ms,
            in_flight,
            latency_p90_ns=(latency_ms + spread_ms) * MS,
            latency_mean_ns=(2 * latency_ms + spread_ms) * MS // 2,
            drops=drops,
        ),
        st.integers(0, 1000),
        st.integers(1, 60_000),
        st.integers(0, 60_000),
        st.integers(1, 20_000),
        st.sampled_from([0, 0, 0, 1, 50, 99]),
    ),
    max_size=60,
)


@pytest.mark.parametrize("name", ALGORITHMS)
@settings(max_examples=40, deadline=None)
@given(intervals=INTERVALS)
def test_limit_stays_a_number_above_zero(name, intervals):
    algorithm = make(name)
    for one in sorted(intervals, key=lambda one: one.ended_ns):
        algorithm.update(one)
        assert math.isfinite(algorithm.limit)
        assert algorithm.limit > 0
        assert algorithm.queue_delay_ns >= 0
        assert repr(algorithm)


@pytest.mark.parametrize("name", ALGORITHMS)
@settings(max_examples=25, deadline=None)
@given(intervals=INTERVALS)
def test_what_was_exported_goes_on_alike_at_another_time(name, intervals):
    first, second = make(name), make(name)
    for at, one in enumerate(intervals):
        first.update(interval(at + 1, one.latency_min_ns / MS, one.in_flight_max))
    second.restore(first.export(100 * S), 500 * S)
    assert second.limit == pytest.approx(first.limit)
    assert second.floor_ns == pytest.approx(first.floor_ns, abs=1)


@pytest.mark.parametrize("name", ALGORITHMS)
@pytest.mark.parametrize(
    "nonsense", [{}, {"limit": math.nan}, {"limit": -3.0}, {"limit": "many"}, {"floor_ns": math.inf}]
)
def test_nonsense_in_a_state_file_changes_nothing(name, nonsense):
    algorithm = make(name)
    before = algorithm.limit
    algorithm.restore(nonsense, S)
    assert algorithm.limit == before
    algorithm.update(interval())
    assert math.isfinite(algorithm.limit)


def test_finite_takes_numbers_above_zero_only():
    assert finite({"a": 3}, "a", 1.0) == 3.0
    assert [finite({"a": value}, "a", 1.0) for value in (0, -1, math.inf, math.nan, None, "3")] == [1.0] * 6
    assert finite({}, "a", 1.0) == 1.0
