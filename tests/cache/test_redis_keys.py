"""Keys of a real Redis, watched."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.cache.caches import Landing, cache
from tests.redis.links import FAR_S, Log, link_to, run, until
from tests.redis.servers import Server, serving

from tidegate.cache.cache import Cache
from tidegate.cache.machine import MachineTier
from tidegate.edge.preload import preload
from tidegate.redis.single import SingleLink
from tidegate.testing.relay import Relay

_numbers = itertools.count()


def prefix() -> str:
    return f"watched{next(_numbers)}:"


@contextlib.asynccontextmanager
async def watching(address: str, of: str, log: Log | None = None, **options: Any) -> AsyncIterator[Cache]:
    async with link_to(address) as link:
        one = cache(
            link=link, redis="main", watch=of, say=(Log() if log is None else log).say, **{"wait": FAR_S} | options
        )
        try:
            yield one
        finally:
            one.close()


def test_all_is_there_before_anybody_asks_and_changes_are_at_hand_by_themselves(server: Server) -> None:
    of = prefix()
    server.ask("MSET", f"{of}a", '{"n":1}', f"{of}b", '{"n":2}', f"{of}broken", "{", "elsewhere", 3)

    async def scenario() -> None:
        async with watching(server.address, of, codec="json") as one:
            log = Log()
            await preload({"test": one}, {}, log.say)
            assert not log and one.get_nowait("a") == {"n": 1} and one.get_nowait("b") == {"n": 2}
            assert len(one.entries) == 2 and one.statistics().source.unreadable == 1  # type: ignore[union-attr]
            server.ask("SET", f"{of}a", '{"n":4}')
            server.ask("SET", f"{of}new", '{"n":5}')
            server.ask("DEL", f"{of}b")
            await until(lambda: one.get_nowait("a") == {"n": 4} and one.get_nowait("new") == {"n": 5})
            await until(lambda: one.get_nowait("b") is None)
            loads = one.statistics().loads
            assert await one.get("a") == {"n": 4} and one.statistics().loads == loads, "nobody waited for it"
            assert await one.get("b") is None
            with pytest.raises(RuntimeError, match="has to be set there"):
                await one.set("a", 1)

    run(scenario())


def test_what_makes_room_is_asked_for_by_itself(server: Server) -> None:
    of = prefix()
    for number in range(50):
        server.ask("SET", f"{of}{number}", "x" * 100)

    async def scenario() -> None:
        async with watching(server.address, of, memory=4096) as one:
            await one.preload()
            assert one.statistics().worker.evictions
            for number in range(50):
                assert await one.get(f"{number}") == b"x" * 100
            assert await one.get("unknown") is None

    run(scenario())


def test_what_changes_while_it_is_deaf_is_found_when_it_hears_again(server: Server) -> None:
    of = prefix()
    server.ask("MSET", f"{of}a", 1, f"{of}b", 2)

    async def scenario() -> None:
        with Relay(server.address) as relay:
            log = Log()
            async with watching(relay.address, of, log) as one:
                await one.preload()
                relay.is_refusing = True
                relay.cut()
                await until(lambda: "cache_source_lost" in log.kinds)
                server.ask("SET", f"{of}a", 3)
                server.ask("DEL", f"{of}b")
                assert one.get_nowait("a") == b"1" and one.get_nowait("b") == b"2", "nobody could have told it"
                relay.is_refusing = False
                await until(lambda: one.get_nowait("a") == b"3")
                assert one.get_nowait("b") is None
                await until(lambda: log.kinds == ["cache_source_lost", "cache_source_back"])

    run(scenario())


def test_workers_of_a_machine_read_it_once_and_all_find_what_changes(server: Server, tmp_path: Path) -> None:
    of = prefix()
    server.ask("MSET", f"{of}a", 1, f"{of}b", 2)

    async def scenario() -> None:
        flights = Landing()
        machine = MachineTier.open(tmp_path / "caches" / "test", 32 << 20, Log().say)
        options: dict[str, Any] = {"machine": machine, "flights": flights}
        async with watching(server.address, of, **options) as one, watching(server.address, of, **options) as other:
            await one.preload()
            await other.preload()
            assert [await who.get(key) for who in (one, other) for key in "ab"] == [b"1", b"2", b"1", b"2"]
            assert other.statistics().loads == one.statistics().loads == 0
            server.ask("SET", f"{of}a", 3)
            await until(lambda: one.get_nowait("a") == b"3")
            await until(lambda: one.statistics().machine.stored >= 3)  # type: ignore[union-attr]
            assert await other.get("a") == b"3" and await other.get("b") == b"2"
            assert other.statistics().loads == 0 and one.statistics().loads == 1
            assert [who.statistics().source.wholes for who in (one, other)] == [1, 0]  # type: ignore[union-attr]
        machine.close()

    run(scenario())


def test_other_servers_than_before_are_listened_to_from_the_whole_on(server: Server) -> None:
    of = prefix()

    async def scenario() -> None:
        async with watching(server.address, of) as one:
            await one.preload()
            link = one._connected[0]
            assert isinstance(link, SingleLink)
            link.nodes = tuple  # type: ignore[method-assign, assignment]  # as in a cluster whose masters change
            await until(lambda: one.statistics().source.losses)  # type: ignore[union-attr]
            del link.nodes  # type: ignore[method-assign]
            await until(lambda: one.statistics().source.wholes > 1)  # type: ignore[union-attr]
            server.ask("SET", f"{of}a", 1)
            await until(lambda: one.get_nowait("a") == b"1")

    run(scenario())


def test_a_server_that_comes_later_is_listened_to_then() -> None:
    async def scenario() -> None:
        with serving() as other:
            address, port = other.address, other.port
            other.kill()
            log = Log()
            async with watching(address, "late:", log) as one:
                await until(lambda: "cache_source_lost" in log.kinds)
                other.start()
                assert other.port == port
                other.ask("SET", "late:a", 1)
                async with asyncio.timeout(FAR_S):
                    await one.preload()
                assert one.get_nowait("a") == b"1"

    run(scenario())
