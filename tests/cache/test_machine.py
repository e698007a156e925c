"""What all workers of a machine share, and what outlives them."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.cache.caches import Landing, Origin, cache, stored
from tests.redis.links import FAR_S, Log, background, link_to, run, until
from tests.redis.servers import Server

from tidegate.cache.cache import Cache
from tidegate.cache.machine import AT_ONCE, MachineTier, directory_for
from tidegate.errors import GatewayError


@contextlib.asynccontextmanager
async def worker(directory: Path, **options: Any) -> AsyncIterator[Cache]:
    """One worker's life: what it stored is there for the next."""
    machine = MachineTier.open(directory / "caches" / "test", 32 << 20, Log().say)
    one = cache(machine=machine, **{"wait": FAR_S, "ttl": 3600.0} | options)
    try:
        yield one
    finally:
        one.close()
        machine.close()


async def kept(one: Cache, count: int) -> None:
    """Returns when the machine has so many values."""
    await until(lambda: one.statistics().machine.stored >= count)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("codec", "value"), [("bytes", b"v"), ("json", {"a": [1]}), ("json", None), ("bytes", b"x" * 100_000)]
)
def test_what_one_worker_fetched_the_next_finds_without_a_wait(tmp_path: Path, codec: str, value: Any) -> None:
    async def scenario() -> None:
        origin = Origin(value)
        async with worker(tmp_path, codec=codec, negative_ttl=60.0) as one:
            assert await one.get("k", origin.load, tags=("t",)) == value
            await kept(one, 1)
        async with worker(tmp_path, codec=codec, negative_ttl=60.0) as one:
            found = one.get("k", origin.load)
            assert found is one.entries["k"], "an entry, and no coroutine"
            assert await found == value and one.entries["k"].tags == ("t",)
            assert one.entries["k"].fresh_until - one.now() == pytest.approx(3600 if value else 60, abs=55)
            assert await one.get("unknown") is None
            seen = one.statistics().machine
            assert seen is not None and (seen.hits, seen.entries) == (1, 1)
        assert len(origin.asked) == 1

    run(scenario())


@pytest.mark.parametrize("how", ["key", "tag", "set"])
def test_what_was_invalidated_before_a_restart_is_after_it(tmp_path: Path, how: str) -> None:
    async def scenario() -> None:
        origin = Origin(b"old")
        async with worker(tmp_path) as one:
            await one.get("k", origin.load, tags=("t",))
            await kept(one, 1)
            if how == "key":
                await one.invalidate("k")
            elif how == "tag":
                await one.invalidate_tag("t")
            else:
                await one.set("k", b"set")
        async with worker(tmp_path) as one:
            origin.answer = b"new"
            assert await one.get("k", origin.load) == (b"set" if how == "set" else b"new")

    run(scenario())


def test_workers_of_a_machine_fetch_once_without_redis(tmp_path: Path) -> None:
    """A process has one store for each directory: here the second worker is another cache on the same tier."""

    async def scenario() -> None:
        flights, origin = Landing(), Origin()
        origin.hold()
        async with worker(tmp_path, flights=flights) as one:
            other = cache(machine=one._machine, flights=flights, wait=FAR_S, ttl=3600.0)
            callers = [background(asyncio.wait_for(who.get("k", origin.load), FAR_S)) for who in (one, other) * 25]
            await until(lambda: origin.asked)
            origin.release()
            assert await asyncio.gather(*callers) == [b"value"] * 50
            await until(lambda: not flights.flying)
            assert len(origin.asked) == 1
            other.close()

    run(scenario())


def test_it_is_found_in_redis_only_once(tmp_path: Path, server: Server) -> None:
    async def scenario() -> None:
        async with link_to(server.address) as link:
            settings = {"redis": "main", "prefix": f"machine{os.getpid()}:"}
            origin = Origin()
            elsewhere = cache(link=link, wait=FAR_S, **settings)
            await until(lambda: elsewhere._bus is not None and elsewhere._bus.is_current)
            await elsewhere.get("k", origin.load)
            await stored(elsewhere, 1)
            async with worker(tmp_path, link=link, **settings) as one:
                assert await one.get("k", origin.load) == b"value"
                await kept(one, 1)
                await until(lambda: one._bus is not None and one._bus.is_current)
            async with worker(tmp_path, link=link, **settings) as one:
                assert one.get("k", origin.load) is one.entries["k"]
                assert len(origin.asked) == 1 and one.statistics().redis.hits == 0  # type: ignore[union-attr]
                await until(lambda: one._bus is not None and one._bus.is_current)
                assert one.get_nowait("k") == b"value" and one._bus.gaps == 0  # type: ignore[union-attr]
            await elsewhere.invalidate("k")  # while nobody of this machine hears it
            async with worker(tmp_path, link=link, **settings) as one:
                await until(lambda: one._bus is not None and one._bus.gaps == 1)
                origin.answer = b"new"
                assert await one.get("k", origin.load) == b"new"
            elsewhere.close()

    run(scenario())


