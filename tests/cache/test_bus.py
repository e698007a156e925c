"""Invalidations of other machines, with messages and without."""

from __future__ import annotations

import asyncio
import itertools

import pytest
from tests.cache.caches import Origin, cache, stored
from tests.redis.links import background, link_to, run, until
from tests.redis.servers import Server

from tidegate.cache.cache import Cache
from tidegate.memory.generations import GENERATIONS_SIZE, Generations
from tidegate.redis.link import Link
from tidegate.testing.relay import Relay

_prefixes = itertools.count()


def prefix() -> str:
    return f"bus{next(_prefixes)}:"


async def listening(link: Link, name: str, generations: Generations | None = None) -> Cache:
    one = cache(link=link, redis="main", prefix=name, ttl=3600.0, generations=generations)
    await until(lambda: one._bus is not None and one._bus.is_current)
    return one


async def knows(one: Cache, *keys: str) -> None:
    for key in keys:
        await one.get(key, Origin(b"old").load, tags=("t",))


def test_what_one_machine_invalidates_no_other_gives_out(server: Server) -> None:
    async def scenario() -> None:
        name = prefix()
        async with link_to(server.address) as a, link_to(server.address) as b:
            here, there = await listening(a, name), await listening(b, name)
            await knows(here, "a", "b")
            await stored(here, 2)
            await knows(there, "a", "b")
            await here.invalidate("a")
            await until(lambda: there.get_nowait("a") is None)
            assert there.get_nowait("b") == b"old"
            await here.invalidate_tag("t")
            await until(lambda: there.get_nowait("b") is None)
            assert there.statistics().redis.gaps == 0  # type: ignore[union-attr]
            here.close()
            there.close()

    run(scenario())


def test_workers_that_share_memory_change_it_once(server: Server) -> None:
    async def scenario() -> None:
        name, shared = prefix(), Generations(bytearray(GENERATIONS_SIZE))
        async with link_to(server.address) as a, link_to(server.address) as b, link_to(server.address) as c:
            here = await listening(a, name)
            pair = [await listening(b, name, shared), await listening(c, name, shared)]
            await here.invalidate("k")
            await until(lambda: all(one._bus is not None and one._bus.heard == 1 for one in pair))
            assert shared.current_epoch() == 1
            for one in (here, *pair):
                one.close()

    run(scenario())


def test_a_message_that_is_lost_is_noticed_within_a_second_and_everything_is_fetched_again(server: Server) -> None:
    """The second machine's subscriptions go to a server that hears nothing."""

    async def scenario() -> None:
        name = prefix()
        async with link_to(server.address) as a, link_to(server.address) as b:
            here = await listening(a, name)
            there = await listening(b, name)
            bus = there._bus
            assert bus is not None
            bus._subscriber.unsubscribe(name + "invalidated")
            await until(lambda: server.ask("PUBSUB", "NUMSUB", name + "invalidated")[1] == 1)
            await knows(there, "a", "b")
            began = asyncio.get_running_loop().time()
            await here.invalidate("a")
            await until(lambda: there.get_nowait("a") is None)
            took = asyncio.get_running_loop().time() - began
            assert there.get_nowait("b") is None, "who has missed something believes nothing"
            assert bus.gaps == 1 and bus.heard == 0
            assert took < 30  # a second, on a machine that has nothing else to do
            await knows(there, "a")
            await until(lambda: bus._version == int(server.ask("GET", name + "version")))
            assert there.get_nowait("a") == b"old", "and then it believes again"
            here.close()
            there.close()

    run(scenario())


def test_a_relay_that_swallows_messages_delays_an_invalidation_and_loses_none(server: Server) -> None:
    async def scenario() -> None:
        name = prefix()
        with Relay(server.address) as relay:
            async with link_to(server.address) as a, link_to(relay.address) as b:
                here, there = await listening(a, name), await listening(b, name)
                await knows(there, "a")
                relay.is_refusing = True
                relay.cut()  # both its lanes and its subscription
                await here.invalidate("a")
                assert there.get_nowait("a") == b"old", "nobody could have told it"
                relay.is_refusing = False
                await until(lambda: there.get_nowait("a") is None)
                here.close()
                there.close()

    run(scenario())


def test_a_subscription_that_was_lost_while_nothing_happened_costs_nothing(server: Server) -> None:
    async def scenario() -> None:
        name = prefix()
        with Relay(server.address) as relay:
            async with link_to(relay.address) as link:
                there = await listening(link, name)
                await knows(there, "a")
                relay.cut()
                await until(lambda: there._bus is not None and there._bus._subscriber.statistics().gaps == 1)
                await until(lambda: server.ask("PUBSUB", "NUMSUB", name + "invalidated")[1] == 1)
                looked = link.control
                await looked.ping()
                await asyncio.sleep(0.05)
                assert there.get_nowait("a") == b"old"
                there.close()

    run(scenario())


def test_a_server_that_has_lost_its_counter_is_noticed(server: Server) -> None:
    async def scenario() -> None:
        name = prefix()
        async with link_to(server.address) as link:
            there = await listening(link, name)
            for _ in range(3):
                await there.invalidate("x")
            await until(lambda: there._bus is not None and there._bus.heard == 3)
            await knows(there, "a")
            server.ask("DEL", name + "version")
            await until(lambda: there.get_nowait("a") is None)
            there.close()

    run(scenario())


def test_a_counter_that_was_lost_is_not_where_it_was_after_as_many_invalidations(server: Server) -> None:
    """The second machine hears nothing, and looks only when all has happened."""

    async def scenario() -> None:
        name = prefix()
        async with link_to(server.address) as a, link_to(server.address) as b:
            here, there = await listening(a, name), await listening(b, name)
            bus = there._bus
            assert bus is not None
            bus._subscriber.unsubscribe(name + "invalidated")
            await until(lambda: server.ask("PUBSUB", "NUMSUB", name + "invalidated")[1] == 1)
            await here.invalidate("x")
            await until(lambda: bus._version == int(server.ask("GET", name + "version")))
            await knows(there, "a")
            bus._tasks[1].cancel()
            server.ask("DEL", name + "version")
            await here.invalidate("a")
            assert there.get_nowait("a") == b"old"
            bus._tasks.append(background(bus._look()))
            await until(lambda: there.get_nowait("a") is None)
            here.close()
            there.close()

    run(scenario())


@pytest.mark.parametrize(
    "message", ["", "w x y z", "1 2 3", "0 1 -5 3", "0 1 99999999 3", "0 1 5 99999999999999999999999"]
)
def test_messages_of_somebody_else_are_passed_over(server: Server, message: str) -> None:
    async def scenario() -> None:
        name = prefix()
        async with link_to(server.address) as link:
            there = await listening(link, name)
            await knows(there, "a")
            server.ask("PUBLISH", name + "invalidated", message)
            await there.invalidate("b")
            await until(lambda: there._bus is not None and there._bus.heard == 1)
            assert there.get_nowait("a") == b"old"
            there.close()

    run(scenario())
