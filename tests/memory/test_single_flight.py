"""Single flight as a worker asks for it."""

import asyncio

import pytest

from tidegate.memory.region import Region
from tidegate.memory.single_flight import LOOK_MAX_S, SingleFlight
from tidegate.process import tasks

FAR_S = 60


@pytest.fixture
def region():
    made = Region.create(4, 1, 1)
    yield made
    made.close()


@pytest.fixture
def workers(region):
    return [SingleFlight(region.mapping, region.secret, slot) for slot in range(4)]


def test_flight_is_a_context_that_lands_whatever_happens(workers):
    def fail():
        with workers[0].lead(b"k", 10):
            assert workers[1].lead(b"k", 10) is None
            raise RuntimeError("the origin is away")

    with pytest.raises(RuntimeError, match="origin"):
        fail()
    assert not workers[1].is_flying(b"k")
    assert workers[1].lead(b"k", 10) is not None


def test_flight_lands_once(workers):
    flight = workers[0].lead(b"k", 10)
    assert "until" in repr(flight)
    assert flight.land()
    assert "landed" in repr(flight)
    other = workers[1].lead(b"k", 10)
    assert not flight.land()
    assert workers[2].is_flying(b"k")
    assert other.land()


def test_keys_fly_apart(workers):
    assert workers[0].lead(b"a", 10) is not None
    assert workers[1].lead(b"b", 10) is not None
    assert workers[2].lead(b"a" * 100_000, 10) is not None


@pytest.mark.parametrize("failures", [0, 3])
def test_a_cold_key_is_fetched_once_however_many_ask(workers, failures):
    """As the module says it is to be used: leaders who fail are followed, and the others go on waiting."""

    async def main():
        store, fetches = {}, []

        async def ask(flights):
            while b"k" not in store:
                flight = flights.lead(b"k", FAR_S)
                if flight is None:
                    await flights.wait(b"k")
                    continue
                with flight:
                    if b"k" not in store:
                        fetches.append(flights)
                        await asyncio.sleep(0.002)
                        if len(fetches) > failures:
                            store[b"k"] = b"value"
            return store[b"k"]

        async with asyncio.timeout(FAR_S):
            answers = await asyncio.gather(*(ask(workers[at % 4]) for at in range(100)))
        assert answers == [b"value"] * 100
        assert len(fetches) == failures + 1

    asyncio.run(main())


def test_cancelled_leader_is_followed(workers):
    async def main():
        async def lead():
            with workers[0].lead(b"k", FAR_S):
                await asyncio.sleep(FAR_S)

        leading = tasks.start(lead(), "leads")
        await asyncio.sleep(0)
        waiting = tasks.start(workers[1].wait(b"k"), "waits")
        await asyncio.sleep(2 * LOOK_MAX_S)
        assert not waiting.done()
        leading.cancel()
        async with asyncio.timeout(FAR_S):
            await waiting
        assert workers[1].lead(b"k", 1) is not None
        assert (workers[1].led, workers[1].waited) == (1, 1)

    asyncio.run(main())


def test_lease_ends_by_the_clock(region):
    now = [10**12]
    first, second = (SingleFlight(region.mapping, region.secret, slot, clock_ns=lambda: now[0]) for slot in (0, 1))
    assert first.lead(b"k", 2.0) is not None
    now[0] += 1_900_000_000
    assert second.lead(b"k", 2.0) is None
    now[0] += 200_000_000
    assert not second.is_flying(b"k")
    assert second.lead(b"k", 2.0) is not None
