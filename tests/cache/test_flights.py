"""One fetch for each key, whoever leaves."""

from __future__ import annotations

import asyncio
import random

import pytest
from tests.cache.caches import Origin
from tests.cache.test_space import entry
from tests.redis.links import background, run, until

from tidegate.cache.flights import LEADERS, Call, Flights, NotKnown
from tidegate.cache.loaded import NeedsTask
from tidegate.cache.shelf import Entry, Key
from tidegate.errors import GatewayError, Kind
from tidegate.net.later import Later


def call(origin: Origin | None) -> Call:
    return Call(None if origin is None else origin.load, None, ())


def flights() -> Flights:
    async def fetch(key: Key, one: Call) -> Entry:
        if one.load is None:
            raise NotKnown(key)
        await one.load(key)
        return entry(key, 1)

    return Flights(fetch)


def test_all_who_wait_are_served_by_one_fetch() -> None:
    async def scenario() -> None:
        one, origin = flights(), Origin()
        origin.hold()
        futures = [one.join("k", call(origin)) for _ in range(1000)]
        other = one.join("other", call(origin))
        await until(lambda: len(origin.asked) == 2)
        assert one.waiting("k") == 1000 and one.total_waiting() == 1001 and one.collapsed == 999
        origin.release()
        found = await asyncio.gather(*futures)
        assert {one.key for one in found} == {"k"} and (await other).key == "other"
        assert origin.asked == ["k", "other"]
        await until(lambda: len(one) == 0)

    run(scenario())


def test_who_leaves_leaves_the_others_waiting_the_first_one_too() -> None:
    async def scenario() -> None:
        one, origin = flights(), Origin()
        origin.hold()
        first, second = one.join("k", call(origin)), one.join("k", call(origin))
        await until(lambda: origin.asked)
        first.cancel()
        origin.release()
        assert (await second).key == "k"
        assert len(origin.asked) == 1 and origin.cancelled == 0

    run(scenario())


def test_when_the_leader_fails_the_next_one_leads_and_the_rest_go_on_waiting() -> None:
    async def scenario() -> None:
        one = flights()
        broken, held = Origin(OSError("no route")), Origin()
        broken.hold()
        held.hold()
        first = one.join("k", call(broken))
        second = one.join("k", call(held))
        third = one.join("k", call(broken))
        broken.release()
        with pytest.raises(OSError, match="no route"):
            await first
        await until(lambda: held.asked)
        assert not third.done()
        held.release()
        assert (await second) is (await third)

    run(scenario())


def test_who_has_left_does_not_lead() -> None:
    async def scenario() -> None:
        one = flights()
        broken, never, held = Origin(OSError("no route")), Origin(), Origin()
        broken.hold()
        first, second, third = (one.join("k", call(origin)) for origin in (broken, never, held))
        await until(lambda: broken.asked)
        second.cancel()
        broken.release()
        with pytest.raises(OSError, match="no route"):
            await first
        assert (await third).key == "k"
        assert not never.asked

    run(scenario())


def test_after_so_many_failures_everybody_is_told() -> None:
    async def scenario() -> None:
        one, broken = flights(), Origin(OSError("no route"))
        broken.hold()
        futures = [one.join("k", call(broken)) for _ in range(100)]
        broken.release()
        results = await asyncio.gather(*futures, return_exceptions=True)
        assert all(isinstance(result, OSError) for result in results)
        assert len(broken.asked) == LEADERS
        await until(lambda: "k" not in one)

    run(scenario())


def test_a_load_that_is_cancelled_from_within_is_a_failure_like_others() -> None:
    async def scenario() -> None:
        one = flights()
        cancelled, good = Origin(asyncio.CancelledError()), Origin()
        first, second = one.join("k", call(cancelled)), one.join("k", call(good))
        with pytest.raises(GatewayError, match="cancelled from within"):
            await first
        assert (await second).key == "k"

    run(scenario())


def test_who_cannot_load_hands_on_to_who_can() -> None:
    async def scenario() -> None:
        one, origin = flights(), Origin()
        looking = [one.join("k", call(None)) for _ in range(LEADERS + 2)]
        loading = one.join("k", call(origin))
        assert (await loading).key == "k"
        results = await asyncio.gather(*looking, return_exceptions=True)
        assert all(isinstance(result, NotKnown) for result in results)

    run(scenario())


def test_a_flight_that_nobody_waits_for_fails_once_and_quietly() -> None:
    async def scenario() -> None:
        one, broken = flights(), Origin(OSError("no route"))
        broken.hold()
        assert one.start("k", call(broken))
        assert not one.start("k", call(broken)), "one is under way"
        broken.release()
        await until(lambda: "k" not in one)
        assert len(broken.asked) == 1

    run(scenario())


