"""What one machine has fetched and others find, in a real server."""

from __future__ import annotations

import asyncio
import itertools
import os
from typing import Any

import pytest
from tests.cache.caches import Landing, Leading
from tests.redis.links import Log, background, link_to, run, until
from tests.redis.servers import Server

from tidegate.cache.envelope import Head, Ticket, seal
from tidegate.cache.pacing import Pacing
from tidegate.cache.remote import Remote
from tidegate.errors import GatewayError
from tidegate.redis.link import Link
from tidegate.redis.slots import slot_of


def remote(link: Link, prefix: str, **options: Any) -> Remote:
    sizes = {"large_value": 64 << 10, "piece": 256 << 10} | options
    fixed = {"pacing": Pacing(None), "say": Log().say}
    return Remote(link, prefix, **fixed | sizes)


async def put(one: Remote, key: str, value: bytes, tags: tuple[str, ...] = (), **life: Any) -> bool:
    _, ticket = await one.look(key, tags)
    return await store(one, key, value, ticket, **life)


async def store(one: Remote, key: str, value: bytes, ticket: Ticket, **life: Any) -> bool:
    said = {"ttl_s": 60.0, "grace_s": 0.0, "load_s": 0.25, "is_negative": False} | life
    return await one.store(key, value, ticket=ticket, **said)


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 65_537, 700_000])
def test_values_of_any_size_are_found_as_they_were_stored(server: Server, size: int) -> None:
    async def scenario() -> None:
        async with link_to(server.address) as link:
            one, other = remote(link, "size:"), remote(link, "size:")
            value = os.urandom(size)
            assert await put(one, f"k{size}", value, ("a", "b"))
            for _ in range(2):  # the second time it is known whether it is a large one
                found, _ = await other.look(f"k{size}", ())
                assert found is not None
                assert (found.value, found.is_negative, found.tags, found.load_s) == (value, False, ("a", "b"), 0.25)
                assert 50 < found.left_s <= 60
            assert other.statistics().large == (2 if size > 65_536 - 100 else 0)
            await one.invalidate(f"k{size}")
            assert (await other.look(f"k{size}", ()))[0] is None

    run(scenario())


def test_what_belongs_to_a_key_is_in_its_slot_and_no_two_keys_are_one(server: Server) -> None:
    keys = [key for size in range(4) for key in map("".join, itertools.product("{}\\a", repeat=size))]

    async def scenario() -> None:
        async with link_to(server.address) as link:
            one = remote(link, "slot:")
            for key in keys:
                assert slot_of(one.key(key)) == slot_of(one.key(key, ":fence")) == slot_of(one.key(key, ":0a1b")), key
            assert len({one.key(key, what) for key in keys for what in ("", ":fence")}) == 2 * len(keys)
            assert one.key("user:7") == b"slot:{user:7}", "most keys are as they are"
            for key in ("", "}", "}x", "\\}x"):
                await put(one, key, key.encode())
            for key in ("", "}", "}x", "\\}x"):
                found, _ = await one.look(key, ())
                assert found is not None and found.value == key.encode()

    run(scenario())


def test_a_key_is_noted_under_its_tag_as_long_as_its_value_lives(server: Server) -> None:
    async def scenario() -> None:
        async with link_to(server.address) as link:
            one, plain = remote(link, "noted:", listed=("t",)), remote(link, "noted:")
            assert await put(one, "short", b"v", ("t",), ttl_s=0.001)
            await until(lambda: not server.ask("EXISTS", one.key("short")))
            assert await put(one, b"\xff", b"v", ("t",), ttl_s=60.0)
            assert await put(one, "long", b"x" * 70_000, ("other", "t"), ttl_s=3600.0)
            assert await put(one, "untagged", b"v")
            assert await put(plain, "unlisted", b"v", ("t",))
            assert await plain.keys_under("t") == ["long", b"\xff"] and await plain.keys_under("other") == []
            assert server.ask("PTTL", one.tag_list("t")) > 29 * 86_400_000
            await one.invalidate_tag("t")
            assert await one.keys_under("t") == []

    run(scenario())


def _head(size: int) -> bytes:
    return seal(Head(size, 0, 0, 0, False, (), (), b"12345678"))


