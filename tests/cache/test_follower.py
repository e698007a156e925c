"""A cache that has all of a source, in one worker and in several of a machine; the source says what it is told to."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Iterable
from typing import Any

from tests.cache.caches import Landing
from tests.redis.links import Log, run, until

from tidegate.cache.fetch import MachineFlights
from tidegate.cache.follower import ENDLESS_S, Changed, Follower, Whole
from tidegate.cache.loaded import Loaded
from tidegate.cache.names import Names
from tidegate.cache.shelf import Key
from tidegate.errors import GatewayError, Kind
from tidegate.memory.generations import GENERATIONS_SIZE, Generations


def now() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Told:
    """Says what is put into it, to whoever listens; an exception is raised."""

    def __init__(self, values: dict[Key, Any], name: str = "told") -> None:
        self.name = name
        self.values = values
        self.words: asyncio.Queue[Whole | Changed | Exception] = asyncio.Queue()
        self.listened = self.left = self.unreadable = 0

    async def say(self) -> AsyncGenerator[Whole | Changed, None]:
        self.listened += 1
        try:
            yield Whole(dict(self.values))
            yield Changed((), now())
            while True:
                word = await self.words.get()
                if isinstance(word, Exception):
                    raise word
                yield word
        finally:
            self.left += 1

    async def load(self, key: Key) -> Any:
        return self.values.get(key)


class Tiers:
    """What the follower keeps, as a cache would: it is given out under the stamps it came under."""

    def __init__(self, generations: Generations) -> None:
        self.generations = generations
        self.names = Names("test")
        self.there: dict[Key, tuple[Any, float | None, tuple[int, ...]]] = {}
        self.fetched: list[Key] = []

    def _stamps(self, key: Key) -> tuple[int, ...]:
        return self.generations.read(self.names.slots_of(key, ()))

    async def keep(self, key: Key, loaded: Loaded) -> None:
        self.there[key] = (loaded.value, loaded.ttl, self._stamps(key))

    async def fetch(self, keys: Iterable[Key]) -> None:
        self.fetched += keys

    def get(self, key: Key) -> Any:
        value, _, stamps = self.there.get(key, (None, None, ()))
        return value if stamps == self._stamps(key) else None


def follower(
    source: Told, tiers: Tiers, *, flights: MachineFlights | None = None, bound_s: float = 60.0, log: Log | None = None
) -> Follower:
    return Follower(
        "test",
        source,
        tiers.names,
        tiers.generations,
        keep=tiers.keep,
        fetch=tiers.fetch,
        bound_s=bound_s,
        flights=flights,
        say=(Log() if log is None else log).say,
        chance=random.Random(1),
    )


def tiers() -> Tiers:
    return Tiers(Generations(bytearray(GENERATIONS_SIZE)))


def test_the_whole_is_there_when_it_is_ready_and_has_no_end() -> None:
    async def scenario() -> None:
        source, there = Told({f"k{number}": number for number in range(100)}), tiers()
        one = follower(source, there)
        assert one.age_s() > 3, "nothing is known yet"
        await one.ready()
        assert [there.get(f"k{number}") for number in range(100)] == list(range(100))
        assert {ttl for _, ttl, _ in there.there.values()} == {ENDLESS_S}
        assert one.age_s() < 3 and one.statistics().wholes == 1
        one.close()

    run(scenario())


def test_a_whole_vouches_for_nothing_before_what_changed_meanwhile_was_said() -> None:
    class Long(Told):
        async def say(self) -> AsyncGenerator[Whole | Changed, None]:
            yield Whole(self.values)
            assert one.age_s() > 3 and there.get("a") == 1
            yield Changed(("b",))
            assert one.age_s() > 3 and there.get("b") is None
            yield Changed((), now())
            await asyncio.Event().wait()

    async def scenario() -> None:
        nonlocal one
        one = follower(Long({"a": 1, "b": 2}), there)
        await one.ready()
        assert there.get("a") == 1
        one.close()

    one: Follower
    there = tiers()
    run(scenario())


def test_what_is_said_to_have_changed_is_given_out_no_more_and_fetched_again() -> None:
    async def scenario() -> None:
        source, there = Told({"a": 1, "b": 2}), tiers()
        one = follower(source, there)
        await one.ready()
        source.words.put_nowait(Changed(("a", "new")))
        await until(lambda: there.fetched == ["a", "new"])
        assert there.get("a") is None and there.get("b") == 2
        assert one.statistics().changes == 2
        one.close()

    run(scenario())


def test_after_a_loss_nothing_ends_before_the_whole_is_there_and_then_all_that_was() -> None:
    async def scenario() -> None:
        source, there, log = Told({"a": 1, "gone": 2}), tiers(), Log()
        one = follower(source, there, log=log)
        await one.ready()
        source.values = {"a": 3}
        source.words.put_nowait(GatewayError(Kind.CONNECTION_TERMINATED, "lost"))
        while source.listened == 1:
            assert there.get("gone") == 2, "better than nothing"
            await asyncio.sleep(0)
        await until(lambda: there.get("a") == 3)
        assert there.get("gone") is None
        assert log.kinds == ["cache_source_lost", "cache_source_back"]
        assert (one.statistics().losses, one.statistics().wholes) == (1, 2)
        one.close()
        await until(lambda: source.left == 2)

    run(scenario())


def test_of_a_machine_one_listens_and_another_when_it_ends() -> None:
    async def scenario() -> None:
        source, shared, flights = Told({"a": 1}), Generations(bytearray(GENERATIONS_SIZE)), Landing()
        there = [Tiers(shared), Tiers(shared)]
        first = follower(source, there[0], flights=flights)
        second = follower(source, there[1], flights=flights)
        await first.ready()
        await second.ready()
        assert source.listened == 1 and there[0].get("a") == 1 and not there[1].there
        assert second.age_s() < 3, "as sure as the one who listens"
        source.words.put_nowait(Changed(("a",)))
        await until(lambda: there[0].fetched)
        assert there[0].get("a") is None and not there[1].fetched
        first.close()
        await until(lambda: there[1].get("a") == 1)
        assert source.listened == 2 and source.left == 1
        second.close()

    run(scenario())


def test_values_that_nobody_can_vouch_for_end_after_the_bound_and_what_is_loaded_has_an_end() -> None:
    async def scenario() -> None:
        source, there = Told({"a": 1}), tiers()
        one = follower(source, there, bound_s=5.0)
        await one.ready()
        assert await one.load("a") == Loaded(1, ENDLESS_S)
        one._generations.version = int((now() - 4.0) * 1e6)  # as if nothing had been said for so long
        assert await one.load("a") == Loaded(1, None) and there.get("a") == 1
        one._generations.version = int((now() - 5.0) * 1e6)
        await until(lambda: there.get("a") is None)
        before = there.generations.current_epoch()
        other = follower(source, Tiers(there.generations), bound_s=5.0, flights=SomebodyElses())
        await asyncio.sleep(0.01)
        assert there.generations.current_epoch() == before, "what has ended once ends for all workers"
        for made in (one, other):
            made.close()

    run(scenario())


class SomebodyElses:
    """Flights that somebody else leads, for ever."""

    def lead(self, key: bytes, lease_s: float) -> None:
        return None

    async def wait(self, key: bytes) -> None:
        await asyncio.Event().wait()


def test_who_loses_the_lead_listens_no_more() -> None:
    async def scenario() -> None:
        source, flights = Told({"a": 1}), Landing()
        one = follower(source, tiers(), flights=flights)
        await one.ready()
        one._land()  # its lease has ended while it stood still
        flights.flying.add(b"source of test")
        source.words.put_nowait(Changed(()))
        await until(lambda: source.left == 1)
        await asyncio.sleep(0.01)
        assert source.listened == 1
        one.close()

    run(scenario())


def test_values_of_another_source_are_not_believed() -> None:
    async def scenario() -> None:
        shared = Generations(bytearray(GENERATIONS_SIZE))
        there = Tiers(shared)
        one = follower(Told({"a": 1}), there)
        await one.ready()
        one.close()
        again = follower(Told({"a": 1}), there, flights=SomebodyElses())
        assert again.age_s() < 3 and there.get("a") == 1, "the same as before: what the machine has is good"
        again.close()
        other = follower(Told({}, name="another"), there, flights=SomebodyElses())
        assert other.age_s() > 3 and there.get("a") is None
        other.close()

    run(scenario())


def test_a_change_that_cannot_be_fetched_is_counted_and_the_next_is_fetched() -> None:
    async def scenario() -> None:
        source, there = Told({"a": 1}), tiers()
        one = follower(source, there)
        await one.ready()
        good = one._fetch

        async def fails(keys: Iterable[Key]) -> None:
            raise GatewayError(Kind.DESTINATION_UNAVAILABLE, "away")

        one._fetch = fails
        source.words.put_nowait(Changed(("a",)))
        await until(lambda: one.statistics().failures == 1)
        assert there.get("a") is None
        one._fetch = good
        source.words.put_nowait(Changed(("a",)))
        await until(lambda: there.fetched == ["a"])
        one.close()

    run(scenario())
