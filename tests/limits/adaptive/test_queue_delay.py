"""The default: growth by steps, decrease along a sigmoid, by the waiting of the slowest tenth."""

import pytest
from tests.limits.adaptive.intervals import MS, S, interval

from tidegate.limits.adaptive.algorithm import Why
from tidegate.limits.adaptive.queue_delay import QueueDelay, decrease_factor


@pytest.mark.parametrize(("signal", "factor"), [(1.0000001, 0.9455), (2.0, 0.825), (3.0, 0.7045)])
def test_factors_of_the_contract(signal, factor):
    assert decrease_factor(signal) == pytest.approx(factor, abs=5e-5)


def test_factor_falls_from_one_end_to_the_other_and_never_beyond():
    factors = [decrease_factor(signal) for signal in (-1e9, 0, 1, 1.5, 2, 2.5, 3, 10, 1e9)]
    assert factors == sorted(factors, reverse=True)
    assert factors[0] == pytest.approx(0.95)
    assert factors[-1] == pytest.approx(0.70)


def waiting(targets, limit=200.0, **more):
    """A limit after one interval in which the slowest tenth waited so many targets of 5 ms."""
    algorithm = QueueDelay(limit)
    why = algorithm.update(interval(1, 1, in_flight=200, waiting_p90_ns=int(targets * 5 * MS), **more))
    return algorithm.limit, why


@pytest.mark.parametrize(
    ("targets", "limit", "why"),
    [
        (0.0, 220.0, Why.SHORT_QUEUE),
        (0.49, 220.0, Why.SHORT_QUEUE),
        (0.5, 210.0, Why.SHORT_QUEUE),
        (1.0, 210.0, Why.SHORT_QUEUE),
        (2.0, 165.0, Why.LONG_QUEUE),
        (3.0, 140.9, Why.LONG_QUEUE),
        (50.0, 140.0, Why.LONG_QUEUE),
    ],
)
def test_signal_makes_the_limit(targets, limit, why):
    found = waiting(targets)
    assert found[0] == pytest.approx(limit, abs=0.01)
    assert found[1] is why


def test_a_small_limit_grows_by_one_at_least():
    assert waiting(0.7, limit=3.0)[0] == 4.0
    assert waiting(0.0, limit=3.0)[0] == 4.0


@pytest.mark.parametrize(("drops", "factor"), [(1, 0.945), (10, 0.825), (20, 0.7045), (100, 0.70)])
def test_drops_count_as_waiting(drops, factor):
    limit, why = waiting(0.0, drops=drops)
    assert limit / 200 == pytest.approx(factor, abs=2e-3)
    assert why is Why.DROPS


def test_the_longer_of_waiting_and_drops_counts():
    assert waiting(3.0, drops=1)[0] == pytest.approx(140.9, abs=0.01)


def test_an_upstream_that_has_become_slower_is_not_taken_for_a_queue():
    algorithm = QueueDelay(100)
    algorithm.update(interval(1, 50, in_flight=60))
    algorithm.limit = 100.0
    algorithm.update(interval(2, 800, in_flight=100))
    assert algorithm.limit == pytest.approx(70)
    assert algorithm.update(interval(4, 800, in_flight=70)) is Why.NEW_FLOOR
    assert algorithm.limit == pytest.approx(77)
    assert (algorithm.floor_ns, algorithm.queue_delay_ns, algorithm.target_ns) == (800 * MS, 0, 400 * MS)


def test_options_are_used():
    algorithm = QueueDelay(
        100,
        target_min_ns=10 * MS,
        target_share=0.1,
        step_share=0.2,
        quick_step_share=0.5,
        least_factor=0.4,
        most_factor=0.8,
        middle=5.0,
        steepness=100.0,
        window_ns=S,
    )
    algorithm.update(interval(1, 1, waiting_p90_ns=8 * MS))
    assert algorithm.limit == pytest.approx(120)
    algorithm.update(interval(2, 1, waiting_p90_ns=0))
    assert algorithm.limit == pytest.approx(180)
    algorithm.update(interval(3, 1, waiting_p90_ns=49 * MS))
    assert algorithm.limit == pytest.approx(144, abs=0.01)
    algorithm.update(interval(4, 1, waiting_p90_ns=51 * MS))
    assert algorithm.limit == pytest.approx(57.6, abs=0.01)
    assert algorithm.target_ns == 10 * MS
    algorithm.update(interval(5, 200, in_flight=1))
    assert algorithm.floor_ns == 1 * MS
    algorithm.update(interval(7, 200, in_flight=1))
    assert algorithm.floor_ns == 200 * MS
    assert algorithm.target_ns == 20 * MS
