"""A real Sentinel with a master and its replica: a fail-over is followed, in every way it can be noticed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.redis.links import FAR_S, Log, run, until
from tests.redis.servers import Server, free_port

from tidegate.config.redis import Redis
from tidegate.errors import GatewayError, Kind
from tidegate.redis.link import make_link
from tidegate.redis.sentinel import SentinelLink


class Set:
    """A master, a replica, and a Sentinel that watches over them; another one that is away."""

    def __init__(self) -> None:
        fast = ("--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1")
        self.servers = [Server(*fast)]
        self.servers.append(Server(*fast, "--replicaof", "127.0.0.1", str(self.servers[0].port)))
        self.sentinel = Server(
            sentinel=f"sentinel monitor mymaster 127.0.0.1 {self.servers[0].port} 1\n"
            "sentinel down-after-milliseconds mymaster 500\n"
            "sentinel failover-timeout mymaster 2000\n"
        )
        self.away = f"127.0.0.1:{free_port()}"

    def close(self) -> None:
        for server in (self.sentinel, *self.servers):
            server.close()

    def at(self, address: Any) -> Server:
        (found,) = (server for server in self.servers if server.port == address.port)
        return found


@pytest.fixture
def served() -> Iterator[Set]:
    one = Set()
    try:
        yield one
    finally:
        one.close()


@asynccontextmanager
async def linked(one: Set, log: Log | None = None, **options: Any) -> AsyncIterator[SentinelLink]:
    settings = Redis(
        url="redis://mymaster",
        sentinels=(one.away, one.sentinel.address),
        **{"connect_timeout": FAR_S, "timeout": FAR_S} | options,
    )
    link = make_link("main", settings, (log if log is not None else Log()).say)
    assert isinstance(link, SentinelLink)
    try:
        yield link
    finally:
        link.close()


async def until_written(link: SentinelLink, value: str) -> None:
    while True:
        try:
            await link.data.set("written", value)
            return
        except GatewayError:
            await asyncio.sleep(0.02)


async def until_replicated(one: Set) -> None:
    await until(lambda: one.sentinel.ask("SENTINEL", "REPLICAS", "mymaster"))
    await until(lambda: b"master_link_status:up" in one.servers[1].ask("INFO", "replication"))


@pytest.mark.slow
def test_a_master_that_dies_is_followed_by_its_replica(served: Set) -> None:
    async def scenario() -> None:
        log = Log()
        async with linked(served, log) as link:
            await until_written(link, "before")
            first = link.address
            assert served.at(first) is served.servers[0]
            await until_replicated(served)
            await asyncio.to_thread(served.servers[0].kill)
            await until_written(link, "after")
            assert served.at(link.address) is served.servers[1]
            assert await link.data.get("written") == b"after"
            assert log.kinds.count("redis_unavailable") == log.kinds.count("redis_available")

    run(scenario())


@pytest.mark.slow
def test_a_fail_over_that_is_ordered_is_followed_although_the_old_master_lives(served: Set) -> None:
    async def scenario() -> None:
        async with linked(served) as link:
            await until_written(link, "before")
            await until_replicated(served)
            assert await asyncio.to_thread(served.sentinel.ask, "SENTINEL", "FAILOVER", "mymaster") == b"OK"
            while link.address.port != served.servers[1].port:
                await until_written(link, "meanwhile")
                await asyncio.sleep(0.02)
            await until_written(link, "after")
            assert served.servers[1].ask("GET", "written") == b"after"
            assert link.fail_overs > 0

    run(scenario())


def test_a_service_that_no_sentinel_knows_is_said(served: Set) -> None:
    async def scenario() -> None:
        async with linked(served) as link:
            link.service = "another"
            with pytest.raises(GatewayError) as error:
                await link.data.ping()
            assert error.value.kind is Kind.DESTINATION_NOT_FOUND
            assert "another" in error.value.detail and served.away in error.value.detail

    run(scenario())


def test_a_replica_that_a_sentinel_calls_master_is_not_used(served: Set) -> None:
    async def scenario() -> None:
        async with linked(served) as link:
            served.sentinel.ask("SENTINEL", "REMOVE", "mymaster")
            served.sentinel.ask("SENTINEL", "MONITOR", "mymaster", "127.0.0.1", served.servers[1].port, 1)
            with pytest.raises(GatewayError) as error:
                await link.data.ping()
            assert error.value.kind is Kind.DESTINATION_UNAVAILABLE and "no master yet" in error.value.detail

    run(scenario())


def test_sentinels_have_a_password_of_their_own(served: Set, monkeypatch: pytest.MonkeyPatch) -> None:
    served.sentinel.ask("SENTINEL", "CONFIG", "SET", "requirepass", "sentinels")
    served.sentinel.ask("CONFIG", "SET", "requirepass", "sentinels")
    monkeypatch.setenv("TIDEGATE_TEST_SENTINELS", "sentinels")

    async def scenario() -> None:
        async with linked(served, sentinel_password="env:TIDEGATE_TEST_SENTINELS") as link:
            await until_written(link, "with a password")

    run(scenario())
