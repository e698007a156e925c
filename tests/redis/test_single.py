"""A link to one server: three lanes, opened when they are used, and kept."""

from __future__ import annotations

import asyncio

from tests.redis.links import link_to, run
from tests.redis.servers import Server


def test_sockets_are_opened_when_used_and_kept_whatever_the_burst(server: Server) -> None:
    async def scenario() -> None:
        before = int(server.ask("CLIENT", "LIST").count(b"name=tidegate"))
        async with link_to(server.address) as link:
            assert "connected []" in repr(link)

            async def update(number: int) -> None:
                await link.data.set(f"presence:{number % 100}", number)
                await link.control.ping()

            await asyncio.gather(*(update(number) for number in range(5000)))
            assert int(server.ask("CLIENT", "LIST").count(b"name=tidegate")) == before + 2
            lanes = {one.name: one for one in link.statistics().lanes}
            assert set(lanes) == {"control", "data"}
            assert lanes["data"].commands / lanes["data"].writes > 10

    run(scenario())


def test_small_replies_do_not_wait_behind_a_large_one(server: Server) -> None:
    """The reply of the control lane is there before the one of 20 MB that was asked for first."""

    async def scenario() -> None:
        async with link_to(server.address) as link:
            await asyncio.gather(link.control.ping(), link.bulk.set("huge", b"x" * (20 << 20)))
            order: list[str] = []

            async def large() -> None:
                await link.bulk.get("huge")
                order.append("large")

            async def small() -> None:
                for _ in range(3):
                    await link.control.ping()
                    order.append("small")

            await asyncio.gather(large(), small())
            await link.data.delete("huge")
            assert order[0] == "small" and order.count("small") == 3

    run(scenario())
