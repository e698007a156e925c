"""PID: waiting is steered to its target."""

import pytest
from tests.limits.adaptive.intervals import MS, interval

from tidegate.limits.adaptive.algorithm import Why
from tidegate.limits.adaptive.pid import Pid


def test_error_moves_the_limit():
    algorithm = Pid(100, proportional=0, integral=0.1, derivative=0)
    assert algorithm.update(interval(1, 1, waiting_p90_ns=0)) is Why.SHORT_QUEUE
    assert algorithm.limit == pytest.approx(110)
    assert algorithm.update(interval(2, 1, waiting_p90_ns=5 * MS)) is Why.STEADY
    assert algorithm.limit == pytest.approx(110)
    assert algorithm.update(interval(3, 1, waiting_p90_ns=10 * MS)) is Why.LONG_QUEUE
    assert algorithm.limit == pytest.approx(99)


def test_outliers_and_drops_count_two_targets():
    for more in ({"waiting_p90_ns": 10**12}, {"drops": 50}):
        algorithm = Pid(100, proportional=0, integral=0.1, derivative=0)
        algorithm.update(interval(1, 1, **more))
        assert algorithm.limit == pytest.approx(80)


def test_change_and_change_of_change_have_their_weights():
    algorithm = Pid(100, proportional=0.1, integral=0, derivative=0.02)
    algorithm.update(interval(1, 1, waiting_p90_ns=0))
    assert algorithm.limit == pytest.approx(112)
    algorithm.update(interval(2, 1, waiting_p90_ns=0))
    assert algorithm.limit == pytest.approx(112 * 0.98)


def test_errors_go_on_in_another_worker():
    first, second = Pid(100), Pid(100)
    for at, waiting_ms in ((1, 0), (2, 20), (3, 7)):
        first.update(interval(at, 1, waiting_p90_ns=waiting_ms * MS))
    second.restore(first.export(0), 0)
    for algorithm in (first, second):
        algorithm.update(interval(4, 1, waiting_p90_ns=2 * MS))
    assert second.limit == pytest.approx(first.limit)


def test_it_settles_where_requests_wait_the_target():
    """A backend of 10 servers with 50 ms, always full: waiting grows by 5 ms with each request over ten."""
    algorithm = Pid(10)
    for at in range(1, 300):
        over = max(0, int(algorithm.limit) - 10)
        algorithm.update(interval(at, 50 + 5 * over, in_flight=int(algorithm.limit), waiting_p90_ns=over * 5 * MS))
    assert 0.5 <= algorithm.queue_delay_ns / algorithm.target_ns <= 1.5