class Begun:
    """Flights that begin without a task: ``answers`` are the futures that they wait for."""

    def __init__(self) -> None:
        self.answers: list[asyncio.Future[Entry]] = []
        self.flights = Flights(self.fetch, self.begin)

    def begin(self, key: Key, one: Call) -> Later[Entry]:
        self.answers.append(asyncio.get_running_loop().create_future())
        return Later(self.answers[-1], asyncio.Future.result)

    async def fetch(self, key: Key, one: Call) -> Entry:
        assert one.load is not None
        await one.load(key)
        return entry(key, 1)


def test_what_was_begun_without_a_task_serves_all_who_wait() -> None:
    async def scenario() -> None:
        begun, origin = Begun(), Origin()
        before = asyncio.all_tasks()
        left, *waiting = [begun.flights.join("k", call(origin)) for _ in range(10)]
        left.cancel()
        begun.answers[0].set_result(entry("k", 1))
        assert {one.key for one in await asyncio.gather(*waiting)} == {"k"}
        assert not origin.asked and len(begun.answers) == 1 and len(begun.flights) == 0
        assert asyncio.all_tasks() == before

    run(scenario())


@pytest.mark.parametrize("ending", ["needs a task", "cancelled"])
def test_what_was_begun_and_needs_a_task_gets_one_with_the_same_leader(ending: str) -> None:
    async def scenario() -> None:
        begun, origin, never = Begun(), Origin(), Origin()
        waiting = begun.flights.join("k", call(origin)), begun.flights.join("k", call(never))
        begun.answers[0].cancel() if ending == "cancelled" else begun.answers[0].set_exception(NeedsTask())
        assert [one.key for one in await asyncio.gather(*waiting)] == ["k", "k"]
        assert (len(origin.asked), len(never.asked)) == (1, 0)

    run(scenario())


def test_when_what_was_begun_fails_its_caller_is_told_and_the_next_one_leads() -> None:
    async def scenario() -> None:
        begun, broken, next_one = Begun(), Origin(OSError("again")), Origin()
        first, second, third = (begun.flights.join("k", call(one)) for one in (broken, broken, next_one))
        begun.answers[0].set_exception(OSError("no route"))
        with pytest.raises(OSError, match="no route"):
            await first
        with pytest.raises(OSError, match="again"):
            await second
        assert (await third).key == "k"
        alone = begun.flights.join("alone", call(broken))
        begun.answers[1].set_exception(OSError("no route"))
        with pytest.raises(OSError, match="no route"):
            await alone
        assert len(begun.flights) == 0 and len(broken.asked) == 1

    run(scenario())


def test_at_the_end_what_was_begun_is_let_go() -> None:
    async def scenario() -> None:
        begun = Begun()
        waiting = begun.flights.join("k", call(Origin()))
        begun.flights.close()
        with pytest.raises(GatewayError):
            await waiting
        assert begun.answers[0].cancelled()

    run(scenario())


def test_at_the_end_everybody_is_told() -> None:
    async def scenario() -> None:
        one, origin = flights(), Origin()
        origin.hold()
        futures = [one.join("k", call(origin)) for _ in range(3)]
        await until(lambda: origin.asked)
        one.close()
        for result in await asyncio.gather(*futures, return_exceptions=True):
            assert isinstance(result, GatewayError) and result.kind is Kind.DESTINATION_UNAVAILABLE
        await until(lambda: origin.cancelled)

    run(scenario())


def test_whoever_leaves_or_fails_at_any_moment_nobody_waits_for_ever() -> None:
    chance = random.Random(7)

    async def scenario() -> None:
        one = flights()

        async def load(key: object) -> bytes:
            for _ in range(chance.randrange(3)):
                await asyncio.sleep(0)
            if chance.random() < 0.4:
                raise OSError("no route")
            if chance.random() < 0.1:
                raise asyncio.CancelledError
            return b"v"

        async def caller() -> str:
            for _ in range(chance.randrange(4)):
                await asyncio.sleep(0)
            try:
                return (await one.join(f"k{chance.randrange(3)}", Call(load, None, ()))).key  # type: ignore[return-value]
            except (OSError, GatewayError):
                return "failed"

        for _ in range(200):
            callers = [background(caller()) for _ in range(8)]
            for _ in range(chance.randrange(4)):
                await asyncio.sleep(0)
            for left in chance.sample(callers, 3):
                left.cancel()
            await asyncio.wait_for(asyncio.gather(*callers, return_exceptions=True), 60)
        await until(lambda: len(one) == 0)

    run(scenario())
