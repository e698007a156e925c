"""The caches of a worker over reloads and in its filters."""

from __future__ import annotations

from typing import Any

import pytest
from tests.cache.caches import Origin
from tests.redis.links import run

from tidegate import Filter, Request, Response, testing
from tidegate.cache.caches import Caches
from tidegate.config.cache import Cache as Settings
from tidegate.memory.generations import GENERATIONS_SIZE, Generations


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
