"""Gateways that share a store count each other."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from tests.redis.links import Log, lanes, link_to, run, until
from tests.redis.servers import serving

from tidegate.limits.fleet.nodes import KEY, Nodes, node_name


def test_workers_of_a_gateway_are_one_node_and_clones_are_not() -> None:
    secret, boot = bytes(range(32)), b"0f6f-4f\n"
    assert node_name(secret, boot) == node_name(secret, boot)
    assert len({node_name(secret, boot), node_name(secret[::-1], boot), node_name(secret, b"other")}) == 3


def test_nodes_are_counted_and_the_last_number_stands_while_the_store_is_away() -> None:
    async def scenario() -> None:
        async with AsyncExitStack() as stack:
            server = stack.enter_context(serving())
            links = [
                await stack.enter_async_context(link_to(server.address, lanes(timeout_s=1.0), Log())) for _ in range(3)
            ]
            nodes = [Nodes(lambda link=link: link, f"n{i % 2}") for i, link in enumerate(links)]  # type: ignore[misc]
            assert [one.count for one in nodes] == [1, 1, 1]
            for one in nodes:
                one.begin()
                one.begin()
                stack.callback(one.close)
            await until(lambda: [one.count for one in nodes] == [2, 2, 2])
            assert server.ask("ZCARD", KEY) == 2
            server.kill()
            await asyncio.sleep(0)
            assert nodes[0].is_heard
            await until(lambda: not any(link.statistics().is_available for link in links))
            assert [one.count for one in nodes] == [2, 2, 2]

    run(scenario())


def test_without_a_link_a_node_is_alone() -> None:
    async def scenario() -> None:
        nodes = Nodes(lambda: None, "alone")
        nodes.begin()
        await asyncio.sleep(0)
        assert nodes.count == 1
        nodes.close()
        assert not nodes.is_heard

    run(scenario())
