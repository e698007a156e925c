"""What a cache does to find a session out."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from tests.cache.caches import cache as cache_with
from tests.redis.links import link_to, run
from tests.redis.servers import Server, serving

from tidegate import Loaded
from tidegate.cache.cache import Cache
from tidegate.filters.sessions.look_up import LookUp, Sessions
from tidegate.filters.sessions.store import Renewal, SessionStore
from tidegate.filters.tokens.principal import PrincipalReader
from tidegate.redis.link import Link

DIGEST = b"d" * 32


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving() as one:
        one.ask("SET", "s:ann", '{"user": "ann"}', "EX", 3600)
        one.ask("SET", "s:nobody", '{"plan": "gold"}', "EX", 3600)
        one.ask("SET", "s:list", "[]", "EX", 3600)
        yield one


def sessions(link: Link) -> Sessions:
    renewal = Renewal(ttl_s=7200.0, below_s=7200.0, interval_s=0.0)
    store = SessionStore({"main": link}, "main", prefix="s:", renewal=renewal, largest=1024, timeout_s=60.0)
    return Sessions(store, PrincipalReader({}, subject="user"), 2.0, "s:")


async def both(link: Link, token: str) -> list[Loaded | None]:
    """What is found by one command, and as any load."""
    look_up = LookUp(sessions(link), token, DIGEST, lambda: 12.5)
    await look_up("key")  # the script is known from now on
    later = look_up.ask()
    assert later is not None
    return [await later, await look_up("key")]


def test_one_command_and_a_whole_load_find_the_same(server: Server) -> None:
    async def scenario() -> None:
        async with link_to(server.address) as link:
            for found in await both(link, "ann"):
                assert found is not None
                assert (found.value.principal.identity.subject, found.value.at_s, found.ttl) == ("ann", 12.5, 2.0)
                assert found.tags == (f"session:{DIGEST.hex()}", "subject:ann")
            assert await both(link, "missing") == [None, None]

    run(scenario())


@pytest.mark.parametrize("token", ["nobody", "list"])
def test_what_lets_nobody_in_is_said_either_way(server: Server, token: str, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with link_to(server.address) as link:
            assert await both(link, token) == [None, None]

    with caplog.at_level(logging.WARNING):
        run(scenario())
    kinds = [record.__dict__.get("kind") for record in caplog.records]
    assert kinds == ["session_unusable"] * 3
    assert token not in caplog.text


async def looked_up(cache: Cache, of: Sessions, token: str) -> Any:
    return await cache.get(token, LookUp(of, token, DIGEST, cache.now))


def test_a_cache_looks_up_without_a_task_once_the_server_knows_the_script(server: Server) -> None:
    async def scenario() -> None:
        async with link_to(server.address) as link:
            await link.data.call("SCRIPT", "FLUSH")
            cache, of = cache_with(ttl=3600.0), sessions(link)
            assert (
                await looked_up(cache, of, "ann")
            ).principal.identity.subject == "ann"  # it is told the text, by a whole load
            await cache.invalidate("ann")
            before = asyncio.all_tasks()
            waiting = cache.get("ann", LookUp(of, "ann", DIGEST, cache.now))
            assert asyncio.all_tasks() == before
            assert (await waiting).principal.identity.subject == "ann"
            assert (cache.statistics().loads, cache.statistics().load_failures) == (2, 0)

    run(scenario())
