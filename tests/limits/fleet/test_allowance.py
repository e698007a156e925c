"""The arithmetic of what a fleet allows: parts, shares, and the bound that the manual states."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tidegate.limits.fleet.allowance import HORIZON_S, LEASE_S, PAUSE_S, PermitAllowance, RateAllowance, pause_ms
from tidegate.memory.leases import LEASE_MS

COUNTS = st.integers(1, 1_000_000)
PERIODS = st.sampled_from([1, 60, 3600, 86400])
NODES = st.integers(1, 200)


def test_a_lease_is_as_long_as_the_table_has_it() -> None:
    assert LEASE_S * 1000 == LEASE_MS


@given(COUNTS, PERIODS, NODES)
def test_all_nodes_together_ask_for_what_comes_within_the_horizon(count: int, period_s: int, nodes: int) -> None:
    one = RateAllowance(count, period_s)
    assert one.chunk(nodes) * nodes >= one.per_s * HORIZON_S * (1 - 1e-9)
    assert one.chunk(nodes) <= max(1, one.per_s * HORIZON_S / nodes + 1)
    assert one.low(nodes) < one.chunk(nodes)


@given(COUNTS, PERIODS, NODES)
def test_shares_are_no_more_than_the_rate_and_a_request_at_least(count: int, period_s: int, nodes: int) -> None:
    one = RateAllowance(count, period_s)
    most, window_ms = one.share(nodes)
    assert most >= 1
    assert window_ms >= 1000
    assert most * nodes / (window_ms / 1000) <= one.per_s * (1 + 1e-6)


@given(COUNTS, PERIODS, st.integers(0, 1000))
def test_bucket_holds_the_burst_and_what_is_lent_at_once(count: int, period_s: int, burst: int) -> None:
    one = RateAllowance(count, period_s, burst)
    assert one.holds >= burst + 1
    assert one.holds == burst + 1 or one.holds <= one.per_s * HORIZON_S


def test_overshoot_of_a_minute_is_two_percent_without_a_burst() -> None:
    one = RateAllowance(1000, 1)
    assert one.holds == 200
    assert one.bound(60) == 61_200
    assert one.bound(60) / (1000 * 60) - 1 <= 0.0201
    # A fail-over that has lost half a second lets in a bucket and what was lent in that time, once.
    assert one.bound(60, lost_s=0.5) == 61_200 + 200 + 500


def test_rate_of_nobody_allows_nothing() -> None:
    one = RateAllowance(0, 1, 10)
    assert (one.holds, one.interval_us, one.bound(60, lost_s=1), one.share(3)) == (0, 0.0, 0.0, (0, 1000))


def test_store_that_has_nothing_is_asked_again_neither_at_once_nor_never() -> None:
    assert pause_ms(0) == round(PAUSE_S[0] * 1000) < HORIZON_S * 1000
    assert pause_ms(2000) == 2000
    assert pause_ms(86_400_000) == PAUSE_S[1] * 1000


def test_permits_grow_by_doubling_and_what_is_not_needed_goes_back_by_halves() -> None:
    one = PermitAllowance(64)
    assert (one.chunk(1), one.chunk(4), one.chunk(100)) == (8, 2, 1)
    assert [one.grown(needed, lent, 4) for needed, lent in ((1, 0), (4, 3), (17, 16), (40, 39))] == [3, 6, 32, 64]
    kept = [9]
    while kept[-1] > 2:
        kept.append(one.kept(2, kept[-1]))
    assert kept == [9, 5, 3, 2]
    assert one.kept(5, 3) == 5


def test_nobody_yields_of_his_part_and_parts_are_no_more_than_there_is_but_one_each() -> None:
    one = PermitAllowance(10)
    assert [one.share(nodes) for nodes in (1, 3, 10, 11)] == [10, 3, 1, 1]
    assert PermitAllowance(0).share(1) == 0
    assert one.yielded(9, 8, 2, 3) == 6
    assert one.yielded(9, 4, 3, 3) == 3
    assert one.yielded(2, 8, 1, 3) == 2
