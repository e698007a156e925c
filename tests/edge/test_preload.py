"""Caches that are full before anybody asks."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest
from tests.cache.caches import Origin, cache, stored
from tests.redis.conftest import server
from tests.redis.links import Log, link_to, run, until
from tests.redis.servers import Server

from tidegate import Filter, Request, Response, testing
from tidegate.edge.preload import preload

__all__ = ["server"]

_numbers = itertools.count()


class Fills(Filter):
    """Knows what will be asked for."""

    def prepare(self) -> None:
        self.asked = 0

    async def preload(self) -> None:
        await self.caches["prices"].get("tea", self.find_out)

    def on_request(self, request: Request) -> Response | None:
        return Response(200, f"{self.caches['prices'].get_nowait('tea', 'unknown')}\n")

    async def find_out(self, key: Any) -> str:
        self.asked += 1
        return f"{key} costs {self.asked}"


class Fails(Fills):
    """Asks somebody who is away."""

    async def find_out(self, key: Any) -> str:
        raise OSError("no route")


def test_a_filter_fills_its_cache_before_the_first_request() -> None:
    with testing.gateway(Fills, config={"cache": {"prices": {}}}) as gw:
        assert gw.get("/").body == b"tea costs 1\n"
        assert not gw.errors


def test_one_that_fails_is_said_and_serves_all_the_same() -> None:
    with testing.gateway(Fails, config={"cache": {"prices": {}}}) as gw:
        assert gw.get("/").body == b"unknown\n"
        (one,) = gw.errors
        assert one.kind == "preload_failed" and "filter filter0" in one.message and "no route" in one.message


def test_keys_of_the_configuration_are_at_hand_before_anybody_asks(server: Server) -> None:
    async def scenario() -> None:
        prefix = f"preload{next(_numbers)}:"
        async with link_to(server.address) as there, link_to(server.address) as here:
            filled = cache(link=there, redis="main", prefix=prefix)
            await until(lambda: filled._bus is not None and filled._bus.is_current)
            await filled.get("a", Origin().load)
            await stored(filled, 1)
            one, log = cache(link=here, redis="main", prefix=prefix, preload=("a", "unknown")), Log()
            await preload({"test": one}, {}, log.say)
            assert one.get_nowait("a") == b"value" and one.get_nowait("unknown", 0) == 0
            assert not log
            for made in (filled, one):
                made.close()

    run(scenario())


def test_values_under_a_tag_of_the_configuration_are_at_hand_before_anybody_asks(server: Server) -> None:
    async def scenario() -> None:
        prefix = f"preload{next(_numbers)}:"
        settings: dict[str, Any] = {"redis": "main", "prefix": prefix, "preload_tags": ("hot",)}
        async with link_to(server.address) as there, link_to(server.address) as here:
            filled = cache(link=there, **settings)
            await until(lambda: filled._bus is not None and filled._bus.is_current)
            for number in range(70):
                await filled.get(f"hot{number}", Origin(b"%d" % number).load, tags=("hot", "other"))
            await filled.get("cold", Origin().load, tags=("other",))
            await filled.get("invalidated", Origin().load, tags=("hot",))
            await stored(filled, 72)
            await filled.invalidate("invalidated")
            one, log = cache(link=here, **settings), Log()
            await preload({"test": one}, {}, log.say)
            assert sorted(one.entries) == sorted(f"hot{number}" for number in range(70)) and not log
            await filled.invalidate_tag("hot")
            again = cache(link=here, **settings)
            assert await again.preload() == 0 and not again.entries
            for made in (filled, one, again):
                made.close()

    run(scenario())


@pytest.mark.parametrize("is_away", [True, False])
def test_what_does_not_come_in_time_is_said(is_away: bool) -> None:
    async def scenario() -> None:
        class Waits(Filter):
            async def preload(self) -> None:
                await asyncio.Event().wait()

        log = Log()
        async with link_to("127.0.0.1:1") as link:
            one = cache(link=link, redis="main", preload=("a",))
            await preload(
                {"test": one}, {} if is_away else {"waits": Waits()}, log.say, within_s=30.0 if is_away else 0.05
            )
            assert [said.message.split(":")[0] for said in log if "waits" in said.message] == (
                [] if is_away else ["filter waits was not filled before the worker was ready"]
            )
            one.close()

    run(scenario())
