"""The caches of a worker over reloads and in its filters."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.cache.caches import Origin
from tests.redis.links import FAR_S, Log, background, link_to, run, until
from tests.redis.servers import Server

from tidegate import Filter, Request, Response, testing
from tidegate.cache.caches import Caches
from tidegate.cache.machine import MachineTier
from tidegate.config.cache import Cache as Settings
from tidegate.memory.generations import GENERATIONS_SIZE, Generations
from tidegate.memory.region import Region


def test_a_reload_keeps_what_is_in_a_cache() -> None:
    async def scenario() -> None:
        caches = Caches(Generations(bytearray(GENERATIONS_SIZE)))
        caches.configure({"a": Settings(), "b": Settings()})
        first = caches["a"]
        await first.get("k", Origin().load)
        caches.configure({"a": Settings(ttl=5.0), "c": Settings()})
        assert caches["a"] is first and first.settings.ttl == 5.0
        assert await first.get("k") == b"value"
        assert list(caches) == ["a", "c"] and len(caches) == 2
        with pytest.raises(KeyError):
            caches["b"]
        caches.close()
        assert len(caches) == 0

    run(scenario())


def test_the_machine_s_tier_of_a_cache_that_a_reload_takes_away_is_found_by_a_later_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDEGATE_RUNTIME_DIR", str(tmp_path))

    async def scenario() -> None:
        log = Log()
        caches = Caches(Generations(bytearray(GENERATIONS_SIZE)), say=log.say)
        settings = {"a": Settings(machine=1 << 20, ttl=3600.0)}
        for asked in range(3):
            await caches.prepare(settings, "gateway.toml")
            caches.configure(settings)
            if not asked:
                await caches["a"].get("k", Origin().load)  # stored while the next reload takes the cache away
            assert await caches["a"].get("k") == b"value" and not log
            caches.configure({})
        await caches.prepare(settings, "gateway.toml")
        caches.close()

    run(scenario())


def test_the_machine_is_told_what_is_used_each_time_that_figures_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDEGATE_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setattr("tidegate.cache.caches.REPORT_S", 0.001)
    touched: list[str] = []
    monkeypatch.setattr(MachineTier, "touch", lambda _, key: touched.append(key))

    async def scenario() -> None:
        region = Region.create(1)
        caches = Caches(Generations(bytearray(GENERATIONS_SIZE)), meters=region.slot(0).take_meters())
        settings = {"a": Settings(machine=1 << 20, ttl=3600.0)}
        await caches.prepare(settings, "gateway.toml")
        caches.configure(settings)
        await caches["a"].get("k", Origin(b"x" * 100_000).load)
        assert not touched, "it was fetched, and not used again"
        await caches["a"].get("k")
        await until(lambda: touched == ["k"])
        caches.close()
        region.close()

    run(scenario())


def test_a_watched_source_follows_its_settings_and_its_link(server: Server) -> None:
    server.ask("MSET", "here:k", 1, "there:k", 2)

    async def scenario() -> None:
        async with link_to(server.address) as first, link_to(server.address) as second:
            links = {"main": first}
            caches = Caches(Generations(bytearray(GENERATIONS_SIZE)), links)
            settings = Settings(redis="main", watch="here:")
            caches.configure({"a": settings})
            one = caches["a"]
            await one.preload()
            follower = one._follower
            assert follower is not None and follower.bound_s == 60.0 and one.get_nowait("k") == b"1"
            caches.configure({"a": replace(settings, ttl=5.0, stale_if_error=7.0)})
            assert caches["a"] is one and one._follower is follower and follower.bound_s == 12.0
            links["main"] = second
            caches.configure({"a": settings})
            assert caches["a"] is one and one._follower is not follower
            server.ask("SET", "here:k", 3)
            await until(lambda: one.get_nowait("k") == b"3")
            caches.configure({"a": replace(settings, watch="there:")})
            assert caches["a"] is not one
            await caches["a"].preload()
            assert caches["a"].get_nowait("k") == b"2"
            caches.close()

    run(scenario())


def test_caches_of_redis_follow_their_settings(server: Server) -> None:
    async def scenario() -> None:
        async with link_to(server.address) as first, link_to(server.address) as second:
            links = {"main": first}
            caches = Caches(Generations(bytearray(GENERATIONS_SIZE)), links)
            settings = Settings(redis="main", large_value=8192, redis_in_flight=4096, redis_bytes_per_s=1 << 30)
            caches.configure({"a": settings})
            one = caches["a"]
            await until(lambda: one._bus is not None and one._bus.is_current)
            await one.get("k", Origin(b"x" * 10_000).load)
            await until(lambda: one.statistics().redis.stored)  # type: ignore[union-attr]
            assert server.ask("EXISTS", "cache:a:{k}") == 1
            appends = {command.name: command.count for command in first.meters.every_command()}["APPEND"]
            assert appends == 3, "pieces of 4096 bytes"
            assert one._fetcher.remote._pacing._free_at > 0  # type: ignore[union-attr]
            bus = one._bus
            caches.configure({"a": replace(settings, ttl=5.0)})
            assert caches["a"] is one and one._bus is bus, "a reload leaves what it hears and what is in it"
            assert one.get_nowait("k") is not None
            links["main"] = second
            caches.configure({"a": settings})
            assert caches["a"] is one and one._bus is not bus
            caches.configure({"a": replace(settings, prefix="other:")})
            await caches["a"].get("k", Origin().load)
            assert caches["a"] is not one
            await until(lambda: server.ask("EXISTS", "other:{k}"))
            caches.configure({"a": Settings()})
            assert caches["a"].statistics().redis is None
            caches.close()

    run(scenario())


def test_a_cache_that_is_gone_goes_on_as_long_as_somebody_may_ask(server: Server) -> None:
    async def scenario() -> None:
        async with link_to(server.address) as link:
            caches = Caches(Generations(bytearray(GENERATIONS_SIZE)), {"main": link})
            settings, origin = Settings(redis="main", prefix="kept:", ttl=500.0), Origin()
            caches.configure({"a": settings})
            one = caches["a"]
            await one.get("k", origin.load)
            bus = one._bus
            caches.configure({}, kept={"a", "never was"})
            assert caches["a"] is one and list(caches) == ["a"]
            assert one.settings == settings and one._bus is bus, "it still hears what is invalidated"
            assert await one.get("k", origin.load) == b"value" and len(origin.asked) == 1
            caches.configure({"a": replace(settings, ttl=5.0)}, kept={"a"})
            assert caches["a"] is one and one.settings.ttl == 5.0, "it came back, with what is in it"
            caches.configure({})
            assert "a" not in caches and one._bus is None
            caches.close()

    run(scenario())


@pytest.mark.parametrize("after", [{}, {"a": Settings(redis="main", prefix="other:")}])
def test_who_waits_for_a_cache_that_a_reload_takes_away_gets_his_value(
    server: Server, after: dict[str, Settings]
) -> None:
    async def scenario() -> None:
        async with link_to(server.address) as link:
            caches = Caches(Generations(bytearray(GENERATIONS_SIZE)), {"main": link})
            caches.configure({"a": Settings(redis="main", prefix="before:")})
            origin = Origin()
            origin.hold()
            waiting = [background(asyncio.wait_for(caches["a"].get(key, origin.load), 60)) for key in ("k", "k", "l")]
            await until(lambda: len(origin.asked) == 2)
            caches.configure(after)
            origin.release()
            assert await asyncio.wait_for(asyncio.gather(*waiting), FAR_S) == [b"value"] * 3
            caches.close()

    run(scenario())


class Prices(Filter):
    """Answers with a price that is dear to find out."""

    def prepare(self) -> None:
        self.asked = 0

    async def on_request(self, request: Request) -> Response | None:
        price = await self.caches["prices"].get(request.path, self.find_out)
        return Response(200, f"{price}\n")

    async def find_out(self, key: Any) -> str:
        self.asked += 1
        return f"{key} costs {self.asked}"


def test_a_filter_asks_its_cache() -> None:
    with testing.gateway(Prices, config={"cache": {"prices": {"ttl": "1m"}}}) as gw:
        assert [gw.get("/tea").body for _ in range(3)] == [b"/tea costs 1\n"] * 3
        assert gw.get("/salt").body == b"/salt costs 2\n"
        assert not gw.errors


def test_a_filter_without_its_cache_says_what_is_missing() -> None:
    with testing.gateway(Prices) as gw:
        assert gw.get("/").status == 500
        assert any("prices" in one.message for one in gw.errors)
