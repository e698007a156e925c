"""Quotas in cells: windows that open with the first charge, counts that are never over, refunds to the same window."""

from hypothesis import given
from hypothesis import strategies as st

from tidegate.memory.quotas import COUNT_MAX, UNTIL_MAX, QuotaTable
from tidegate.memory.region import Region
from tidegate.memory.tables import bytes_for

SETS = 64
KEY = 0xABCDEF0123456789


def table(sets: int = SETS) -> QuotaTable:
    region = Region.create(1, 1, 1, quotas=bytes_for(sets))
    made = QuotaTable(region.mapping, 0, sets)
    region.close()
    return made


def test_a_window_opens_with_the_first_charge_and_is_full_at_the_maximum():
    quota = table()
    assert quota.counted(KEY, 100) == (0, 0)
    assert quota.count(KEY, 100, 1100, 1, 3) == (2, 1100)
    assert quota.count(KEY, 900, 1900, 2, 3) == (0, 1100), "the window that is open goes on"
    assert quota.look(KEY, 1099, 2099, 1, 3) == quota.count(KEY, 1099, 2099, 1, 3) == (-1, 1100)
    assert quota.counted(KEY, 1099) == (3, 1100)
    assert quota.counted(KEY, 1100) == (0, 0), "it ends"
    assert quota.look(KEY, 1100, 2100, 3, 3) == quota.count(KEY, 1100, 2100, 3, 3) == (0, 2100)


def test_a_refused_count_is_not_charged():
    quota = table()
    quota.count(KEY, 0, 1000, 2, 3)
    assert quota.count(KEY, 1, 1000, 2, 3) == (-1, 1000)
    assert quota.count(KEY, 1, 1000, 1, 3) == (0, 1000)


def test_a_cost_over_the_maximum_is_refused_and_opens_nothing():
    quota = table()
    assert quota.count(KEY, 5, 1000, 4, 3) == (-1, 1000)
    assert quota.count(KEY, 5, 1000, 1, 0) == (-1, 1000), "a quota of nothing"
    assert quota.count(KEY, 5, 1000, 0, 3) == (3, 1000)
    assert quota.counted(KEY, 5) == (0, 0)


def test_a_refund_goes_to_the_window_it_came_from_and_to_no_other():
    quota = table()
    quota.count(KEY, 0, 1000, 2, 10)
    assert quota.give_back(KEY, 1000, 1)
    assert quota.counted(KEY, 1) == (1, 1000)
    assert not quota.give_back(KEY, 2000, 1)
    assert quota.counted(KEY, 1) == (1, 1000)
    quota.count(KEY, 1000, 2000, 5, 10)
    assert not quota.give_back(KEY, 1000, 2)
    assert quota.counted(KEY, 1001) == (5, 2000)
    assert quota.give_back(KEY, 2000, 9), "an evicted cell may have been made again with less in it"
    assert quota.counted(KEY, 1001) == (0, 2000), "never below nothing"
    assert not quota.give_back(KEY + (1 << 20), 2000, 1)


def test_the_largest_counts_and_the_last_window_are_told():
    quota = table()
    assert quota.count(KEY, 0, UNTIL_MAX + 5, COUNT_MAX, 2**62) == (0, UNTIL_MAX)
    assert quota.count(KEY, UNTIL_MAX - 1, UNTIL_MAX, 1, 2**62) == (-1, UNTIL_MAX)
    assert quota.counted(KEY, UNTIL_MAX - 1) == (COUNT_MAX, UNTIL_MAX)
    assert quota.count(KEY + (1 << 20), 0, 10, COUNT_MAX + 1, 2**62) == (-1, 10)


def test_keys_that_differ_in_the_upper_bits_are_told_apart():
    quota = table(sets=2)
    keys = [KEY ^ (1 << bit) for bit in range(16, 32)]
    assert [quota.count(key, 0, 1000, n + 1, 99)[0] for n, key in enumerate(keys)] == [98 - n for n in range(16)]
    assert [quota.counted(key, 1)[0] for key in keys] == list(range(1, 17))
    assert quota.evictions == 0


def test_in_a_full_table_the_window_that_ends_first_goes():
    quota = table(sets=2)
    keys = [KEY + (n << 20) for n in range(17)]
    for n, key in enumerate(keys):
        quota.count(key, 0, 100_000 * (20 - n) if n < 16 else 10**9, 1, 5)
    assert quota.evictions == 1
    assert [quota.counted(key, 1)[0] for key in keys] == [1] * 15 + [0, 1]


def test_two_views_are_one_table():
    region = Region.create(1, 1, 1, quotas=bytes_for(SETS))
    one, other = (QuotaTable(Region.attach(region.fd).mapping, 0, SETS) for _ in range(2))
    region.close()
    assert [view.count(KEY, 0, 9, 1, 3)[0] for view in (one, other, one, other)] == [2, 1, 0, -1]
    assert (one.contended, repr(other)) == (0, "<QuotaTable of 64 sets, 0 evictions>")


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 400_000), st.integers(1, 10**6), st.integers(0, 5)), max_size=60
    )
)
def test_any_sequence_is_counted_as_by_plain_arithmetic(steps):
    quota, plain, now, maximum = table(), {}, 0, 12
    for key, passed, period, cost in steps:
        now += passed
        used, until = plain.get(key, (0, 0))
        if until <= now:
            used, until = 0, now + period
        left = maximum - used - cost
        expected = (left if left >= 0 else -1, until)
        if left >= 0 and cost:
            plain[key] = (used + cost, until)
        assert quota.look(KEY + (key << 20), now, now + period, cost, maximum) == expected
        assert quota.count(KEY + (key << 20), now, now + period, cost, maximum) == expected