DAMAGED = {
    "a size beyond all memory": _head(2**62),
    "a size beyond what servers take": _head((512 << 20) + 1) + b"v",
    "a size that is not there": _head(500 << 20) + b"v",
    "a size that is less than there is": _head(3) + b"value",
    "less than nothing": _head(-1),
    "a head that is none": b"TGC1" + b"\xff" * 5000,
    "a head and nothing else": b"TGC1",
    "a small value that is another": _head(5) + b"value",
    "a large value that is another": _head(200_000) + b"v" * 200_000,
}


@pytest.mark.parametrize("what", DAMAGED)
def test_a_damaged_value_is_removed_and_said_once_and_another_takes_its_place(server: Server, what: str) -> None:
    async def scenario() -> None:
        async with link_to(server.address) as link:
            log = Log()
            one = remote(link, "damaged:", say=log.say)
            server.ask("SET", one.key(what), DAMAGED[what], "PX", 60_000)
            found, ticket = await one.look(what, ())
            assert found is None and not server.ask("EXISTS", one.key(what))
            assert log.kinds == ["cache_value_damaged"] and what in log[0].message
            assert (await one.look(what, ()))[0] is None and len(log) == 1 and one.errors == 1
            assert await store(one, what, b"good", ticket)
            again, _ = await one.look(what, ())
            assert again is not None and again.value == b"good"

    run(scenario())


def test_what_something_else_has_written_is_let_alone(server: Server) -> None:
    async def scenario() -> None:
        async with link_to(server.address) as link:
            log = Log()
            one = remote(link, "else:", say=log.say)
            server.ask("SET", one.key("k"), "TGB1 and more", "PX", 60_000)
            assert (await one.look("k", ()))[0] is None
            assert server.ask("EXISTS", one.key("k")) and not log and one.errors == 0

    run(scenario())


def test_what_has_ended_is_found_as_long_as_its_grace_and_nothing_says_so_too(server: Server) -> None:
    async def scenario() -> None:
        async with link_to(server.address) as link:
            one = remote(link, "ended:")
            await put(one, "k", b"v", ttl_s=0.001, grace_s=60.0)
            await asyncio.sleep(0.01)
            found, _ = await one.look("k", ())
            assert found is not None and -60 < found.left_s <= 0
            await put(one, "none", b"", is_negative=True)
            found, _ = await one.look("none", ())
            assert found is not None and found.is_negative
            await put(one, "over", b"v", ttl_s=0.001)
            await until(lambda: server.ask("EXISTS", "ended:{over}") == 0)
            assert (await one.look("over", ()))[0] is None
            assert one.statistics()[:2] == (2, 4)

    run(scenario())


@pytest.mark.parametrize("size", [100, 100_000])
def test_what_was_invalidated_while_it_was_fetched_is_not_stored(server: Server, size: int) -> None:
    async def scenario() -> None:
        async with link_to(server.address) as link:
            one = remote(link, f"fence{size}:")
            _, ticket = await one.look("k", ("t",))
            await one.invalidate("k")
            assert not await store(one, "k", bytes(size), ticket)
            _, ticket = await one.look("k", ("t",))
            await one.invalidate_tag("t")
            assert await store(one, "k", bytes(size), ticket)
            assert (await one.look("k", ()))[0] is None, "its tag has another stamp than it was fetched under"
            assert one.statistics().fenced == 1
            left = {name.decode() for name in server.ask("KEYS", f"fence{size}:*")}
            assert left == {f"fence{size}:{what}" for what in ("{k}", "{k}:fence", "tag:{t}", "tags")}

    run(scenario())


def test_tags_that_come_late_count_when_no_tag_was_invalidated_meanwhile(server: Server) -> None:
    async def scenario() -> None:
        async with link_to(server.address) as link:
            one = remote(link, "late:")
            await one.invalidate_tag("t")
            _, ticket = await one.look("k", ())
            complete = await one.with_tags(ticket, ("t",))
            assert complete is not None and complete.stamps["t"]
            assert await one.with_tags(complete, ("t",)) is complete
            await one.invalidate_tag("other")
            assert await one.with_tags(ticket, ("t",)) is None
            set_ticket = await one.fence("k", ("t",))
            assert await store(one, "k", b"v", set_ticket)
            assert (await one.look("k", ()))[0] is not None

    run(scenario())


