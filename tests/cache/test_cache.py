"""A cache as its callers see it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from tests.cache.caches import Clock, Origin, cache
from tests.redis.links import background, run, until

from tidegate import Loaded
from tidegate.errors import GatewayError, Kind
from tidegate.memory.generations import GENERATIONS_SIZE, Generations


def test_a_cold_key_costs_one_fetch_however_many_ask_and_none_while_it_is_fresh() -> None:
    async def scenario() -> None:
        clock, origin = Clock(), Origin()
        one = cache(clock, ttl=60.0)
        origin.hold()
        callers = [background(asyncio.wait_for(one.get("k", origin.load), 60)) for _ in range(500)]
        await until(lambda: origin.asked)
        origin.release()
        assert await asyncio.gather(*callers) == [b"value"] * 500
        clock.now += 59.9
        assert await one.get("k", origin.load) == b"value"
        assert origin.asked == ["k"]
        clock.now += 0.2
        await one.get("k", origin.load)
        assert origin.asked == ["k", "k"]
        seen = one.statistics()
        assert (seen.loads, seen.collapsed, seen.worker.hits, seen.worker.misses) == (2, 499, 1, 501)

    run(scenario())


def test_times_to_live_of_callers_and_of_loads() -> None:
    async def scenario() -> None:
        clock = Clock()
        one = cache(clock, ttl=60.0)
        await one.get("caller", Origin().load, ttl=5.0)
        await one.get("load", Origin(Loaded(b"value", ttl=3.0)).load, ttl=5.0)
        await one.set("set", b"value", ttl=4.0)
        for key, ends in (("caller", 5.0), ("load", 3.0), ("set", 4.0)):
            assert one.entries[key].fresh_until == clock.now + ends

    run(scenario())


def test_that_there_is_nothing_is_remembered_for_its_own_time() -> None:
    async def scenario() -> None:
        clock, origin = Clock(), Origin(None)
        one = cache(clock, negative_ttl=2.0, stale_while_revalidate=100.0)
        assert await one.get("k", origin.load) is None
        assert await one.get("k", origin.load) is None
        assert one.get_nowait("k", "unknown") is None
        assert len(origin.asked) == 1
        clock.now += 2.0
        origin.answer = b"there"
        assert await one.get("k", origin.load) == b"there"
        never = cache(clock, negative_ttl=0.0)
        origin.answer = None
        for _ in range(2):
            assert await never.get("k", origin.load) is None
        assert len(origin.asked) == 4

    run(scenario())


def test_a_value_that_has_ended_is_given_out_while_one_fetches_it_again() -> None:
    async def scenario() -> None:
        clock, origin = Clock(), Origin(b"old")
        one = cache(clock, ttl=10.0, stale_while_revalidate=5.0)
        await one.get("k", origin.load)
        clock.now += 12.0
        origin.answer = b"new"
        origin.hold()
        assert [await one.get("k", origin.load) for _ in range(50)] == [b"old"] * 50
        origin.release()
        await until(lambda: one.get_nowait("k") == b"new")
        assert len(origin.asked) == 2
        clock.now += 15.1  # after both times nobody gets it without a wait
        origin.answer = b"newest"
        assert await one.get("k", origin.load) == b"newest"
        seen = one.statistics()
        assert (seen.waiting, seen.stale, seen.stale_if_error, seen.refreshes) == (0, 50, 0, 1)

    run(scenario())


def test_a_fetch_that_fails_gives_out_what_there_was_and_is_not_tried_again_at_once() -> None:
    async def scenario() -> None:
        clock, origin = Clock(), Origin(b"old")
        one = cache(clock, ttl=10.0, stale_if_error=100.0)
        await one.get("k", origin.load)
        clock.now += 11.0
        origin.answer = OSError("no route")
        assert await one.get("k", origin.load) == b"old"
        assert len(origin.asked) == 2
        assert [await one.get("k", origin.load) for _ in range(20)] == [b"old"] * 20
        assert len(origin.asked) == 2, "a second has not passed"
        clock.now += 1.0
        assert await one.get("k", origin.load) == b"old"
        assert len(origin.asked) == 3
        clock.now += 100.0
        with pytest.raises(OSError, match="no route"):
            await one.get("k", origin.load)
        assert one.statistics().load_failures == 3

    run(scenario())


def test_a_value_in_use_is_fetched_again_before_it_ends() -> None:
    async def scenario() -> None:
        clock, origin = Clock(), Origin(b"old")

        async def slow(key: Any) -> Any:
            clock.now += 1.0  # a fetch takes a second
            return await origin.load(key)

        one = cache(clock, ttl=60.0, early_refresh=1.0)
        await one.get("k", slow)
        ended_at = one.entries["k"].fresh_until
        origin.answer = b"new"
        while one.get_nowait("k") == b"old":
            assert clock.now < ended_at, "nobody was chosen in time"
            clock.now += 0.01
            assert await one.get("k", slow) in (b"old", b"new")
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        assert len(origin.asked) == 2 and ended_at - clock.now < 14

    run(scenario())


def test_who_does_not_want_to_wait_longer_is_told_and_the_fetch_goes_on() -> None:
    async def scenario() -> None:
        origin = Origin()
        one = cache(wait=60.0)
        origin.hold()
        with pytest.raises(GatewayError) as told:
            await one.get("k", origin.load, timeout=0.01)
        assert told.value.kind is Kind.CONNECTION_READ_TIMEOUT and "'k'" in told.value.detail
        short = cache(wait=0.01)
        with pytest.raises(GatewayError):
            await short.get("k", origin.load)
        waiting = background(asyncio.wait_for(one.get("k", origin.load), 60))
        await asyncio.sleep(0)
        origin.release()
        assert await waiting == b"value"
        assert origin.asked == ["k", "k"], "one for each cache"

    run(scenario())


def test_a_load_has_a_bound_and_its_own_time_outs_are_its_own() -> None:
    async def scenario() -> None:
        origin = Origin()
        origin.hold()
        one = cache(load_timeout=0.01, wait=60.0)
        with pytest.raises(GatewayError, match=r"took more than 0.01 s"):
            await one.get("k", origin.load)
        with pytest.raises(TimeoutError, match="mine"):
            await one.get("k", Origin(TimeoutError("mine")).load)

    run(scenario())


def test_another_bound_is_for_loads_that_begin_after_it() -> None:
    async def scenario() -> None:
        origin = Origin()
        origin.hold()
        one = cache(load_timeout=3600.0, wait=3600.0)
        before = background(asyncio.wait_for(one.get("before", origin.load), 60))
        await until(lambda: origin.asked == ["before"])
        one.configure(replace(one.settings, load_timeout=0.01))
        with pytest.raises(GatewayError, match=r"took more than 0.01 s"):
            await one.get("after", origin.load)
        origin.release()
        assert await before == b"value"

    run(scenario())


def test_whoever_is_cancelled_cancels_no_load_that_others_wait_for() -> None:
    async def scenario() -> None:
        origin = Origin()
        one = cache(wait=60.0)
        origin.hold()
        callers = [background(asyncio.wait_for(one.get("k", origin.load), 60)) for _ in range(5)]
        await until(lambda: origin.asked)
        for left in callers[:4]:
            left.cancel()
        await asyncio.gather(*callers[:4], return_exceptions=True)
        origin.release()
        assert await callers[4] == b"value"
        assert len(origin.asked) == 1 and not origin.cancelled

    run(scenario())


def test_without_a_load_only_what_is_known_is_found() -> None:
    async def scenario() -> None:
        origin = Origin()
        one = cache(wait=60.0)
        assert await one.get("k") is None
        origin.hold()
        loading = background(asyncio.wait_for(one.get("k", origin.load), 60))
        await until(lambda: origin.asked)
        looking = background(asyncio.wait_for(one.get("k"), 60))
        await asyncio.sleep(0)
        origin.release()
        assert await looking == await loading == b"value", "what is being fetched is about to be known"
        assert await one.get("k") == b"value"

    run(scenario())


def test_several_at_once_are_fetched_together() -> None:
    async def scenario() -> None:
        origin = Origin(lambda key: key.upper())
        one = cache()
        await one.get("a", origin.load)
        assert await one.get_many(["a", "b", "b", "c"], origin.load) == {"a": "A", "b": "B", "c": "C"}
        assert sorted(origin.asked) == ["a", "b", "c"]

    run(scenario())


def test_what_was_invalidated_by_key_or_tag_is_given_to_nobody_in_any_worker() -> None:
    async def scenario() -> None:
        generations = Generations(bytearray(GENERATIONS_SIZE))
        here, there = (cache(generations=generations, ttl=60.0) for _ in range(2))
        origin = Origin()
        for one in (here, there):
            await one.get("a", origin.load, tags="users")
            await one.get("b", origin.load, tags=("users", "admins"))
            await one.get("c", origin.load)
        origin.asked.clear()
        await here.invalidate("c")
        await here.invalidate_tag("admins")
        for one in (here, there):
            await one.get_many(["a", "b", "c"], origin.load)
        assert sorted(origin.asked) == ["b", "b", "c", "c"]

    run(scenario())


@pytest.mark.parametrize("how", ["key", "tag", "late tag", "set"])
def test_what_was_invalidated_while_it_was_fetched_is_not_kept(how: str) -> None:
    async def scenario() -> None:
        origin = Origin(Loaded(b"old", tags=("late",)))
        one = cache(ttl=60.0)
        origin.hold()
        first = background(asyncio.wait_for(one.get("k", origin.load, tags=("early",)), 60))
        await until(lambda: origin.asked)
        if how == "set":
            await one.set("k", b"new")
        elif how == "key":
            await one.invalidate("k")
        else:
            await one.invalidate_tag("early" if how == "tag" else "late")
        origin.release()
        assert await first == b"old", "who waited for it gets it"
        origin.answer = b"new"
        assert await one.get("k", origin.load) == b"new"
        assert len(origin.asked) == (1 if how == "set" else 2)

    run(scenario())


def test_tags_that_a_load_tells_are_tags() -> None:
    async def scenario() -> None:
        origin = Origin(Loaded(b"old", tags=("late", "early")))
        one = cache(ttl=60.0)
        await one.get("k", origin.load, tags=("early",))
        assert one.entries["k"].tags == ("early", "late")
        await one.invalidate_tag("late")
        origin.answer = b"new"
        assert await one.get("k", origin.load) == b"new"

    run(scenario())


def test_a_record_read_once_a_second_is_not_fetched_again_in_a_flood() -> None:
    async def scenario() -> None:
        clock, origin = Clock(), Origin(b"x" * 20_000)
        one = cache(clock, ttl=3600.0, memory=256 << 10)
        cold = Origin(b"y" * 200)
        await one.get("record", origin.load)
        for second in range(10):
            clock.now += 1.0
            assert await one.get("record", origin.load)
            await one.get_many((f"cold:{second}:{number}" for number in range(500)), cold.load)
        assert len(origin.asked) == 1
        seen = one.statistics().worker
        assert seen.bytes <= 256 << 10 and seen.evictions > 4000

    run(scenario())


def test_who_was_waited_for_by_many_stays_at_once() -> None:
    async def scenario() -> None:
        one = cache(memory=1 << 20)
        origin = Origin(b"x" * 300_000)
        await one.get_many((f"cold:{number}" for number in range(2000)), Origin(b"y" * 200).load)
        origin.hold()
        callers = [background(asyncio.wait_for(one.get("k", origin.load), 60)) for _ in range(5)]
        await until(lambda: origin.asked)
        origin.release()
        await asyncio.gather(*callers)
        assert one.get_nowait("k") is not None

    run(scenario())


def test_a_pinned_value_makes_no_room() -> None:
    async def scenario() -> None:
        one = cache(memory=1 << 20)
        one.pin("k")
        await one.get("k", Origin(b"x" * 300_000).load)
        await one.get_many((f"cold:{number}" for number in range(3000)), Origin(b"y" * 2000).load)
        assert one.get_nowait("k") is not None
        one.unpin("k")
        assert one.get_nowait("k") is not None

    run(scenario())


def test_other_settings_leave_what_is_there() -> None:
    async def scenario() -> None:
        from tidegate.config.cache import Cache as Settings

        clock = Clock()
        one = cache(clock, ttl=60.0)
        await one.get("k", Origin().load)
        one.configure(Settings(ttl=5.0, memory=100_000, jitter=0.0))
        await one.get("new", Origin().load)
        assert one.entries["k"].fresh_until == clock.now + 60.0 and one.entries["new"].fresh_until == clock.now + 5.0
        one.configure(Settings(memory=1024))
        assert one.statistics().worker.bytes <= 1024
        one.close()
        assert one.get_nowait("new") is None

    run(scenario())


def test_jitter_ends_what_came_together_at_different_times() -> None:
    async def scenario() -> None:
        clock = Clock()
        one = cache(clock, ttl=100.0, jitter=0.2)
        await one.get_many((f"k{number}" for number in range(50)), Origin().load)
        ends = {entry.fresh_until - clock.now for entry in one.entries.values()}
        assert len(ends) > 40 and min(ends) >= 80.0 and max(ends) <= 100.0

    run(scenario())
