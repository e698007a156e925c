"""A lender of permits and a real store: what it borrows, gives back and decides, while the store is there, or gone."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from tests.limits.fleet.machines import EXACT, STORED, Machine, now_ms
from tests.redis.links import FAR_S, link_to, run, until
from tests.redis.servers import Server, serving

from tidegate.memory.leases import ASKED_MS
from tidegate.testing.relay import Relay

PATIENT = 30_000  # looks, a millisecond each: what is not about the cap does not depend on how quick the machine is


@asynccontextmanager
async def machines(
    server: Server, maximum: int, count: int, through: str = "", **options: Any
) -> AsyncIterator[list[Machine]]:
    async with AsyncExitStack() as stack:
        made = []
        for number in range(count):
            link = await stack.enter_async_context(link_to(through or server.address))
            made.append(Machine(link, f"m{number}", maximum, **options))
            stack.callback(made[-1].close)
        yield made


async def until_true(is_so: Callable[[], Awaitable[bool]]) -> None:
    """As `until`, of what has to be awaited."""
    deadline = asyncio.get_running_loop().time() + FAR_S
    while not await is_so():
        assert asyncio.get_running_loop().time() < deadline, "it did not happen in time"
        await asyncio.sleep(0.005)


async def soon(machine: Machine, count: int = 1) -> None:
    """Asks until there are so many more permits."""
    for _ in range(count):
        await until_true(lambda: machine.take(PATIENT))


def lent(server: Server, key: str = STORED) -> dict[str, int]:
    """What the store has lent to whom."""
    fields = server.ask("HGETALL", key)
    names = [name.decode() for name in fields[::2]]
    return {name: int(text.split()[0]) for name, text in zip(names, fields[1::2], strict=True) if name != "short"}


def test_machines_together_have_as_many_under_way_as_one_would() -> None:
    async def scenario() -> None:
        with serving() as server:
            async with machines(server, 9, 2) as (one, other):
                for _ in range(6):
                    await one.take(PATIENT)
                    await other.take(PATIENT)
                await until(lambda: one.under_way + other.under_way == 9 or one.take_nowait() or other.take_nowait())
                assert one.under_way + other.under_way == 9
                assert sum(lent(server).values()) == 9

    run(scenario())


def test_what_is_not_needed_goes_back_until_the_store_knows_nothing_any_more() -> None:
    async def scenario() -> None:
        with serving() as server:
            async with machines(server, 64, 1) as (one,):
                await soon(one, 5)
                assert lent(server)["m0"] > 5  # some are ready for those who come next
                one.give_back(5)
                await until(lambda: server.ask("EXISTS", STORED) == 0)
                assert one.may_have == 0
                counts = one.lender.counts
                await until(lambda: counts.returned == counts.borrowed > 0)  # the last answer may be on its way

    run(scenario())


def test_machine_that_finds_none_left_gets_its_part_of_what_another_has() -> None:
    async def scenario() -> None:
        with serving() as server:
            async with machines(server, 6, 2) as (full, empty):
                await soon(full, 6)
                assert not await empty.take(PATIENT)

                async def demand() -> bool:
                    # What ends at the one is followed there at once, if it may be; the other asks in vain until then.
                    full.give_back()
                    while await full.take(PATIENT):
                        pass
                    await empty.take(PATIENT)
                    assert full.under_way + empty.under_way <= 6
                    return empty.under_way == 3

                await until_true(demand)
                assert full.lender.counts.self_lent == empty.lender.counts.self_lent == 0

    run(scenario())


def test_store_is_told_of_what_is_under_way_when_it_has_forgotten_it() -> None:
    async def scenario() -> None:
        with serving() as server:
            async with machines(server, 4, 2) as (one, other):
                await soon(one, 4)
                server.ask("FLUSHALL")
                await until(lambda: lent(server).get("m0") == 4)
                assert not await other.take(PATIENT)

    run(scenario())


def test_worker_that_was_stopped_while_it_asked_is_followed_by_another() -> None:
    async def scenario() -> None:
        with serving() as server:
            async with machines(server, 4, 1) as (one,):
                began = now_ms()
                assert one.table.ask(one.key, began, began + ASKED_MS)  # by somebody who goes no further
                await soon(one)
                assert now_ms() >= began + ASKED_MS

    run(scenario())


def test_answer_that_comes_when_somebody_else_has_asked_changes_nothing() -> None:
    async def scenario() -> None:
        with serving() as server, Relay(server.address) as relay:
            async with machines(server, 4, 1, through=relay.address, on_store_failure="deny") as (one,):
                await soon(one)
                one.lender.close()
                relay.hold()
                assert one.table.ask(one.key, now_ms(), now_ms() + ASKED_MS, 0)
                one.lender.borrow(0, one.key, 0, 0)
                await asyncio.sleep(0)
                had = one.may_have
                one.table.begin(one.key, now_ms(), 1)  # in another worker
                relay.release()
                await until(lambda: server.ask("HGET", STORED, "m0") is not None)
                await until(lambda: one.lender.counts.asked >= 2)
                assert one.may_have <= min(had, 1)

    run(scenario())


@pytest.mark.parametrize(("policy", "expected"), [("share", 3), ("allow", 20), ("deny", 2)])
def test_store_that_is_away_leaves_what_is_said(policy: str, expected: int) -> None:
    async def scenario() -> None:
        with serving() as server:
            async with machines(server, 6, 2, on_store_failure=policy) as (one, other):
                for machine in (one, other):
                    machine.nodes.begin()
                await until(lambda: one.nodes.count == other.nodes.count == 2)
                await soon(other, 4)
                await soon(one, 2)
                server.kill()
                # With none left of what it was lent, it asks; and then it decides alone.
                for _ in range(18):
                    await one.take()
                assert one.under_way == expected
                if policy == "share":
                    # What was taken without the store is told when it is back, and lends nobody more than there are.
                    server.start()
                    await until(lambda: one.under_way <= 2 or "m0" in lent(server))
                    await until(lambda: "m1" in lent(server))
                    await until(lambda: sum(lent(server).values()) <= 6)

    run(scenario())


def test_permit_of_nobody_asks_no_store() -> None:
    async def scenario() -> None:
        with serving() as server:
            async with machines(server, 0, 1) as (one,):
                assert not await one.take()
                assert one.lender.counts.asked == 0

    run(scenario())


def test_exactly_what_has_ended_is_anybodys_at_once_and_nothing_is_kept_ready() -> None:
    async def scenario() -> None:
        with serving() as server:
            async with machines(server, 64, 2, mode="exact") as (one, other):
                await soon(one, 3)
                await until(lambda: lent(server, EXACT) == {"m0": 3})
                for turn in range(8):
                    here, there = (one, other) if turn % 2 == 0 else (other, one)
                    here.give_back(len(here.rows))
                    await until(lambda: sum(lent(server, EXACT).values()) == 0)
                    await soon(there, 64)
                    assert there.under_way == 64
                    assert not await here.take(PATIENT)

    run(scenario())


def test_lender_of_the_next_snapshot_goes_on_with_what_is_under_way() -> None:
    async def scenario() -> None:
        with serving() as server:
            async with machines(server, 4, 1) as (one,):
                await soon(one, 2)
                before = one.lender
                after = Machine(None, "m0", 4).lender
                after._table, after._permits, after._link = before._table, before._permits, before._link
                after.begin(None, before)
                server.ask("DEL", STORED)
                await until(lambda: "m0" in lent(server))
                one.give_back(2)
                await until(lambda: server.ask("EXISTS", STORED) == 0)
                after.close()

    run(scenario())


def hold_all(address: str, told: Any) -> None:
    """Another machine: it takes all permits, and goes on with them."""

    async def scenario() -> None:
        async with link_to(address) as link:
            machine = Machine(link, "other", 3)
            await soon(machine, 3)
            told.set()
            await asyncio.sleep(3600)

    asyncio.run(scenario())


@pytest.mark.slow  # the store waits for five seconds before it believes it
def test_permits_of_a_machine_that_was_killed_are_those_of_others_when_it_was_not_heard() -> None:
    async def scenario() -> None:
        with serving() as server:
            spawn = multiprocessing.get_context("spawn")
            told = spawn.Event()
            other = spawn.Process(target=hold_all, args=(server.address, told), daemon=True)
            other.start()
            try:
                async with machines(server, 3, 1) as (one,):
                    await until(told.is_set)
                    assert not await one.take(PATIENT)
                    assert other.pid is not None
                    os.kill(other.pid, signal.SIGKILL)
                    await soon(one, 3)
                    assert lent(server) == {"m0": 3}
            finally:
                other.kill()
                other.join()

    run(scenario())
