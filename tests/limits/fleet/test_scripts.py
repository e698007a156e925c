"""The scripts in a real server: its clock, its arithmetic, and what it forgets."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.limits.fleet.bucket import Bucket
from tests.redis.links import link_to, run
from tests.redis.servers import Server, serving

from tidegate.limits.fleet.allowance import RateAllowance
from tidegate.limits.fleet.scripts import borrow_rate, count_nodes

# The same script with the time given to it, to compare its arithmetic at any moment.
AT_A_TIME = borrow_rate.text.replace("redis.call('TIME')", "{ARGV[9], ARGV[10]}").replace(
    ", 'PX', math.ceil(ahead / 1000) + 1",
    "",  # by the time that is given a key lives longer than by the server's
)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving() as one:
        yield one


def borrow(server: Server, key: str, one: RateAllowance, least: int, wanted: int, *more: int) -> list[int]:
    returned, used, since_ms, buckets = (*more, *(0, 0, 0, 1)[len(more) :])

    async def ask() -> Any:
        async with link_to(server.address) as link:
            args = [repr(one.interval_us), one.holds, least, wanted, returned, used, since_ms, buckets]
            return await borrow_rate.run(link.control, [key], args)

    found: list[int] = run(ask())
    return found


def test_a_new_bucket_is_full_and_lends_what_it_holds(server: Server) -> None:
    one = RateAllowance(10, 3600, 9)
    assert borrow(server, "full", one, 1, 4)[0] == 4
    assert borrow(server, "full", one, 1, 100)[0] == 6
    lent, told_ms = borrow(server, "full", one, 1, 1)
    assert lent == 0
    assert 300_000 < told_ms <= 360_000  # one of ten an hour


def test_less_than_the_least_is_not_lent(server: Server) -> None:
    one = RateAllowance(10, 3600, 4)
    assert borrow(server, "least", one, 6, 6) == [0, 360_000]
    assert borrow(server, "least", one, 5, 9)[0] == 5


def test_what_is_given_back_is_lent_again_and_no_more_than_a_bucket(server: Server) -> None:
    one = RateAllowance(10, 3600, 9)
    assert borrow(server, "back", one, 1, 10)[0] == 10
    assert borrow(server, "back", one, 1, 10, 3)[0] == 3
    assert borrow(server, "back", one, 1, 100, 50)[0] == 10


def test_what_nodes_let_in_by_themselves_takes_up_room_from_when_it_was(server: Server) -> None:
    one = RateAllowance(10, 3600, 9)
    assert borrow(server, "used", one, 1, 10, 0, 4, 0)[0] == 6
    # Five within the last half hour: that is what came in it.
    assert borrow(server, "past", one, 1, 100, 0, 5, 1_800_000)[0] == 10
    # And whatever it was, no more than a bucket is owed beyond an empty one.
    assert borrow(server, "much", one, 1, 1, 0, 1_000_000, 0)[0] == 0
    told = borrow(server, "much", one, 1, 1)[1]
    assert 10 * 360_000 < told <= 11 * 360_000


def test_what_has_failed_already_is_owed_whatever_room_there_was(server: Server) -> None:
    one = RateAllowance(10, 3600, 9)
    assert borrow(server, "failed", one, 1, 1, 0, 60, 0, 100) == [0, 51 * 360_000]


def test_a_key_is_gone_when_its_bucket_is_full_again(server: Server) -> None:
    one = RateAllowance(1000, 1, 9)
    borrow(server, "gone", one, 1, 5)
    assert 0 < server.ask("PTTL", "gone") <= 6 or server.ask("EXISTS", "gone") == 0
    borrow(server, "none", RateAllowance(1, 3600, 9), 1, 0)
    assert server.ask("EXISTS", "none") == 0


def test_nodes_are_those_that_were_heard_lately(server: Server) -> None:
    async def scenario() -> None:
        async with link_to(server.address) as link:
            counts = [await count_nodes.run(link.control, ["nodes"], [name, 60_000]) for name in ("a", "b", "a", "c")]
            assert counts == [1, 2, 2, 3]
            await asyncio.sleep(0.02)  # the server's clock, in milliseconds, has to go on
            assert await count_nodes.run(link.control, ["nodes"], ["d", 10]) == 1

    run(scenario())


def test_nodes_that_a_clock_ahead_has_heard_are_not_counted_for_as_long(server: Server) -> None:
    now_ms = int(server.ask("TIME")[0]) * 1000
    server.ask("ZADD", "ahead", now_ms + 3_600_000, "gone", now_ms + 30_000, "near")

    async def scenario() -> None:
        async with link_to(server.address) as link:
            assert await count_nodes.run(link.control, ["ahead"], ["a", 60_000]) == 2

    run(scenario())


def test_gateways_with_different_rates_for_one_key_share_its_time(server: Server) -> None:
    wide, narrow = RateAllowance(10, 3600, 9), RateAllowance(20, 3600)
    assert borrow(server, "mixed", wide, 1, 5)[0] == 5  # half of an hour
    assert borrow(server, "mixed", narrow, 1, 1)[0] == 0  # of which it may use three minutes ahead
    # And what is owed to the one is not forgiven because the other may owe less.
    assert borrow(server, "mixed", wide, 1, 9)[0] == 5
    assert borrow(server, "mixed", narrow, 1, 1)[0] == 0
    assert borrow(server, "mixed", wide, 1, 9)[0] == 0


def test_debt_of_a_limit_that_nobody_has_any_more_is_forgiven_when_nobody_can_be_owed_it(server: Server) -> None:
    now = int(server.ask("TIME")[0]) * 1_000_000
    ahead, hour = now + 1_800_000_000, 2 * 3_600_000_000
    narrow = RateAllowance(20, 3600)
    server.ask("SET", "old", f"{ahead} {hour} {now - 70_000_000}")
    server.ask("SET", "recent", f"{ahead} {hour} {now - 30_000_000}")
    told = {key: borrow(server, key, narrow, 1, 1)[1] for key in ("old", "recent")}
    assert told["old"] <= 2 * 180_000
    assert told["recent"] > 1_500_000


ASKS = st.tuples(
    st.integers(0, 3_000_000),  # us since the one before
    st.integers(0, 5),
    st.integers(0, 20),
    st.integers(0, 10),
    st.integers(0, 30),
    st.integers(0, 3000),
    st.sampled_from([1, 1, 1, 7]),  # times the burst and more, where another configuration says so
)


@settings(max_examples=30)
@given(st.integers(1, 2000), st.sampled_from([1, 60]), st.integers(0, 30), st.lists(ASKS, min_size=1, max_size=12))
def test_the_bucket_that_fleets_are_played_with_answers_as_the_script_does(
    server: Server, count: int, period_s: int, burst: int, asks: list[tuple[int, int, int, int, int, int, int]]
) -> None:
    bucket, now = Bucket(), 1_790_000_000_000_000
    assert AT_A_TIME.count("ARGV[9]") == 1
    assert "PX" not in AT_A_TIME

    async def scenario() -> None:
        nonlocal now
        async with link_to(server.address) as link:
            await link.control.delete("compared")
            for later, least, wanted, returned, used, since_ms, wider in asks:
                one, owed = RateAllowance(count, period_s, wider * (burst + 1)), (returned, used, since_ms, 1 + wider)
                now += later * (100 if wider > 1 else 1)
                args = [repr(one.interval_us), one.holds, least, wanted, *owed]
                time = [now // 1_000_000, now % 1_000_000]
                found = await link.control.call("EVAL", AT_A_TIME, 1, "compared", *args, *time)
                assert tuple(found) == bucket.borrow(now, one.interval_us, one.holds, least, wanted, *owed)

    run(scenario())
