"""The arithmetic of a rate limit: bursts, delays, costs, and what is left."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.limits.rate import RateLimit
from tidegate.memory.fingerprints import Fingerprints
from tidegate.memory.rates import NEVER, RateTable
from tidegate.memory.region import Region
from tidegate.memory.tables import bytes_for

S = 10**9
NOW = 10**12
KEY = 0x1234_5678_9ABC_DEF0


def limit(count, period_ns=S, **options) -> RateLimit:
    region = Region.create(1, 1, 1, rates=bytes_for(64))
    made = RateLimit(RateTable(region.mapping, 0, 64), count, period_ns, **options)
    region.close()
    return made


def used_up(rate: RateLimit, now_ns: int) -> int:
    """Until when what is charged lasts: of who was charged last, what a refund asks for."""
    return now_ns + rate.left(KEY, now_ns)[1]


def test_of_many_at_once_the_first_101_pass_each_in_its_turn_and_at_most_half_a_second_later():
    rate = limit(200, burst=100, excess="delay")
    assert [rate.charge(KEY, NOW) for _ in range(101)] == [k * S // 200 for k in range(101)]
    assert rate.charge(KEY, NOW) == rate.peek(KEY, NOW) == -S // 200
    assert rate.left(KEY, NOW) == (0, 101 * S // 200)


def test_those_that_are_not_delayed_go_at_once():
    rate = limit(200, burst=100)
    assert [rate.charge(KEY, NOW) for _ in range(102)] == [0] * 101 + [-S // 200]


def test_two_stages_as_of_nginx_let_the_first_go_and_delay_the_rest():
    rate = limit(10, burst=12, delay_after=8, excess="delay")
    waits = [rate.charge(KEY, NOW) for _ in range(14)]
    assert waits == [0] * 9 + [S // 10, 2 * S // 10, 3 * S // 10, 4 * S // 10, -S // 10]


def test_nobody_waits_longer_than_the_longest_delay():
    rate = limit(10, burst=100, delay_after=2, excess="delay", max_delay_ns=S // 4)
    waits = [rate.charge(KEY, NOW) for _ in range(6)]
    assert waits == [0, 0, 0, S // 10, 2 * S // 10, -S // 20]
    assert limit(10, burst=1, excess="reject", max_delay_ns=0).tolerance_ns == S // 10, "nobody is delayed at all"


def test_a_rate_of_nothing_lets_nobody_pass():
    rate = limit(0, burst=10, excess="delay", max_delay_ns=S)
    assert rate.charge(KEY, NOW) == rate.peek(KEY, NOW) == NEVER
    assert rate.charge(KEY, NOW, 0) == NEVER
    rate.settle(KEY, NOW, 5)
    assert rate.left(KEY, NOW) == (0, 0)


def test_a_cost_passes_as_a_whole_or_not_at_all():
    rate = limit(10, burst=9)
    assert rate.charge(KEY, NOW, 11) == NEVER, "more than all there ever is"
    assert rate.charge(KEY, NOW, 7) == 0
    assert rate.left(KEY, NOW) == (3, 7 * S // 10)
    assert rate.charge(KEY, NOW, 4) == -S // 10, "would pass when one more has leaked away"
    assert rate.charge(KEY, NOW + S // 10, 4) == 0
    assert rate.left(KEY, NOW + S // 10) == (0, S)
    assert rate.charge(KEY, NOW + S // 10, 0) == -S // 10, "what costs nothing passes when anybody does"
    assert rate.charge(KEY, NOW + 2 * S // 10, 0) == 0
    assert rate.left(KEY, NOW + 2 * S // 10) == (1, 9 * S // 10), "and takes no room"


def test_costs_may_be_fractions_and_absurd():
    rate = limit(10, burst=1)
    assert [rate.charge(KEY, NOW, 0.5) for _ in range(5)] == [0, 0, 0, 0, -S // 20]
    assert rate.charge(KEY + 1, NOW, math.inf) == NEVER
    assert rate.charge(KEY + 1, NOW, 1e300) == NEVER
    assert rate.charge(KEY + 1, NOW, -3) == 0
    assert rate.left(KEY + 1, NOW) == (2, 0)


def test_what_was_served_is_charged_afterwards_and_those_who_come_next_wait_for_it():
    rate = limit(10, burst=2)
    assert rate.charge(KEY, NOW) == 0
    rate.settle(KEY, NOW, 50)
    assert rate.left(KEY, NOW) == (0, 51 * S // 10)
    assert rate.charge(KEY, NOW) == -(51 - 2) * S // 10
    assert rate.charge(KEY, NOW + 49 * S // 10) == 0


def test_a_charge_that_is_given_back_at_once_never_was():
    rate = limit(10, burst=5)
    rate.charge(KEY, NOW, 2)
    before = rate.left(KEY, NOW + 7)
    assert rate.charge(KEY, NOW + 7, 2.5) == 0
    assert rate.refund(KEY, NOW + 7, used_up(rate, NOW + 7), 2.5)
    assert rate.left(KEY, NOW + 7) == before
    assert not rate.refund(KEY + 1, NOW, NOW + S, 1)


def test_a_turn_that_others_wait_behind_is_not_given_back():
    rate = limit(10, burst=20, excess="delay")
    assert rate.charge(KEY, NOW) == 0
    assert rate.charge(KEY, NOW) == S // 10
    first = used_up(rate, NOW)
    assert rate.charge(KEY, NOW) == 2 * S // 10
    second = used_up(rate, NOW)
    assert not rate.refund(KEY, NOW, first)
    assert rate.peek(KEY, NOW) == 3 * S // 10, "not the turn of who still waits"
    assert rate.refund(KEY, NOW, second)
    assert rate.charge(KEY, NOW) == 2 * S // 10


@given(st.lists(st.tuples(st.booleans(), st.integers(0, S // 5), st.integers(0, 9)), max_size=60))
def test_no_two_have_turns_closer_than_an_interval_whoever_leaves(steps):
    rate, now = limit(10, burst=20, excess="delay"), NOW
    waiting: dict[int, int] = {}  # turn to what a refund asks for
    gone: list[int] = []
    for is_leaving, passed, which in steps:
        now += passed
        gone += [turn for turn in waiting if turn <= now]
        waiting = {turn: until for turn, until in waiting.items() if turn > now}
        if is_leaving and waiting:
            turn = sorted(waiting)[which % len(waiting)]
            rate.refund(KEY, now, waiting.pop(turn))
        elif (delay := rate.charge(KEY, now)) >= 0:
            waiting[now + delay] = used_up(rate, now)
    turns = sorted([*gone, *waiting])
    assert all(later - earlier >= S // 10 for earlier, later in pairwise(turns))


def test_what_has_leaked_away_is_not_given_back():
    rate = limit(1, burst=3)
    assert rate.charge(KEY, NOW) == 0
    until = used_up(rate, NOW)
    now = NOW + 3 * S
    assert [rate.charge(KEY, now) for _ in range(4)] == [0] * 4
    assert not rate.refund(KEY, now, until), "it was used up two seconds ago"
    assert rate.charge(KEY, now) == -S
    half = limit(1, burst=3)
    assert half.charge(KEY, NOW) == 0
    until, now = used_up(half, NOW), NOW + S // 4
    assert half.charge(KEY, now) == 0
    assert half.refund(KEY, now, until)
    assert half.left(KEY, now)[1] == S, "three quarters of it were left"


@pytest.mark.parametrize(
    ("count", "period_ns", "interval_ns"),
    [(3, S, 333_333_334), (1, 86_400 * S, 86_400 * S), (0.5, S, 2 * S), (1e6, S, 1000), (7e8, S, 2), (1e12, S, 1)],
)
def test_intervals_are_rounded_up_so_that_no_rate_is_exceeded(count, period_ns, interval_ns):
    assert limit(count, period_ns).interval_ns == interval_ns


def test_the_last_of_a_burst_passes_whatever_the_interval_was_rounded_to():
    for count in (3, 7, 11, 999, 1_000_003):
        rate = limit(count, burst=1000)
        assert [rate.charge(KEY, NOW) >= 0 for _ in range(1002)] == [True] * 1001 + [False], count


def test_bursts_beyond_all_bounds_are_as_long_as_can_be_told():
    rate = limit(1, 86_400 * S, burst=1e18, excess="delay", delay_after=1e15)
    assert rate.tolerance_ns == rate.delay_after_ns == 2**62
    assert [rate.charge(KEY, NOW) for _ in range(3)] == [0, 0, 0]


@given(st.integers(1, 1000), st.integers(0, 20), st.lists(st.integers(0, S // 50), min_size=1, max_size=300))
def test_never_more_than_burst_and_the_rate_pass_in_any_stretch(count, burst, gaps):
    rate, now, passed = limit(count, burst=burst), NOW, []
    for gap in gaps:
        now += gap
        if rate.charge(KEY, now) >= 0:
            passed.append(now)
    for first, begin in enumerate(passed):
        for n, end in enumerate(passed[first:], 1):
            assert n <= burst + 1 + (end - begin) * count / S


@pytest.mark.parametrize(
    "options",
    [
        {"count": -1},
        {"count": math.nan},
        {"count": math.inf},
        {"count": 1, "period_ns": 0},
        {"count": 1, "burst": -1},
        {"count": 1, "burst": math.inf},
        {"count": 1, "delay_after": -1},
        {"count": 1, "excess": "wait"},
    ],
)
def test_senseless_options_are_refused(options):
    with pytest.raises(ValueError, match="expected"):
        limit(**options)


def test_a_key_is_charged_under_its_fingerprint():
    rate, prints = limit(10, burst=1), Fingerprints(bytes(32), "a")
    assert [rate.charge_key(prints, b"ann", NOW) for _ in range(3)] == [0, 0, -S // 10]
    assert rate.left(prints.of_key(b"ann"), NOW) == (0, 2 * S // 10)
    assert rate.charge_key(prints, b"bob", NOW, 2) == 0
