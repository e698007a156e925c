"""From worker to worker and machine to machine, through a real server."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.cache.caches import Clock, Landing, Origin, cache, stored
from tests.redis.links import FAR_S, background, lanes, link_to, run, until
from tests.redis.servers import Server, serving

from tidegate import Loaded
from tidegate.cache.cache import Cache
from tidegate.cache.flights import Call
from tidegate.errors import GatewayError
from tidegate.memory.generations import GENERATIONS_SIZE, Generations

NOBODY = "127.0.0.1:1"
_prefixes = itertools.count()


@contextlib.asynccontextmanager
async def workers(
    address: str, count: int, *, flights: Landing | None = None, timeout_s: float = FAR_S, **options: Any
) -> AsyncIterator[list[Cache]]:
    """Workers of one machine, if it has flights, or of machines of their own; each has a link of its own."""
    settings = {"redis": "main", "prefix": f"fetch{next(_prefixes)}:", "wait": FAR_S, "load_timeout": FAR_S} | options
    clock = settings.pop("clock", None)
    shared = Generations(bytearray(GENERATIONS_SIZE))
    async with contextlib.AsyncExitStack() as stack:
        made = []
        for _ in range(count):
            link = await stack.enter_async_context(link_to(address, lanes(timeout_s=timeout_s)))
            seen = Generations(bytearray(GENERATIONS_SIZE)) if flights is None else shared
            one = cache(clock, generations=seen, link=link, flights=flights, **settings)
            stack.callback(one.close)
            made.append(one)
            if address != NOBODY:
                await until(lambda one=one: one._bus.is_current)  # what it learned before, it forgets then
        yield made


async def ask(one: Cache, key: str, origin: Origin, **options: Any) -> Any:
    return await asyncio.wait_for(one.get(key, origin.load, **options), FAR_S)


def test_a_value_of_another_codec_is_fetched_anew_and_replaced(server: Server) -> None:
    prefix = f"fetch{next(_prefixes)}:"

    async def scenario() -> None:
        async with workers(server.address, 1, prefix=prefix) as (old,):
            await ask(old, "k", Origin(b"[" * 100_000))
            await stored(old, 1)
        async with workers(server.address, 2, prefix=prefix, codec="json") as (one, other):
            assert await ask(one, "k", Origin({"a": 1})) == {"a": 1}
            await stored(one, 1)
            assert await ask(other, "k", Origin(AssertionError)) == {"a": 1}

    run(scenario())


@pytest.mark.parametrize(
    ("codec", "value"), [("bytes", b"v"), ("json", {"roles": ["a"]}), ("json", None), ("bytes", None)]
)
def test_what_one_has_fetched_another_finds(server: Server, codec: str, value: Any) -> None:
    async def scenario() -> None:
        async with workers(server.address, 2, codec=codec, negative_ttl=60.0) as (one, other):
            origin = Origin(value)
            assert await ask(one, "k", origin, tags=("t",)) == value
            await stored(one, 1)
            assert await ask(other, "k", origin) == value
            assert await other.get("k") == value
            assert len(origin.asked) == 1 and other.statistics().redis.hits == 1  # type: ignore[union-attr]
            assert await other.get("unknown") is None

    run(scenario())


def test_all_workers_of_a_machine_cost_the_origin_one_fetch(server: Server) -> None:
    async def scenario() -> None:
        machine = Landing()
        async with workers(server.address, 4, flights=machine) as made:
            origin = Origin(b"x" * 300_000)
            origin.hold()
            callers = [background(ask(one, "k", origin)) for one in made for _ in range(50)]
            await until(lambda: origin.asked)
            origin.release()
            assert {len(value) for value in await asyncio.gather(*callers)} == {300_000}
            assert len(origin.asked) == 1
            await until(lambda: not machine.flying)

    run(scenario())


@pytest.mark.parametrize("how", ["fails", "is cancelled", "left"])
def test_when_the_leader_of_the_machine_is_no_more_another_leads(server: Server, how: str) -> None:
    async def scenario() -> None:
        machine = Landing()
        async with workers(server.address, 2, flights=machine, wait=FAR_S) as (one, other):
            broken, good = Origin(OSError("no route")), Origin()
            broken.hold()
            first = background(ask(one, "k", broken))
            await until(lambda: broken.asked)
            second = background(ask(other, "k", good))
            await until(lambda: len(other._flights))
            if how == "left":
                one.close()
            elif how == "is cancelled":
                first.cancel()
                broken.release()
            else:
                broken.release()
            assert await second == b"value"
            results = await asyncio.gather(first, return_exceptions=True)
            assert isinstance(results[0], BaseException)

    run(scenario())


def test_a_fleet_costs_the_origin_one_fetch_and_without_it_one_a_machine(server: Server) -> None:
    async def scenario() -> None:
        for fleet, fetches in (("fleet", 1), ("worker", 3)):
            async with workers(server.address, 3, single_flight=fleet) as made:
                origin = Origin()
                origin.hold()
                callers = [background(ask(one, "k", origin)) for one in made for _ in range(10)]
                await until(lambda n=fetches, o=origin: len(o.asked) == n)
                origin.release()
                assert await asyncio.gather(*callers) == [b"value"] * 30
                assert len(origin.asked) == fetches

    run(scenario())


def test_when_the_leader_of_the_fleet_fails_another_machine_leads(server: Server) -> None:
    async def scenario() -> None:
        async with workers(server.address, 2, single_flight="fleet") as (one, other):
            broken, good = Origin(OSError("no route")), Origin()
            broken.hold()
            first = background(ask(one, "k", broken))
            await until(lambda: broken.asked)
            second = background(ask(other, "k", good))
            await until(lambda: other.statistics().redis.misses > 1)  # type: ignore[union-attr]
            assert not good.asked
            broken.release()
            with pytest.raises(OSError, match="no route"):
                await first
            assert await second == b"value"

    run(scenario())


def test_what_was_read_while_something_was_invalidated_is_read_again_and_not_loaded(server: Server) -> None:
    async def scenario() -> None:
        async with workers(server.address, 2) as (one, other):
            origin = Origin(b"x" * 200_000)
            await ask(one, "k", origin)
            await stored(one, 1)
            remote = other._fetcher.remote
            assert remote is not None
            look, looks = remote.look, []

            async def interrupted(key: Any, tags: Any) -> Any:
                found = await look(key, tags)
                if not looks:
                    other.generations.stamp(other._names.everything, 7)  # as when a message was missed
                looks.append(key)
                return found

            remote.look = interrupted  # type: ignore[method-assign]
            assert len(await ask(other, "k", origin)) == 200_000
            assert len(looks) == 2 and len(origin.asked) == 1
            assert other.get_nowait("k") is not None

    run(scenario())


def test_a_value_that_has_ended_elsewhere_is_given_out_stale_and_fetched_again(server: Server) -> None:
    async def scenario() -> None:
        clock = Clock()
        async with workers(server.address, 2, clock=clock, stale_while_revalidate=60.0) as (one, other):
            origin = Origin(b"old")
            await ask(one, "k", origin, ttl=0.001)
            await stored(one, 1)
            await asyncio.sleep(0.01)
            origin.answer = b"new"
            assert await ask(other, "k", origin, ttl=60.0) == b"old"
            assert await ask(other, "k", origin, ttl=60.0) == b"old", "and this one begins to fetch it"
            await until(lambda: other.get_nowait("k") == b"new")
            assert len(origin.asked) == 2

    run(scenario())


def test_when_it_cannot_be_fetched_again_what_has_ended_elsewhere_will_do(server: Server) -> None:
    async def scenario() -> None:
        async with workers(server.address, 2, stale_if_error=60.0) as (one, other):
            origin = Origin(b"old")
            await ask(one, "k", origin, ttl=0.001)
            await stored(one, 1)
            await asyncio.sleep(0.01)
            origin.answer = OSError("no route")
            assert await ask(other, "k", origin) == b"old"
            assert len(origin.asked) == 2

    run(scenario())


def test_what_is_refreshed_early_by_one_is_found_by_others_and_not_fetched_again(server: Server) -> None:
    async def scenario() -> None:
        async with workers(server.address, 2) as (one, other):
            origin = Origin(b"old")
            await ask(one, "k", origin, ttl=10.0)
            await stored(one, 1)
            await ask(other, "k", origin, ttl=10.0)
            origin.answer = b"new"
            older = one.entries["k"]
            one._flights.start("k", Call(origin.load, 20.0, (), older))
            await until(lambda: one.get_nowait("k") == b"new")
            await stored(one, 2)
            other._flights.start("k", Call(origin.load, 20.0, (), other.entries["k"]))
            await until(lambda: other.get_nowait("k") == b"new")
            assert len(origin.asked) == 2

    run(scenario())


def test_tags_that_a_load_tells_are_stored_with_it(server: Server) -> None:
    async def scenario() -> None:
        async with workers(server.address, 2) as (one, other):
            origin = Origin(Loaded(b"old", tags=("late",)))
            await ask(one, "k", origin)
            await stored(one, 1)
            assert await ask(other, "k", origin) == b"old" and other.entries["k"].tags == ("late",)
            await one.invalidate_tag("late")
            origin.answer = b"new"
            assert await ask(one, "k", origin) == b"new"
            assert len(origin.asked) == 2

    run(scenario())


def test_what_is_set_is_found_by_others_and_what_was_being_fetched_is_not(server: Server) -> None:
    async def scenario() -> None:
        async with workers(server.address, 2) as (one, other):
            slow = Origin(b"fetched")
            slow.hold()
            fetching = background(ask(other, "k", slow))
            await until(lambda: slow.asked)
            await one.set("k", b"set", tags=("t",))
            slow.release()
            assert await fetching == b"fetched"
            await until(lambda: other.statistics().redis.fenced + other._bus.heard)  # type: ignore[union-attr]
            assert await ask(one, "k", Origin(b"never")) == b"set"
            assert await ask(other, "k", Origin(b"never")) == b"set"

    run(scenario())


@pytest.mark.parametrize("how", ["invalidate", "invalidate_tag", "set"])
def test_what_a_worker_found_in_redis_while_another_changed_it_is_not_kept(server: Server, how: str) -> None:
    async def scenario() -> None:
        async with workers(server.address, 2, flights=Landing()) as (one, other):
            await ask(one, "k", Origin(b"old"), tags=("t",))
            await stored(one, 1)
            remote, seen = one._fetcher.remote, []
            assert remote is not None
            change = getattr(remote, "fence" if how == "set" else how)

            async def overtaken(*args: Any) -> Any:
                seen.append(await ask(other, "k", Origin(b"never")))
                return await change(*args)

            setattr(remote, change.__name__, overtaken)
            await {
                "invalidate": lambda: one.invalidate("k"),
                "invalidate_tag": lambda: one.invalidate_tag("t"),
                "set": lambda: one.set("k", b"new"),
            }[how]()
            assert seen == [b"old"]
            for worker in (other, one):
                assert await ask(worker, "k", Origin(b"new")) == b"new"

    run(scenario())


def test_values_that_the_codec_does_not_take_are_an_error_of_their_load(server: Server) -> None:
    async def scenario() -> None:
        async with workers(server.address, 1) as (one,):
            with pytest.raises(TypeError, match="objects need codec"):
                await ask(one, "k", Origin({"an": "object"}))

    run(scenario())


def test_a_server_that_takes_no_lease_keeps_nobody_from_fetching() -> None:
    with serving() as server:
        server.ask("CONFIG", "SET", "maxmemory", "1")  # full: it answers reads and refuses writes

        async def scenario() -> None:
            async with workers(server.address, 1, single_flight="fleet") as (one,):
                origin = Origin()
                assert await ask(one, "k", origin) == b"value"
                assert len(origin.asked) == 1
                await until(lambda: one.statistics().redis.errors >= 2)  # type: ignore[union-attr]

        run(scenario())


def test_without_redis_everybody_fetches_for_himself_and_goes_on() -> None:
    async def scenario() -> None:
        async with workers(NOBODY, 2, flights=Landing(), timeout_s=0.2) as made:
            origin = Origin()
            for one in made:
                assert await ask(one, "k", origin) == b"value"
                assert await ask(one, "k", origin) == b"value"
                assert one.statistics().redis.errors == 1  # type: ignore[union-attr]
            assert len(origin.asked) == 2
            with pytest.raises(GatewayError):
                await made[0].invalidate("k")
            assert made[0].get_nowait("k") is None, "here it is gone all the same"
            with pytest.raises(GatewayError):
                await made[0].set("k", b"set")
            assert made[0].get_nowait("k") == b"set"

    run(scenario())