def test_values_of_another_version_are_none(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with worker(tmp_path, codec="bytes") as one:
            await one.get("k", Origin(b"{").load)
            await kept(one, 1)
            assert one._machine is not None
            await one._machine._store.put(b"meta", b"v", b"\xc1", 1e12)
        async with worker(tmp_path, codec="json") as one:
            assert await one.get("k", Origin(7).load) == 7
            assert await one.get("meta", Origin(8).load) == 8

    run(scenario())


def test_a_directory_that_others_can_change_is_refused(tmp_path: Path) -> None:
    (tmp_path / "caches").mkdir(mode=0o777)
    (tmp_path / "caches").chmod(0o777)
    with pytest.raises(GatewayError, match="no directory of this user alone"):
        MachineTier.open(tmp_path / "caches" / "test", 1 << 20, Log().say)
    (tmp_path / "file").write_text("")
    with pytest.raises(GatewayError, match="cannot keep"):
        MachineTier.open(tmp_path / "file" / "test", 1 << 20, Log().say)


def test_gateways_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TIDEGATE_RUNTIME_DIR", raising=False)
    assert directory_for("/etc/a.toml") != directory_for("/etc/b.toml")
    assert directory_for("/etc/a.toml").parent == Path(f"/dev/shm/tidegate-{os.geteuid()}")
    monkeypatch.setenv("TIDEGATE_RUNTIME_DIR", "/run/x")
    assert directory_for("/etc/a.toml").parent == Path("/run/x/caches")


def test_a_large_value_that_a_worker_has_at_hand_outlives_a_flood_of_the_machine(tmp_path: Path) -> None:
    """The worker never looks for it in the store; the next one finds it there all the same."""

    async def scenario() -> None:
        origin = Origin(b"x" * 300_000)
        async with worker(tmp_path, memory=1 << 20) as one:
            await one.get("record", origin.load)
            await kept(one, 1)
            for number in range(300):
                await one.set(f"flood:{number}", b"y" * 400_000)  # 120 MB through a store of 32
                assert await one.get("record", origin.load)
                one.touch_machine()
            assert one.statistics().machine.evictions > 100  # type: ignore[union-attr]
        async with worker(tmp_path, memory=1 << 20) as one:
            await one.get("record", origin.load)
        assert len(origin.asked) == 1

    run(scenario())


def test_a_value_that_is_large_is_copied_in_steps_once_for_all_who_ask_and_others_have_the_loop(tmp_path: Path) -> None:
    value = bytes(range(256)) * 4096 * 8  # 8 MiB

    async def scenario() -> None:
        origin = Origin(value)
        async with worker(tmp_path) as one:
            await one.get("k", origin.load)
            await kept(one, 1)
        async with worker(tmp_path) as one:
            asking = [background(asyncio.wait_for(one.get("k", origin.load), FAR_S)) for _ in range(50)]
            turns = 0
            while not all(each.done() for each in asking):
                turns += 1
                await asyncio.sleep(0)
            found = await asyncio.gather(*asking)
            assert turns > len(value) // AT_ONCE
            assert found[0] == value and all(each is found[0] for each in found)
            assert one.statistics().machine.hits == 1  # type: ignore[union-attr]
        assert len(origin.asked) == 1

    run(scenario())


@pytest.mark.parametrize("how", ["invalidated", "replaced"])
def test_a_large_value_that_changes_while_it_is_copied_is_not_what_was_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    async def scenario() -> None:
        origin = Origin(b"a" * (3 << 20))
        async with worker(tmp_path) as one:
            await one.get("k", origin.load)
            await kept(one, 1)
        async with worker(tmp_path) as one:
            machine = one._machine
            assert machine is not None
            real = machine._store.get
            looked = 0

            def get(key: bytes, now_s: float) -> Any:
                nonlocal looked
                looked += 1
                if looked == 3:  # after the copy, which began with the second
                    if how == "invalidated":
                        one._begin_invalidation(one._names.slot_of_key("k"))
                    else:
                        found = real(key, now_s)
                        assert found is not None
                        return SimpleNamespace(
                            meta=found.meta[:1] + b"\xcb" + bytes(8) + found.meta[10:], value=found.value
                        )
                return real(key, now_s)

            monkeypatch.setattr(machine._store, "get", get)
            origin.answer = b"b" * (3 << 20)
            assert await one.get("k", origin.load) == origin.answer
        assert len(origin.asked) == 2

    run(scenario())
