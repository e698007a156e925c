"""A cache whose Redis is a cluster of three nodes: what it promises holds, also while slots move."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.cache.caches import Origin, cache, stored
from tests.redis.clusters import Cluster, linked
from tests.redis.links import FAR_S, Log, background, run, until

from tidegate import NotTold
from tidegate.cache.cache import Cache
from tidegate.redis.slots import slot_of

_numbers = itertools.count()


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    one = Cluster()
    try:
        yield one
    finally:
        one.close()


@asynccontextmanager
async def machines(cluster: Cluster, count: int = 2, **settings: Any) -> AsyncIterator[list[Cache]]:
    """Caches of several machines, each with a link of its own, that hear each other."""
    async with linked(cluster) as a, linked(cluster) as b, linked(cluster) as c:
        options = {"redis": "main", "prefix": f"c{next(_numbers)}:", "wait": FAR_S, "ttl": 3600.0} | settings
        made = [cache(link=link, **options) for link in (a, b, c)[:count]]
        try:
            for one in made:
                await until(lambda one=one: one._bus is None or one._bus.is_current)  # type: ignore[misc]
            yield made
        finally:
            for one in made:
                one.close()


async def hears(one: Cache, other: Cache) -> None:
    """Returns when a message of one is heard by the other: between nodes that have just met some are lost."""
    assert other._bus is not None
    while not other._bus.heard:
        await one.invalidate("a first message")
        await asyncio.sleep(0.02)


def test_values_of_all_nodes_are_found_elsewhere_and_a_tag_ends_them_all(cluster: Cluster) -> None:
    async def scenario() -> None:
        async with machines(cluster, preload_tags=("t",), large_value=65_536) as (here, there):
            await hears(here, there)
            keys = [f"k{number}" for number in range(60)]
            for key in keys:
                large = key in keys[:6]
                await here.get(key, Origin(key.encode() * (40_000 if large else 1)).load, tags=("t", f"{key}s"))
            await stored(here, len(keys))
            names = [here._fetcher.remote.key(key) for key in keys]  # type: ignore[union-attr]
            assert {cluster.owner(slot_of(name)) for name in names} == set(cluster.nodes)
            assert await there.preload() == len(keys)
            assert [len(there.get_nowait(key)) for key in keys[5:7]] == [2 * 40_000, 2]
            assert there.statistics().redis.large == 6  # type: ignore[union-attr]
            await here.invalidate_tag("k7s")
            await until(lambda: there.get_nowait("k7") is None)
            assert await there.get("k7") is None and there.get_nowait("k8") == b"k8"
            await here.invalidate("k8")
            await until(lambda: there.get_nowait("k8") is None)
            await here.invalidate_tag("t")
            await until(lambda: not any(there.get_nowait(key) for key in keys))
            assert not any([await there.get(key) for key in keys])
            assert there.statistics().redis.errors == 0  # type: ignore[union-attr]

    run(scenario())


def test_a_fleet_costs_the_origin_one_fetch_for_a_key_of_any_node(cluster: Cluster) -> None:
    async def scenario() -> None:
        async with machines(cluster, 3, single_flight="fleet") as fleet:
            origin = Origin()
            origin.hold()
            keys = [f"f{number}" for number in range(9)]
            callers = [background(asyncio.wait_for(one.get(key, origin.load), 60)) for one in fleet for key in keys]
            await until(lambda: len(origin.asked) == len(keys))
            origin.release()
            assert await asyncio.gather(*callers) == [b"value"] * len(callers)
            assert sorted(origin.asked) == keys

    run(scenario())


def test_a_message_that_is_lost_is_noticed_in_a_cluster_too(cluster: Cluster) -> None:
    async def scenario() -> None:
        async with machines(cluster) as (here, there):
            await hears(here, there)
            bus = there._bus
            assert bus is not None
            bus._subscriber.unsubscribe(bus._channel)
            for node in cluster.nodes:
                await until(lambda node=node: node.ask("PUBSUB", "NUMSUB", bus._channel)[1] <= 1)  # type: ignore[misc]
            await there.get("a", Origin(b"old").load)
            await here.invalidate("a")
            await until(lambda: there.get_nowait("a") is None)
            assert bus.gaps

    run(scenario())


def test_while_a_slot_moves_nobody_fails_and_nobody_is_given_what_was_invalidated(cluster: Cluster) -> None:
    """The origin counts up; what one machine has invalidated, the other never sees afterwards."""

    async def scenario() -> None:
        async with machines(cluster, large_value=4096) as (here, there):
            remote = here._fetcher.remote
            assert remote is not None
            count, is_over, rounds = 0, False, 0

            async def load(key: Any) -> bytes:
                return b"%d" % count + b" " * (5000 if key == "large" else 0)

            async def change(key: str) -> None:
                nonlocal count
                count += 1
                now = count
                await here.invalidate(key)
                assert int(await here.get(key, load, tags=("t",))) >= now
                await until(lambda: there.get_nowait(key) is None or int(there.get_nowait(key)) >= now)
                assert int(await there.get(key, load, tags=("t",))) >= now

            async def change_again_and_again(key: str) -> None:
                nonlocal rounds
                while not is_over:
                    await change(key)
                    rounds += 1

            callers = [background(change_again_and_again(key)) for key in ("moving", "large")]
            for name in (remote.key("moving"), remote.key("large"), remote.tag("t"), b"%bversion" % remote._prefix):
                seen = rounds
                await until(lambda seen=seen: rounds > seen + 3)  # type: ignore[misc]
                source, target = await asyncio.to_thread(cluster.begin_move, slot_of(name))
                await until(lambda seen=rounds: rounds > seen + 3)  # type: ignore[misc]
                await asyncio.to_thread(cluster.end_move, slot_of(name), source, target)
            seen = rounds
            await until(lambda: rounds > seen + 3)
            is_over = True
            await asyncio.gather(*callers)
            for one in (here, there):
                assert one.statistics().redis.errors == 0  # type: ignore[union-attr]

    run(scenario())


def test_a_watched_source_is_read_from_all_nodes_and_heard_from_all(cluster: Cluster) -> None:
    async def scenario() -> None:
        log = Log()
        async with linked(cluster) as link:
            keys = [f"k{number}" for number in range(60)]
            await asyncio.gather(*(link.data.set(f"watched:{key}", key) for key in keys))
            one = cache(link=link, redis="main", watch="watched:", wait=FAR_S, say=log.say)
            await one.preload()
            assert [one.get_nowait(key) for key in keys] == [key.encode() for key in keys]
            await asyncio.gather(*(link.data.set(f"watched:{key}", "new") for key in keys))
            await until(lambda: all(one.get_nowait(key) == b"new" for key in keys))
            name = b"watched:k1"
            source, target = await asyncio.to_thread(cluster.begin_move, slot_of(name))
            await link.data.set(name, "while it moves")
            await until(lambda: one.get_nowait("k1") == b"while it moves")
            await asyncio.to_thread(cluster.end_move, slot_of(name), source, target)
            await link.data.set(name, "where it is now")
            await until(lambda: one.get_nowait("k1") == b"where it is now")
            assert one.statistics().source.wholes == 1 and not log  # type: ignore[union-attr]
            one.close()

    run(scenario())


def test_what_was_invalidated_while_a_node_was_away_is_told_when_it_is_back(cluster: Cluster) -> None:
    async def scenario() -> None:
        async with machines(cluster) as (here, there):
            remote = here._fetcher.remote
            assert remote is not None
            await here.get("k", Origin(b"old").load)
            await stored(here, 1)
            assert await there.get("k") == b"old"
            gone = cluster.owner(slot_of(b"%bversion" % remote._prefix))
            await asyncio.to_thread(gone.kill)
            with pytest.raises(NotTold) as told:
                await here.invalidate("k")
            assert told.value.is_kept
            await asyncio.to_thread(gone.start)
            await until(lambda: here.statistics().told_late == 1)
            await until(lambda: there.get_nowait("k") is None)
            assert await there.get("k", Origin(b"new").load) == b"new"

    run(scenario())


def test_a_node_that_dies_takes_the_keys_of_its_slots_from_redis_and_from_nobody_who_loads(cluster: Cluster) -> None:
    """The last test of the module: the node stays away."""

    async def scenario() -> None:
        async with machines(cluster, wait=FAR_S) as (here, _):
            await asyncio.to_thread(cluster.nodes[1].kill)
            origin = Origin()
            keys = [f"d{number}" for number in range(30)]
            found = await here.get_many(keys, origin.load)
            assert set(found.values()) == {b"value"} and sorted(origin.asked) == sorted(keys)

    run(scenario())
