"""What those who steer by waiting have in common."""

import pytest
from tests.limits.adaptive.intervals import MS, S, interval

from tidegate.limits.adaptive.by_waiting import ByWaiting
from tidegate.limits.adaptive.catalogue import ALGORITHMS, make

BY_WAITING = [name for name, algorithm in ALGORITHMS.items() if issubclass(algorithm, ByWaiting)]


def test_four_of_them_steer_by_waiting():
    assert BY_WAITING == ["queue_delay", "envoy", "bbr", "pid"]


@pytest.mark.parametrize("name", BY_WAITING)
def test_target_and_window_are_options_of_each(name):
    algorithm = make(name, target_share=0.8, window_ns=5 * S)
    algorithm.update(interval(1, 50))
    assert (algorithm.floor_ns, algorithm.unqueued_ns, algorithm.target_ns) == (50 * MS, 50 * MS, 40 * MS)
    algorithm.update(interval(2, 90))
    assert algorithm.queue_delay_ns == 40 * MS
    algorithm.update(interval(8, 90, in_flight=1))
    assert algorithm.floor_ns == 90 * MS, "the window is over, and half the limit was unused"


@pytest.mark.parametrize("name", BY_WAITING)
def test_what_is_known_of_waiting_is_kept(name):
    before, after = make(name), make(name)
    before.update(interval(1, 50))
    before.update(interval(2, 90))
    after.restore(before.export(2 * S), 100 * S)
    assert (after.floor_ns, after.queue_delay_ns, after.limit) == (before.floor_ns, 40 * MS, before.limit)
