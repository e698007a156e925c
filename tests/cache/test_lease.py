"""One fetch for a fleet: the lease, and what becomes of it when its holder dies."""

from __future__ import annotations

import random

import pytest
from tests.redis.links import link_to, run, until
from tests.redis.servers import Server

from tidegate.cache import lease as module
from tidegate.cache.lease import lease, pause
from tidegate.errors import GatewayError


def test_one_holds_it_and_gives_it_back(server: Server) -> None:
    async def scenario() -> None:
        async with link_to(server.address) as link:
            held = await lease(link.control, b"lease:a")
            assert held is not None and await lease(link.control, b"lease:a") is None
            assert 0 < server.ask("PTTL", "lease:a") <= 3000
            await held.release()
            again = await lease(link.control, b"lease:a")
            assert again is not None
            await held.release()  # nothing: it is another's now
            assert server.ask("EXISTS", "lease:a") == 1
            assert "given back" in repr(held)
            await again.release()

    run(scenario())


def test_it_is_renewed_as_long_as_it_is_held(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_RENEW_S", 0.01)

    async def scenario() -> None:
        async with link_to(server.address) as link:
            held = await lease(link.control, b"lease:b")
            assert held is not None
            server.ask("PEXPIRE", "lease:b", 60_000)
            await until(lambda: server.ask("PTTL", "lease:b") <= 3000)
            renewal = held._renewal
            server.ask("SET", "lease:b", "another")
            assert renewal is not None
            await until(renewal.done)
            assert server.ask("GET", "lease:b") == b"another"

    run(scenario())


def test_without_a_server_there_is_none_and_giving_it_back_ends() -> None:
    async def scenario() -> None:
        async with link_to("127.0.0.1:1") as link:
            with pytest.raises(GatewayError):
                await lease(link.control, b"lease:c")
            held = module.Lease(link.control, b"lease:c", b"token")
            await held.release()
            await pause(random.Random(1))

    run(scenario())
