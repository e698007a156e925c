"""BBR: pass rate times latency, under load only."""

import pytest
from tests.limits.adaptive.intervals import interval

from tidegate.limits.adaptive.algorithm import Why
from tidegate.limits.adaptive.bbr import Bbr


def busy(limit=100, **options):
    """One that knows 400 answers a second in 50 ms."""
    algorithm = Bbr(limit, **options)
    algorithm.update(interval(1, 50, count=400, in_flight=1))
    return algorithm


def test_under_load_it_is_what_is_in_hand_and_a_quarter():
    algorithm = busy()
    assert algorithm.update(interval(2, 200, count=400)) is Why.LONG_QUEUE
    assert algorithm.limit == pytest.approx(400 * 0.050 * 1.25)


def test_without_load_it_is_left_alone_or_grows():
    algorithm = busy()
    assert algorithm.update(interval(2, 60, in_flight=10)) is Why.APPLICATION_LIMITED
    assert algorithm.limit == 100
    assert algorithm.update(interval(3, 60, in_flight=100)) is Why.SHORT_QUEUE
    assert algorithm.limit == 112.5


def test_load_never_raises_it():
    algorithm = busy(limit=12)
    assert algorithm.update(interval(2, 200, count=400)) is Why.STEADY
    assert algorithm.limit == 12


def test_drops_take_a_tenth_at_least():
    algorithm = busy(limit=20)
    assert algorithm.update(interval(2, 50, count=400, drops=8, in_flight=20)) is Why.DROPS
    assert algorithm.limit == pytest.approx(18)


def test_rates_are_forgotten_after_so_many_intervals():
    algorithm = busy(rates=2)
    for at in range(2, 5):
        algorithm.update(interval(at, 60, count=100, in_flight=1))
    algorithm.update(interval(5, 200, count=100))
    assert algorithm.limit == pytest.approx(100 * 0.050 * 1.25)


def test_the_rate_survives_a_restart():
    learned = busy().export(0)
    algorithm = Bbr(100)
    algorithm.restore(learned, 0)
    algorithm.update(interval(1, 200, count=10))
    assert algorithm.limit == pytest.approx(25)