def test_one_large_value_is_read_at_a_time_in_pieces_and_as_fast_as_it_may(server: Server) -> None:
    async def scenario() -> None:
        async with link_to(server.address) as link:
            waits: list[float] = []

            class Counted(Pacing):
                __slots__ = ()

                def take(self, now: float, size: int) -> float:
                    assert size <= 32 << 10
                    waits.append(super().take(now, size))
                    return 0.0

            one = remote(link, "pace:", piece=32 << 10, pacing=Counted(1 << 20))
            value = os.urandom(300_000)
            for key in ("a", "b"):
                await put(one, key, value)
            waits.clear()
            found = await asyncio.gather(*(one.look(key, ()) for key in ("a", "b")))
            assert all(what is not None and what.value == value for what, _ in found)
            assert len(waits) == 2 * -(-(300_000 - 4096) // (32 << 10)), "the first 4 KiB came with the look"
            assert max(waits) > 0.3, "the rate would have been asked for"

    run(scenario())


def test_workers_of_a_machine_read_large_values_one_after_the_other(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        flights, values = Landing(), {key: os.urandom(200_000) for key in "abcd"}
        async with link_to(server.address) as link, link_to(server.address) as other_link:
            reading, most = set[int](), 0

            class Watched(Pacing):
                __slots__ = ("number",)

                def take(self, now: float, size: int) -> float:
                    nonlocal most
                    reading.add(self.number)
                    most = max(most, len(reading))
                    return 0.0

            workers = []
            for number, one in enumerate((link, other_link)):
                pacing = Watched(None)
                pacing.number = number
                workers.append(remote(one, "alone:", piece=8 << 10, pacing=pacing, flights=flights))
            for key, value in values.items():
                await put(workers[0], key, value)
                reading.clear()
            most = 0
            land = Leading.land

            def landing(self: Leading) -> bool:
                reading.clear()
                return land(self)

            monkeypatch.setattr(Leading, "land", landing)
            found = await asyncio.gather(*(one.look(key, ()) for one in workers for key in values))
            assert [what.value for what, _ in found if what is not None] == [*values.values()] * 2
            assert most == 1 and not flights.flying

    run(scenario())


def test_a_large_value_that_is_replaced_while_it_is_read_is_not_mixed(server: Server) -> None:
    async def scenario() -> None:
        async with link_to(server.address) as link:
            one = remote(link, "mixed:", piece=8 << 10)
            for content in (b"a", b"b"):
                await put(one, "k", content * 400_000)
            reading = [background(one.look("k", ())) for _ in range(4)]
            writing = background(put(remote(link, "mixed:", piece=8 << 10), "k", b"c" * 400_000))
            for found, _ in await asyncio.gather(*reading):
                assert found is None or found.value in (b"b" * 400_000, b"c" * 400_000)
            assert await writing

    run(scenario())


@pytest.mark.parametrize("what", [b"", b"plain", b"TGC1", b"TGC1\xff\xff\xff\xff" + b"x" * 5000])
def test_what_somebody_else_has_put_there_is_not_found(server: Server, what: bytes) -> None:
    async def scenario() -> None:
        server.ask("SET", "foreign:{k}", what, "PX", 60_000)
        async with link_to(server.address) as link:
            assert (await remote(link, "foreign:").look("k", ()))[0] is None

    run(scenario())


def test_a_value_that_was_damaged_is_not_found(server: Server) -> None:
    async def scenario() -> None:
        async with link_to(server.address) as link:
            one = remote(link, "damaged:")
            await put(one, "k", b"value")
            server.ask("SETRANGE", "damaged:{k}", len(server.ask("GET", "damaged:{k}")) - 1, "X")
            assert (await one.look("k", ()))[0] is None
            server.ask("DEL", "damaged:{k}")
            server.ask("SADD", "damaged:{k}", "another type")
            with pytest.raises(Exception, match="WRONGTYPE"):
                await one.look("k", ())

    run(scenario())


def test_without_a_server_it_says_so_in_time() -> None:
    async def scenario() -> None:
        async with link_to("127.0.0.1:1") as link:
            with pytest.raises(GatewayError):
                await remote(link, "away:").look("k", ("t",))

    run(scenario())


def test_all_keys_of_a_value_share_a_slot(server: Server) -> None:
    async def scenario() -> None:
        async with link_to(server.address) as link:
            one = remote(link, "p:")
            assert (one.key("a}b"), one.key(b"a", ":fence")) == (b"p:{a}b}", b"p:{a}:fence")
            assert one.tag("t") == b"p:tag:{t}"
            assert "p:" in repr(one)

    run(scenario())
