"""The links of a worker over reloads, in its filters, and in shared memory."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.redis.links import Log, run, until
from tests.redis.servers import Server

from tidegate import Filter, Request, Response, testing
from tidegate.config.redis import Redis
from tidegate.memory.meters import MeterReader
from tidegate.memory.region import Region
from tidegate.redis.links import Links


def test_a_reload_keeps_the_links_whose_settings_stay(server: Server) -> None:
    async def scenario() -> None:
        region = Region.create(1)
        links = Links(region.slot(0).take_meters(), Log().say)
        main, other = Redis(url=f"redis://{server.address}"), Redis(url=f"redis://{server.address}/1")
        links.configure({"main": main, "other": other})
        kept, changed = links["main"], links["other"]
        await kept.data.ping()
        links.configure({"main": main, "other": Redis(url=f"redis://{server.address}/2"), "new": other})
        assert links["main"] is kept and links["other"] is not changed
        assert await changed.data.ping() == b"PONG", "who is in the middle of something ends it"
        links.configure({})
        assert list(links) == []
        assert len(links) == 0 and "main" not in links
        links.close()
        for one in (kept, changed):
            result = (await asyncio.gather(one.data.ping(), return_exceptions=True))[0]
            assert isinstance(result, Exception)
        region.close()

    run(scenario())


def test_a_link_that_is_gone_answers_by_its_name_as_long_as_somebody_may_ask(server: Server) -> None:
    async def scenario() -> None:
        region = Region.create(1)
        links = Links(region.slot(0).take_meters(), Log().say)
        main = Redis(url=f"redis://{server.address}")
        links.configure({"main": main})
        link = links["main"]
        links.configure({}, kept={"main", "never was"})
        assert links["main"] is link and list(links) == ["main"]
        assert await links["main"].data.ping() == b"PONG"
        links.configure({"main": main}, kept={"main"})
        assert links["main"] is link, "it came back, and is the same"
        links.configure({"main": Redis(url=f"redis://{server.address}/1")}, kept={"main"})
        assert links["main"] is not link, "what has a name in the newest snapshot is that one"
        links.configure({})
        assert "main" not in links
        links.close()
        region.close()

    run(scenario())


def test_what_is_counted_reaches_shared_memory_by_itself(server: Server) -> None:
    async def scenario() -> None:
        region = Region.create(1)
        links = Links(region.slot(0).take_meters(), Log().say)
        links.configure({"main": Redis(url=f"redis://{server.address}")})
        await links["main"].data.set("shared:1", "x")
        await until(lambda: ("redis_command", "main SET") in MeterReader(region.mapping).places())
        links.close()
        region.close()

    run(scenario())


class Visits(Filter):
    """Counts visits in Redis."""

    async def on_request(self, request: Request) -> Response | None:
        count = await self.redis_links["main"].data.incr("visits:total")
        return Response(200, f"{count}\n")


def test_a_filter_asks_redis_while_its_exchange_waits(server: Server) -> None:
    server.ask("DEL", "visits:total")
    config: dict[str, Any] = {"redis": {"main": {"url": f"redis://{server.address}"}}}
    with testing.gateway(Visits, config=config) as gw:
        assert [gw.get("/").body for _ in range(3)] == [b"1\n", b"2\n", b"3\n"]
        assert not gw.errors


def test_a_filter_without_redis_says_what_is_missing() -> None:
    with testing.gateway(Visits) as gw:
        assert gw.get("/").status == 500
        assert any("main" in one.message for one in gw.errors)
