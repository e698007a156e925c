"""When requests are due: numbers only, no clock."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.bench.schedule import Schedule

rates = st.floats(0, 500)
stretches = st.lists(st.tuples(st.floats(0.1, 3), rates, rates), min_size=1, max_size=4)


def points(*given, **options):
    return Schedule(given, **options).take(1_000_000)


def test_a_constant_rate_is_even():
    assert points((2.0, 4.0, 4.0)) == [0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75]
    assert len(points((10.0, 12_345.0, 12_345.0))) == 123_450


def test_a_step_changes_the_distance_at_once():
    assert points((1.0, 2.0, 2.0), (1.0, 4.0, 4.0), (1.0, 1.0, 1.0)) == [0.0, 0.5, 1.0, 1.25, 1.5, 1.75, 2.0]


def test_a_ramp_is_the_root_of_its_parabola():
    # 0 to 10/s in 10 s: by t, t²/2 requests are due.
    found = points((10.0, 0.0, 10.0))
    assert found == pytest.approx([math.sqrt(2 * n) for n in range(50)])
    down = points((10.0, 10.0, 0.0))
    assert down == pytest.approx([10 - math.sqrt(100 - 2 * n) for n in range(50)])


def test_a_time_without_requests_is_gone_over():
    assert points((1.0, 2.0, 2.0), (5.0, 0.0, 0.0), (1.0, 2.0, 2.0)) == [0.0, 0.5, 6.0, 6.5]
    assert points((1.0, 0.0, 0.0)) == []


@given(stretches)
def test_as_many_are_due_as_the_integral_says(given):
    schedule = Schedule(given)
    found = schedule.take(1_000_000)
    assert found == sorted(found)
    assert abs(len(found) - schedule.requests) <= 1 + 1e-6 * schedule.requests
    for number, at_s in enumerate(found):
        assert schedule.due_by(at_s) == pytest.approx(number, abs=1e-3)
    assert schedule.due_by(schedule.seconds + 1) == pytest.approx(schedule.requests)


@given(stretches, st.integers(2, 5))
def test_processes_together_send_the_whole(given, parts):
    whole = Schedule(given).take(1_000_000)
    shared = [Schedule(given, part=part, parts=parts).take(1_000_000) for part in range(parts)]
    assert sorted(itertools.chain(*shared)) == whole


def test_poisson_arrivals_have_the_rate_and_the_spread_of_a_poisson_process():
    found = points((1000.0, 50.0, 50.0), is_poisson=True)
    assert len(found) == pytest.approx(50_000, abs=5 * math.sqrt(50_000))
    gaps = [later - earlier for earlier, later in itertools.pairwise(found)]
    mean = sum(gaps) / len(gaps)
    deviation = math.sqrt(sum((gap - mean) ** 2 for gap in gaps) / len(gaps))
    assert deviation == pytest.approx(mean, rel=0.03)  # of an exponential distribution they are equal
    assert sum(gap > mean for gap in gaps) / len(gaps) == pytest.approx(1 / math.e, abs=0.02)


def test_poisson_arrivals_follow_a_ramp():
    found = points((100.0, 0.0, 200.0), is_poisson=True)
    first = sum(at_s < 50 for at_s in found)
    assert first == pytest.approx(2500, abs=5 * 50)
    assert len(found) - first == pytest.approx(7500, abs=5 * 87)


def test_poisson_processes_of_one_seed_are_the_same_and_of_two_parts_are_not():
    once, again = (points((5.0, 100.0, 100.0), is_poisson=True, seed=7) for _ in range(2))
    assert once == again
    parts = [points((5.0, 100.0, 100.0), is_poisson=True, part=part, parts=2) for part in range(2)]
    assert not set(parts[0]) & set(parts[1])
    assert len(parts[0]) + len(parts[1]) == pytest.approx(500, abs=5 * math.sqrt(500))


def test_the_rate_that_is_asked_for_is_known_at_any_moment():
    schedule = Schedule([(2.0, 10.0, 10.0), (10.0, 10.0, 110.0)])
    assert [schedule.rate_at(at_s) for at_s in (-1, 0, 1.9, 7, 12)] == [0, 10, 10, 60, 0]
    assert repr(schedule) == "<Schedule even, 620 requests in 12 s>"


@pytest.mark.parametrize("wrong", [[], [(0, 1, 1)], [(1, -1, 1)], [(1, 1, math.nan)], [(math.inf, 1, 1)]])
def test_what_is_no_schedule_is_refused(wrong):
    with pytest.raises(ValueError, match="stretch"):
        Schedule(wrong)
    with pytest.raises(ValueError, match="a part is 0 to 1"):
        Schedule([(1, 1, 1)], part=2, parts=2)
    schedule = Schedule([(1, 1, 1)])
    with pytest.raises(RuntimeError, match="made once"):
        schedule.__init__([(1, 1, 1)])
