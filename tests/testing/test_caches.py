"""Caches of tests of filters: real ones, at rest."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tidegate import Filter, Request, Response, testing


class Prices(Filter):
    """Finds a price out, once a minute."""

    def prepare(self) -> None:
        self.asked = 0

    async def on_request(self, request: Request) -> Response | None:
        request.headers["X-Price"] = await self.caches["prices"].get(request.path, self.find_out)
        return None

    async def find_out(self, key: Any) -> str:
        self.asked += 1
        return f"{key} {self.asked}"


def ask(prices: Prices) -> str | None:
    async def main() -> str | None:
        request = testing.request("GET", "/tea")
        assert await prices.on_request(request) is None
        return request.headers["X-Price"]

    return asyncio.run(main())


def test_a_filter_is_tried_with_caches_whose_time_the_test_has() -> None:
    prices = testing.make(Prices)
    prices.caches = caches = testing.caches(prices={"ttl": "1m"})
    assert [ask(prices), ask(prices)] == ["/tea 1", "/tea 1"]
    caches.pass_time(59.999)
    assert ask(prices) == "/tea 1"
    caches.pass_time(0.001)
    assert ask(prices) == "/tea 2"
    asyncio.run(caches["prices"].invalidate("/tea"))
    assert ask(prices) == "/tea 3"
    assert caches["prices"].statistics().loads == 3 and list(caches) == ["prices"] and len(caches) == 1


def test_stale_values_are_those_of_the_settings() -> None:
    prices = testing.make(Prices)
    prices.caches = caches = testing.caches(prices={"ttl": "1m", "stale_if_error": "1h"})
    assert ask(prices) == "/tea 1"

    async def fails(key: Any) -> str:
        raise OSError("away")

    prices.find_out = fails  # type: ignore[method-assign]
    caches.pass_time(61)
    assert ask(prices) == "/tea 1"
    caches.pass_time(3600)
    with pytest.raises(OSError, match="away"):
        ask(prices)


def test_what_is_no_cache_and_what_takes_a_gateway_is_refused() -> None:
    with pytest.raises(ValueError, match="ttl"):
        testing.caches(prices={"ttl": "never"})
    for option in ("machine", "redis", "watch", "preload"):
        with pytest.raises(ValueError, match=f"prices: {option} takes a gateway"):
            testing.caches(prices={option: "x"})
