"""Fleets in virtual time that share permits: never more than there are, all of them used, none left behind."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from tests.limits.fleet.machines import Machine
from tests.limits.fleet.virtual import Store, VirtualLoop

from tidegate.memory.grants import FORGOTTEN_MS
from tidegate.process import tasks

LOOKS = 1000  # a second: what is not about the cap waits for the store as long as that takes


class Played:
    """Machines with clocks of their own, and how many were under way in the whole fleet at most."""

    def __init__(self, loop: VirtualLoop, count: int, maximum: int, seed: int, **options: Any) -> None:
        self.loop = loop
        self.maximum = maximum
        self.chance = random.Random(seed)
        self.store = Store(loop, self.chance)
        self.most = 0
        self.refused = 0
        self.admitted = [0] * count
        self.machines = [self._machine(number, maximum, options) for number in range(count)]

    def _machine(self, number: int, maximum: int, options: dict[str, Any]) -> Machine:
        ahead_s = self.chance.uniform(0, 5000)
        clock_ms = lambda: int((self.loop.time() + ahead_s) * 1000)  # noqa: E731 (a clock a machine)
        return Machine(self.store, f"n{number}", maximum, clock_ms=clock_ms, **options)

    @property
    def under_way(self) -> int:
        return sum(machine.under_way for machine in self.machines)

    async def request(self, number: int, took_s: float, looks: int = LOOKS) -> None:
        machine = self.machines[number]
        if not await machine.take(looks):
            self.refused += 1
            return
        self.admitted[number] += 1
        self.most = max(self.most, self.under_way)
        await asyncio.sleep(took_s)
        machine.give_back()

    async def demand(self, number: int, per_s: float, took_s: float, for_s: float, looks: int = LOOKS) -> None:
        """Requests at random moments, each of which takes about so long."""
        until = self.loop.time() + for_s
        waiting: set[asyncio.Task[None]] = set()
        while self.loop.time() < until:
            await asyncio.sleep(self.chance.expovariate(per_s))
            task = tasks.start(self.request(number, self.chance.uniform(0.5, 1.5) * took_s, looks), "a request")
            waiting.add(task)
            task.add_done_callback(waiting.discard)
        await asyncio.gather(*waiting)

    async def all_demand(self, per_s: float, took_s: float, for_s: float, looks: int = LOOKS) -> None:
        numbers = range(len(self.machines))
        await asyncio.gather(*(self.demand(number, per_s, took_s, for_s, looks) for number in numbers))


async def soon(machine: Machine) -> None:
    """Asks until it has one more permit."""
    while not await machine.take(LOOKS):  # noqa: ASYNC110 (in virtual time: what else goes on has no event)
        await asyncio.sleep(0.01)


@contextmanager
def played(
    count: int, maximum: int, seed: int, **options: Any
) -> Iterator[tuple[Played, Callable[[Coroutine[Any, Any, Any]], Any]]]:
    loop = VirtualLoop()
    one = Played(loop, count, maximum, seed, **options)
    try:
        yield one, loop.run_until_complete
    finally:
        for machine in one.machines:
            machine.close()
        pending = asyncio.all_tasks(loop)
        for task in pending:
            task.cancel()
        if pending:
            loop.run_until_complete(asyncio.wait(pending))
        loop.close()


@pytest.mark.parametrize("mode", ["lease", "exact"])
@pytest.mark.parametrize(("count", "maximum"), [(2, 5), (4, 40), (5, 3)])
def test_never_more_than_there_are_and_in_the_end_nothing_is_left(mode: str, count: int, maximum: int) -> None:
    with played(count, maximum, 1, mode=mode) as (fleet, run):
        # Five times as many as there is room for.
        run(fleet.all_demand(5 * maximum / count / 0.2, 0.2, 8.0))
        assert fleet.most <= maximum
        assert fleet.most >= maximum - (0 if mode == "exact" else maximum // 8 + 1)
        assert all(fleet.admitted)
        assert fleet.refused > 0
        run(asyncio.sleep(10))
        assert fleet.under_way == 0
        # Who was refused last is remembered for a while, with nothing.
        (book,) = fleet.store.permits.values()
        assert all(one.lent == one.used == 0 for one in book.entries.values())


def test_machine_that_is_busy_alone_has_all_of_them() -> None:
    with played(3, 24, 2) as (fleet, run):
        run(fleet.demand(0, 500, 0.2, 8.0))
        assert fleet.most == 24


def test_machines_that_all_want_more_have_about_their_parts() -> None:
    with played(3, 24, 3) as (fleet, run):

        async def scenario() -> None:
            first = tasks.start(fleet.demand(0, 400, 0.2, 24.0), "the first")
            await asyncio.sleep(4)
            assert fleet.machines[0].under_way > 20
            fleet.admitted = [0, 0, 0]
            await asyncio.gather(first, *(fleet.demand(number, 400, 0.2, 20.0) for number in (1, 2)))

        run(scenario())
        assert fleet.most <= 24
        assert min(fleet.admitted) > sum(fleet.admitted) / 5


def test_few_requests_wait_for_the_store_while_there_is_room() -> None:
    with played(4, 400, 4) as (fleet, run):
        run(fleet.all_demand(250, 0.1, 10.0))
        assert fleet.refused == 0
        assert fleet.store.commands < sum(fleet.admitted) / 20


def test_permits_of_a_machine_that_is_gone_are_others_when_it_was_not_heard() -> None:
    with played(2, 6, 5) as (fleet, run):
        gone, other = fleet.machines

        async def scenario() -> float:
            for _ in range(6):
                assert await gone.take(LOOKS)
            gone.close()  # and nobody else on that machine tells of it
            began = fleet.loop.time()
            await soon(other)
            return fleet.loop.time() - began

        took_s = run(scenario())
        assert FORGOTTEN_MS / 1000 - 1.1 <= took_s <= FORGOTTEN_MS / 1000 + 1.1


def test_worker_that_is_killed_leaves_its_permits_to_the_machine_and_the_store_hears_of_it() -> None:
    with played(2, 6, 6) as (fleet, run):
        one, other = fleet.machines

        async def scenario() -> None:
            for _ in range(6):
                assert await one.take(LOOKS)
            # The supervisor has reaped it, and another worker of the machine has seen the key.
            assert one.limit.permits is not None
            assert one.limit.permits.inflight.forget(0) == 6
            deadline = fleet.loop.time() + 3.5
            for _ in range(6):
                await soon(other)
            assert fleet.loop.time() < deadline

        run(scenario())
        assert other.under_way == 6


@pytest.mark.parametrize(("policy", "most"), [("share", 12), ("deny", 12), ("allow", 10_000)])
def test_store_that_is_away_for_ten_seconds_leaves_no_interval_without_a_bound_or_a_request(
    policy: str, most: int
) -> None:
    with played(3, 12, 7, on_store_failure=policy) as (fleet, run):

        async def scenario() -> tuple[list[int], int]:
            for machine in fleet.machines:
                machine.nodes.begin()
            load = tasks.start(fleet.all_demand(60, 0.1, 30.0), "the load")
            await asyncio.sleep(10)
            fleet.store.is_away = True
            await asyncio.sleep(6)  # what was lent has ended, and been ended
            fleet.most, before = 0, list(fleet.admitted)
            await asyncio.sleep(4)
            during = [now - then for now, then in zip(fleet.admitted, before, strict=True)]
            most_away = fleet.most
            fleet.store.is_away = False
            await asyncio.sleep(2)
            fleet.most = 0
            await load
            return during, most_away

        during, most_away = run(scenario())
        assert most_away <= most
        assert all(during) == (policy != "deny")
        assert fleet.most <= 12  # with the store, as ever


def test_store_that_has_forgotten_all_is_told_within_a_renewal() -> None:
    with played(3, 12, 8) as (fleet, run):

        async def scenario() -> int:
            load = tasks.start(fleet.all_demand(60, 0.3, 20.0), "the load")
            await asyncio.sleep(8)
            fleet.store.permits.clear()
            await asyncio.sleep(2.5)  # a renewal, and what was let in until then has ended
            at_once, fleet.most = fleet.most, 0
            await load
            return at_once

        assert run(scenario()) <= 2 * 12
        assert fleet.most <= 12


def test_slow_answers_that_cross_lend_nothing_twice() -> None:
    with played(4, 10, 9, on_store_failure="deny", latency_cap="1s") as (fleet, run):
        fleet.store.latency_s = 0.6  # many an answer comes too late, or when somebody has asked again
        run(fleet.all_demand(20, 0.2, 15.0, looks=300))
        assert 0 < fleet.most <= 10
