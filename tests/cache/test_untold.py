"""Invalidations that Redis could not be told."""

from __future__ import annotations

import asyncio
import itertools
import random

import pytest
from tests.cache.caches import Origin, cache, stored
from tests.redis.links import Log, link_to, run, until
from tests.redis.servers import Server

from tidegate import NotTold
from tidegate.cache.untold import UNTOLD_MAX, Invalidation, Untold
from tidegate.errors import GatewayError, Kind
from tidegate.testing.relay import Relay

_numbers = itertools.count()

AWAY = GatewayError(Kind.CONNECTION_REFUSED, "away")


class Redis:
    """Hears, or does not."""

    def __init__(self) -> None:
        self.is_away = True
        self.heard: list[Invalidation] = []
        self.tries = 0

    async def tell(self, what: Invalidation) -> None:
        self.tries += 1
        if self.is_away:
            raise AWAY
        self.heard.append(what)


def untold(redis: Redis, log: Log) -> Untold:
    return Untold("test", redis.tell, log.say, random.Random(1))


def test_what_is_kept_is_told_once_when_it_can_be() -> None:
    async def scenario() -> None:
        redis, log = Redis(), Log()
        one = untold(redis, log)
        for what in (Invalidation("a"), Invalidation("a"), Invalidation(tag="a"), Invalidation(b"b")):
            error = one.keep(what, AWAY)
            assert error.is_kept and error.kind is Kind.CONNECTION_REFUSED and "is told when it is back" in str(error)
        await until(lambda: redis.tries >= 6)
        assert len(one) == 3 and not redis.heard
        redis.is_away = False
        await until(lambda: len(redis.heard) == 3)
        assert set(redis.heard) == {Invalidation("a"), Invalidation(tag="a"), Invalidation(b"b")}
        await until(lambda: log.kinds == ["cache_invalidation_kept", "cache_invalidation_told"])
        assert (len(one), one.told, one.lost) == (0, 3, 0) and "3 invalidations" in log[1].message

    run(scenario())


def test_one_that_is_kept_again_while_it_is_told_is_told_again() -> None:
    async def scenario() -> None:
        redis = Redis()
        one = untold(redis, Log())
        redis.is_away = False

        async def tell(what: Invalidation) -> None:
            await redis.tell(what)
            if len(redis.heard) == 1:
                one.keep(what, AWAY)

        one._tell = tell
        one.keep(Invalidation("a"), AWAY)
        await until(lambda: not len(one) and one.told == 2)
        assert redis.heard == [Invalidation("a")] * 2

    run(scenario())


def test_no_more_are_kept_than_there_is_room_for_and_who_is_not_is_told_so() -> None:
    async def scenario() -> None:
        log = Log()
        one = untold(Redis(), log)
        for number in range(UNTOLD_MAX):
            assert one.keep(Invalidation(str(number)), AWAY).is_kept
        assert one.keep(Invalidation("0"), AWAY).is_kept, "it is there already"
        error = one.keep(Invalidation("more"), AWAY)
        assert not error.is_kept and "is not kept" in str(error) and (len(one), one.lost) == (UNTOLD_MAX, 1)
        one.close()
        assert (len(one), one.lost) == (0, UNTOLD_MAX + 1)
        one.close()
        assert (
            log.kinds == ["cache_invalidation_kept", "cache_invalidation_lost"]
            and f"{UNTOLD_MAX} inv" in log[1].message
        )
        await asyncio.sleep(0)

    run(scenario())


@pytest.mark.parametrize("how", ["key", "tag", "set"])
def test_what_was_invalidated_while_redis_was_away_is_found_by_nobody_when_it_is_back(server: Server, how: str) -> None:
    async def scenario() -> None:
        prefix = f"untold{next(_numbers)}:"
        with Relay(server.address) as relay:
            async with link_to(relay.address) as a, link_to(server.address) as b:
                here, there = cache(link=a, redis="main", prefix=prefix), cache(link=b, redis="main", prefix=prefix)
                for one in (here, there):
                    await until(lambda one=one: one._bus is not None and one._bus.is_current)  # type: ignore[misc]
                await here.get("k", Origin(b"old").load, tags=("t",))
                await stored(here, 1)
                assert await there.get("k") == b"old"
                relay.is_refusing = True
                relay.cut()
                with pytest.raises(NotTold) as told:
                    await {
                        "key": lambda: here.invalidate("k"),
                        "tag": lambda: here.invalidate_tag("t"),
                        "set": lambda: here.set("k", b"set"),
                    }[how]()
                assert told.value.is_kept and here.statistics().untold == 1
                assert there.get_nowait("k") == b"old", "nobody could have told it"
                relay.is_refusing = False
                await until(lambda: here.statistics().told_late == 1)
                await until(lambda: there.get_nowait("k") is None)
                assert await there.get("k", Origin(b"new").load) == b"new"
                assert here.statistics().untold == 0
                for one in (here, there):
                    one.close()

    run(scenario())
