"""A real cluster of three nodes: keys go where they belong, slots move under load, nodes die."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from tests.redis.clusters import Cluster, linked
from tests.redis.links import Log, background, run, until
from tests.redis.servers import free_port

from tidegate.config.redis import Redis
from tidegate.errors import GatewayError
from tidegate.redis.errors import ReplyError
from tidegate.redis.link import make_link
from tidegate.redis.scripts import Script
from tidegate.redis.slots import slot_of


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    one = Cluster()
    try:
        yield one
    finally:
        one.close()


def test_keys_go_to_the_nodes_that_have_them(cluster: Cluster) -> None:
    async def scenario() -> None:
        async with linked(cluster) as link:
            await asyncio.gather(*(link.data.set(f"spread:{number}", number) for number in range(300)))
            found = await asyncio.gather(*(link.data.get(f"spread:{number}") for number in range(300)))
            assert found == [b"%d" % number for number in range(300)]
            assert link.refreshes == 1
            assert {node.ask("DBSIZE") > 0 for node in cluster.nodes} == {True}
            assert {node.lanes["data"].statistics().address for node in link.nodes() if node.is_used} == {
                node.address for node in cluster.nodes
            }
            lanes = [one for one in link.statistics().lanes if one.name == "data"]
            assert len(lanes) == 3 and sum(one.commands for one in lanes) == 600

    run(scenario())


def test_keys_with_one_tag_are_together_and_others_are_refused(cluster: Cluster) -> None:
    async def scenario() -> None:
        async with linked(cluster) as link:
            for number in range(5):
                await link.data.set(f"{{tenant}}:{number}", number)
            assert await link.data.mget([f"{{tenant}}:{n}" for n in range(5)]) == [b"%d" % n for n in range(5)]
            add = Script("return redis.call('INCRBY', KEYS[1], ARGV[1])")
            assert await add.run(link.data, ["{tenant}:sum"], [3]) == 3
            with pytest.raises(ReplyError) as error:
                await link.data.mget(["spread:1", "spread:2", "spread:3"])
            assert error.value.code == "CROSSSLOT"
            assert await link.data.ping() == b"PONG"

    run(scenario())


def test_a_slot_that_moves_under_load_fails_nobody(cluster: Cluster) -> None:
    slot = slot_of(b"{moving}")

    async def scenario() -> None:
        async with linked(cluster) as link:
            counts = dict.fromkeys(range(20), 0)
            is_over = False

            async def count(number: int) -> None:
                while not is_over:
                    counts[number] += 1
                    # One that is not there yet is asked for where the slot goes (ASK).
                    assert await link.data.incr(f"{{moving}}:{number}") == counts[number]
                    await asyncio.sleep(0.001)

            callers = [background(count(number)) for number in range(20)]
            await until(lambda: all(counts.values()))
            for _ in range(2):
                source, target = await asyncio.to_thread(cluster.begin_move, slot)
                late = {number: link.data.incr(f"{{moving}}:late:{number}:{target.port}") for number in range(20)}
                assert await asyncio.gather(*late.values()) == [1] * 20
                await asyncio.to_thread(cluster.end_move, slot, source, target)
                seen = dict(counts)
                await until(lambda seen=seen: all(counts[number] > seen[number] for number in counts))
            is_over = True
            await asyncio.gather(*callers)
            values = await asyncio.gather(*(link.data.get(f"{{moving}}:{number}") for number in counts))
            assert values == [b"%d" % counts[number] for number in counts]
            await until(lambda: link.refreshes > 1)

    run(scenario())


def test_messages_are_heard_whichever_node_they_are_published_at(cluster: Cluster) -> None:
    async def scenario() -> None:
        heard: list[Any] = []
        async with linked(cluster) as link:
            await link.data.ping()
            await link.subscriber(heard.append).subscribe("news")
            missing = {b"%d" % node.port: node for node in cluster.nodes}
            while missing:  # again and again: between two nodes that have just met a message may be lost
                for port, node in missing.items():
                    await asyncio.to_thread(node.ask, "PUBLISH", "news", port)
                missing = {port: node for port, node in missing.items() if port not in {one.data for one in heard}}
                await asyncio.sleep(0.02)

    run(scenario())


def test_a_cluster_that_is_away_is_told_and_a_closed_link_refuses() -> None:
    async def scenario() -> None:
        link = make_link("main", Redis(url=f"redis://127.0.0.1:{free_port()}", cluster=True), Log().say)
        for _ in range(2):
            with pytest.raises(GatewayError):
                await link.data.get("k")
        link.close()
        with pytest.raises(GatewayError) as error:
            await link.data.get("k")
        assert "closed" in error.value.detail

    run(scenario())


def test_a_node_that_dies_takes_its_own_slots_only(cluster: Cluster) -> None:
    """The last test of the module: the node stays away."""

    async def scenario() -> None:
        log = Log()
        async with linked(cluster, log) as link:
            keys = {
                node.port: next(k for k in map(str, range(10_000)) if cluster.owner(slot_of(k.encode())) is node)
                for node in cluster.nodes
            }
            await asyncio.gather(*(link.data.set(key, "x") for key in keys.values()))
            gone = cluster.nodes[2]
            await asyncio.to_thread(gone.kill)
            await until(lambda: any(gone.address in one.message for one in log))
            with pytest.raises(GatewayError):
                await link.data.within(1.0).get(keys.pop(gone.port))
            assert not link.statistics().is_available

    run(scenario())
