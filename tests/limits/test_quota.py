"""Windows of quotas: aligned, from the first use, sliding."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.limits.quota import WINDOWS, QuotaLimit
from tidegate.memory.quotas import COUNT_MAX, UNTIL_MAX, QuotaTable
from tidegate.memory.region import Region
from tidegate.memory.tables import bytes_for

KEY = 0x1234_5678_9ABC_DEF0
BOOT = 1_764_000_000_500  # 1970 to the start of the machine, ms
HOUR = 3_600_000


def limit(maximum, period_ms, window="aligned") -> QuotaLimit:
    region = Region.create(1, 1, 1, quotas=bytes_for(64))
    made = QuotaLimit(QuotaTable(region.mapping, 0, 64), maximum, period_ms, window)
    region.close()
    return made


def test_aligned_windows_end_at_multiples_of_the_period_since_1970():
    quota = limit(2, HOUR)
    wall = 490_000 * HOUR + 1234
    left, (_, _, ends) = quota.count(KEY, 50_000, wall)
    assert (left, ends) == (1, 50_000 + HOUR - 1234)
    assert quota.count(KEY, ends - 1, 490_001 * HOUR - 1)[0] == 0
    assert quota.count(KEY, ends - 1, 490_001 * HOUR - 1)[0] == -1
    assert quota.count(KEY, ends, 490_001 * HOUR) == (1, (KEY, ends + HOUR, ends + HOUR))


def test_a_window_from_the_first_use_lasts_a_period_from_then():
    quota = limit(2, HOUR, "first_use")
    assert quota.count(KEY, 1000, 7)[1][2] == 1000 + HOUR
    assert quota.count(KEY, 999 + HOUR, 7)[0] == 0
    assert quota.count(KEY, 999 + HOUR, 7) == (-1, (KEY, 1000 + HOUR, 1000 + HOUR))
    assert quota.count(KEY, 5000 + HOUR, 7) == (1, (KEY, 5000 + 2 * HOUR, 5000 + 2 * HOUR))


def test_what_was_served_is_counted_afterwards_and_nobody_passes_until_the_window_ends():
    quota = limit(2, HOUR, "first_use")
    assert quota.count(KEY, 1000, 7)[0] == 1
    quota.settle(KEY, 2000, 7, 5)
    assert quota.look(KEY, 999 + HOUR, 7)[0] == -1
    assert not quota.give_back((KEY, 1000 + HOUR - 1, 0), 4)
    assert quota.give_back((KEY, 1000 + HOUR, 1000 + HOUR), 4)
    assert quota.look(KEY, 2000, 7, 0)[0] == 0, "six were counted"
    assert quota.count(KEY, 1000 + HOUR, 7)[0] == 1


def test_a_window_that_is_open_does_not_move_with_the_wall_clock():
    quota = limit(1, HOUR)
    left, (_, _, ends) = quota.count(KEY, 1000, BOOT + 1000)
    assert left == 0
    for step in (-30 * HOUR, -HOUR // 2, HOUR // 2, 30 * HOUR):
        assert quota.count(KEY, ends - 1, BOOT + ends + step)[0] == -1
        assert quota.look(KEY, ends, BOOT + ends + step)[0] == 0


def test_a_sliding_window_counts_what_still_reaches_into_the_period():
    quota = limit(100, 1000, "sliding")
    begin = -BOOT % 1000  # a window begins here
    assert quota.count(KEY, begin + 900, BOOT + begin + 900, 80)[0] == 20
    later = begin + 1000
    assert quota.look(KEY, later, BOOT + later, 20)[0] == 0
    assert quota.look(KEY, later, BOOT + later, 21)[0] == -1, "all 80 reach into the second that ends now"
    assert quota.count(KEY, later + 500, BOOT + later + 500, 60) == quota.look(KEY, later + 500, BOOT + later + 500, 0)
    assert quota.look(KEY, later + 500, BOOT + later + 500, 1)[0] == -1
    assert quota.look(KEY, later + 750, BOOT + later + 750, 20)[0] == 0, "20 of the 80 are left"
    last = later + 1000
    assert quota.look(KEY, last + 500, BOOT + last + 500, 0)[0] == 70, "and of the 60"
    assert quota.look(KEY, last + 1000, BOOT + last + 1000, 100)[0] == 0


def test_windows_that_slide_over_a_border_let_no_double_burst_pass():
    for window, passed in (("aligned", 200), ("sliding", 100)):
        quota = limit(100, 1000, window)
        begin = -BOOT % 1000
        times = [begin + 999] * 150 + [begin + 1000] * 150
        assert sum(quota.count(KEY, now, BOOT + now)[0] >= 0 for now in times) == passed


@pytest.mark.parametrize("window", WINDOWS)
def test_what_is_given_back_goes_to_its_window_only(window):
    quota = limit(3, 1000, window)
    begin = 5000 - BOOT % 1000
    left, of = quota.count(KEY, begin, BOOT + begin, 3)
    assert left == 0
    assert quota.give_back(of, 2)
    assert quota.look(KEY, begin, BOOT + begin, 2)[0] == 0
    later = begin + 2000  # a sliding quota uses the same cell again
    _, new = quota.count(KEY, later, BOOT + later, 2)
    assert not quota.give_back(of, 1)
    assert quota.look(KEY, later, BOOT + later, 0)[0] == 1
    assert quota.give_back(new, 2)
    assert quota.look(KEY, later, BOOT + later, 0)[0] == 3


@pytest.mark.parametrize("window", WINDOWS)
def test_a_quota_of_nothing_lets_nobody_pass(window):
    quota = limit(0, 1000, window)
    assert quota.count(KEY, 10, 10)[0] == quota.look(KEY, 10, 10)[0] == -1


@given(
    st.sampled_from(WINDOWS),
    st.integers(1, 30),
    st.lists(st.tuples(st.integers(0, 700), st.integers(0, 8)), max_size=80),
)
def test_what_is_counted_in_a_window_is_never_over_the_maximum(window, maximum, steps):
    quota, now, counted = limit(maximum, 1000, window), 3000, {}
    for passed, cost in steps:
        now += passed
        looked = quota.look(KEY, now, BOOT + now, cost)
        left, of = quota.count(KEY, now, BOOT + now, cost)
        assert (left, of) == looked or (cost and left >= 0 and left == looked[0])
        assert now < of[2] <= now + 1000
        if left >= 0:
            counted[of] = counted.get(of, 0) + cost
            assert left + counted[of] <= maximum
    assert all(count <= maximum for count in counted.values())


@pytest.mark.parametrize(
    ("maximum", "period_ms", "window"),
    [
        (-1, 1, "aligned"),
        (COUNT_MAX + 1, 1, "aligned"),
        (1, 0, "aligned"),
        (1, UNTIL_MAX, "aligned"),
        (1, 1, "monthly"),
    ],
)
def test_senseless_options_are_refused(maximum, period_ms, window):
    with pytest.raises(ValueError, match="expected"):
        limit(maximum, period_ms, window)
