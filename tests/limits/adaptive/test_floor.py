"""The least of the last half minute, which a queue that stands cannot lift."""

from tests.limits.adaptive.intervals import MS, S

from tidegate.limits.adaptive.floor import Floor


def filled(*values_ms, trusted=False, floor=None):
    floor = floor or Floor(30 * S)
    for at, value_ms in enumerate(values_ms):
        floor.take(at * S, value_ms * MS, is_trusted=trusted)
    return floor


def test_nothing_is_known_at_first():
    floor = Floor()
    assert not floor.is_known
    assert floor.value_ns == 0
    assert floor.export(0, "floor") == {}


def test_a_lower_one_counts_at_once():
    assert filled(50, 40, 60).value_ns == 40 * MS


def test_a_least_that_is_too_old_gives_way_to_a_trusted_one():
    assert filled(50, *[80] * 30, trusted=True).value_ns == 50 * MS
    assert filled(50, *[80] * 31, trusted=True).value_ns == 80 * MS


def test_a_queue_that_stands_for_longer_than_the_window_does_not_become_the_floor():
    assert filled(50, *[80] * 300).value_ns == 50 * MS


def test_a_trusted_interval_opens_the_way_only_for_what_is_older():
    floor = filled(50, *[80] * 60)
    floor.take(61 * S, 70 * MS, is_trusted=True)
    assert floor.value_ns == 70 * MS


def test_refreshed_it_knows_nothing_else():
    floor = filled(50)
    floor.refresh(S, 800 * MS)
    assert floor.value_ns == 800 * MS


def test_it_goes_on_with_its_age():
    learned = filled(50).export(20 * S, "floor")
    assert learned == {"floor_ns": 50 * MS, "floor_age_s": 20.0}
    floor = Floor(30 * S)
    floor.restore(learned, 1000 * S, "floor")
    floor.take(1009 * S, 80 * MS, is_trusted=True)
    assert floor.value_ns == 50 * MS
    floor.take(1011 * S, 80 * MS, is_trusted=True)
    assert floor.value_ns == 80 * MS
