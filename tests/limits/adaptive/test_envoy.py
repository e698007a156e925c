"""Envoy's gradient, without the window that refuses."""

import pytest
from tests.limits.adaptive.intervals import MS, interval

from tidegate.limits.adaptive.algorithm import Why
from tidegate.limits.adaptive.envoy import Envoy


def test_limit_is_gradient_times_limit_and_the_square_root_of_it():
    algorithm = Envoy(100)
    algorithm.update(interval(1, 50))
    assert algorithm.limit == pytest.approx(125 + 125**0.5)
    algorithm.limit = 100.0
    assert algorithm.update(interval(2, 100)) is Why.LONG_QUEUE
    assert algorithm.limit == pytest.approx(62.5 + 62.5**0.5)
    algorithm.limit = 100.0
    algorithm.update(interval(3, 5000))
    assert algorithm.limit == pytest.approx(50 + 50**0.5)


def test_an_upstream_within_the_buffer_is_left_alone():
    algorithm = Envoy(100, target_share=0.5)
    algorithm.update(interval(1, 50))
    algorithm.limit = 100.0
    assert algorithm.update(interval(2, 75)) is Why.SHORT_QUEUE
    assert (algorithm.target_ns, algorithm.queue_delay_ns) == (25 * MS, 25 * MS)


def test_drops_take_a_tenth():
    algorithm = Envoy(100)
    assert algorithm.update(interval(1, 50, drops=5)) is Why.DROPS
    assert algorithm.limit == pytest.approx(90)


def test_it_never_narrows_to_measure():
    algorithm = Envoy(100)
    for at in range(1, 600):
        before = algorithm.limit
        algorithm.update(interval(at, 50))
        assert algorithm.limit >= before
        algorithm.limit = 100.0
