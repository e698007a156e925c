"""Fleets in virtual time: whatever nodes, store and network do, no more passes than the manual states."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.limits.fleet.virtual import CAP_MS, Fleet, fleet

from tidegate.limits.fleet.allowance import LEASE_S, RateAllowance

SEEDS = st.integers(0, 1 << 30)


async def all_ask(one: Fleet, per_s: float, seconds: float) -> None:
    """All nodes have the same demand, at random moments."""
    until = one.loop.time() + seconds
    await asyncio.gather(*(node.demand(per_s / len(one.nodes), until, one.chance) for node in one.nodes))


def slack(allowance: RateAllowance, lost_s: float = 0.0) -> float:
    """How much more than r W may pass in any W."""
    return allowance.bound(0, lost_s=lost_s)


@settings(max_examples=12)
@given(SEEDS, st.integers(1, 10), st.sampled_from([30, 200, 500]), st.sampled_from([0, 50]), st.floats(0.2, 10))
def test_no_window_has_more_than_the_bound(seed: int, nodes: int, rate: int, burst: int, times: float) -> None:
    allowance = RateAllowance(rate, 1, burst)
    with fleet(nodes, allowance, seed) as (one, run):
        run(all_ask(one, rate * times, 6))
        assert 0 < one.excess() <= slack(allowance)
        assert max(node.longest_wait_s for node in one.nodes) <= (CAP_MS + 1.5) / 1000


@settings(max_examples=8)
@given(SEEDS, st.sampled_from([0.05, 0.5]), st.booleans())
def test_a_store_that_has_lost_its_last_moments_lets_in_one_bucket_more(
    seed: int, lost_s: float, has_burst: bool
) -> None:
    allowance = RateAllowance(200, 1, 100 if has_burst else 0)
    with fleet(4, allowance, seed) as (one, run):

        async def scenario() -> None:
            one.loop.call_later(3, one.store.fail_over, lost_s)
            await all_ask(one, 2000, 6)

        run(scenario())
        assert one.excess() <= slack(allowance, lost_s)


def test_a_store_that_has_lost_everything_has_full_buckets_and_no_fuller() -> None:
    allowance = RateAllowance(200, 1, 100)
    with fleet(4, allowance, 1) as (one, run):

        async def scenario() -> None:
            one.loop.call_later(3, one.store.buckets.clear)
            await all_ask(one, 2000, 6)

        run(scenario())
        assert one.excess() <= slack(allowance) + allowance.holds


@pytest.mark.parametrize("nodes", [1, 4, 10])
def test_a_lone_busy_node_uses_nearly_the_whole_allowance(nodes: int) -> None:
    """The others are there, and let in a little now and then."""
    allowance = RateAllowance(500, 1)
    with fleet(nodes, allowance, 7) as (one, run):

        async def scenario() -> None:
            until = one.loop.time() + 20
            busy, *others = one.nodes
            await asyncio.gather(
                busy.demand(2000, until, one.chance), *(node.demand(2, until, one.chance) for node in others)
            )

        run(scenario())
        assert len(one.admitted()) >= 0.9 * 500 * 20


def test_nodes_that_are_all_overloaded_let_in_the_whole_rate_with_few_questions() -> None:
    allowance = RateAllowance(1000, 1)
    with fleet(10, allowance, 3) as (one, run):
        run(all_ask(one, 5000, 10))
        admitted = len(one.admitted())
        assert 0.95 * 10_000 <= admitted <= allowance.bound(10)
        requests = admitted + sum(node.refused for node in one.nodes)
        assert one.store.commands <= requests / 20


def test_what_is_borrowed_and_not_used_is_given_back() -> None:
    allowance = RateAllowance(10, 3600, 99)
    with fleet(1, allowance, 5) as (one, run):

        async def scenario() -> None:
            lender = one.nodes[0].lender
            for _ in range(3):
                assert await one.nodes[0].request()
            one.nodes[0].limit.table.ask(1, one.nodes[0].now_ms(), one.nodes[0].now_ms() + 500)
            lender.borrow(0, 1, 0x0123456789ABCDEF, 40)  # for somebody who then leaves
            await asyncio.sleep(3)
            assert lender.counts.borrowed == 43
            assert lender.counts.returned == 40
            bucket = one.store.buckets["tidegate:{0123456789abcdef}:played"]
            used = (bucket.arrival - one.loop.time() * 1e6) / allowance.interval_us
            assert round(used) == 3

        run(scenario())


@settings(max_examples=6)
@given(SEEDS, st.integers(1, 8))
def test_shares_hold_while_the_store_is_away_and_there_is_no_unlimited_moment(seed: int, nodes: int) -> None:
    allowance = RateAllowance(200, 1)
    with fleet(nodes, allowance, seed) as (one, run):

        async def scenario() -> None:
            began = one.loop.time()
            one.loop.call_later(4, setattr, one.store, "is_away", True)
            one.loop.call_later(10, setattr, one.store, "is_away", False)
            await all_ask(one, 2000, 14)
            moments = one.admitted()
            away = [moment - began for moment in moments if 5 <= moment - began < 9]
            # One second of each window that a node's share is counted in, begins anywhere.
            assert 0.6 * 200 * 4 <= len(away) <= 200 * (4 + 2) + nodes
            after = [moment - began for moment in moments if 11 <= moment - began < 14]
            assert 0.8 * 200 * 3 <= len(after) <= 200 * (3 + LEASE_S) + allowance.holds

        run(scenario())


def test_deny_lets_nobody_in_and_allow_everybody_until_the_store_is_back() -> None:
    for policy, is_let_in in (("deny", False), ("allow", True)):
        with fleet(2, RateAllowance(50, 1), 11, policy) as (one, run):

            async def scenario(one: Fleet = one, is_let_in: bool = is_let_in) -> None:
                one.store.is_away = True
                assert {await one.nodes[0].request() for _ in range(200)} == {is_let_in}
                one.store.is_away = False
                await asyncio.sleep(3)
                if is_let_in:
                    # What was let in meanwhile is known to the store: the bucket was empty, and is full again at most.
                    bucket = next(iter(one.store.buckets.values()))
                    assert bucket.arrival > 0
                assert await one.nodes[1].request()

            run(scenario())


def test_usage_without_the_store_is_merged_when_it_is_back() -> None:
    allowance = RateAllowance(100, 3600, 99)
    with fleet(1, allowance, 2, "allow") as (one, run):

        async def scenario() -> None:
            one.store.is_away = True
            for _ in range(30):
                assert await one.nodes[0].request()
            await asyncio.sleep(2)
            one.store.is_away = False
            await asyncio.sleep(2)
            bucket = next(iter(one.store.buckets.values()))
            used = (bucket.arrival - one.loop.time() * 1e6) / allowance.interval_us
            assert round(used) == 30

        run(scenario())


def test_who_asked_and_was_stopped_holds_up_others_for_half_a_second_at_most() -> None:
    allowance = RateAllowance(100, 1, 10)
    with fleet(1, allowance, 2, "deny") as (one, run):

        async def scenario() -> None:
            node = one.nodes[0]
            now = node.now_ms()
            assert node.limit.table.ask(0x0123456789ABCDEF, now, now + 500)  # and never comes back
            assert not await node.request()
            await asyncio.sleep(0.5)
            assert await node.request()

        run(scenario())
