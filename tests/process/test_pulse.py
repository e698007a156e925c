import asyncio
import gc
import time

import pytest

from tidegate.memory.region import Region, read_meters
from tidegate.process.pulse import Pulse


@pytest.fixture
def region():
    one = Region.create(1)
    yield one
    one.close()


async def beating(region, condition):
    loop = asyncio.get_running_loop()
    slot = region.slot(0)
    pulse = Pulse(loop, slot, slot.take_meters())
    pulse.start()
    try:
        async with asyncio.timeout(10):
            while not condition():  # noqa: ASYNC110 - shared memory rings no bell
                await asyncio.sleep(0.001)
    finally:
        pulse.stop()


def test_heart_beats_from_the_loop(region):
    stamps = set()

    def enough():
        stamps.add(region.slot(0).heartbeat_ns)
        return len(stamps) >= 4

    asyncio.run(beating(region, enough))
    assert max(stamps) <= time.monotonic_ns()


def test_a_blocked_loop_shows_as_lag(region):
    def after_a_block():
        if read_meters(region, 0).counters["loop_lag_max_ns"] < 150_000_000:
            time.sleep(0.25)
            return False
        return True

    asyncio.run(beating(region, after_a_block))


def test_what_the_start_took_hides_no_later_hold(region):
    async def live():
        slot = region.slot(0)
        pulse = Pulse(asyncio.get_running_loop(), slot, slot.take_meters())
        pulse.start()
        try:
            hold(1.0)
            while not lag_max_ns():  # noqa: ASYNC110 - shared memory rings no bell
                await asyncio.sleep(0.001)
            slot.take_meters()  # as the service does
            pulse.forget_maxima()
            async with asyncio.timeout(30):
                while lag_max_ns() < 30_000_000:
                    hold(0.1)
                    await asyncio.sleep(0.001)
        finally:
            pulse.stop()

    def hold(seconds):
        time.sleep(seconds)

    def lag_max_ns():
        return read_meters(region, 0).counters["loop_lag_max_ns"]

    asyncio.run(live())


def test_recent_lag_is_of_two_seconds_and_then_forgotten(region):
    seen = []

    def blocked_once_and_forgotten():
        recent_ns = read_meters(region, 0).counters["loop_lag_recent_ns"]
        if not seen:
            seen.append(time.monotonic())
            time.sleep(0.5)
            return False
        if recent_ns > 400_000_000:
            seen.append(recent_ns)
        return len(seen) > 1 and recent_ns < 400_000_000

    asyncio.run(beating(region, blocked_once_and_forgotten))
    assert time.monotonic() - seen[0] > 1.0, "it must be there for who looks once a second"


def test_collections_are_counted_with_their_pauses(region):
    def collected():
        gc.collect()
        return read_meters(region, 0).counters["gc_collections"] >= 3

    asyncio.run(beating(region, collected))
    counters = read_meters(region, 0).counters
    assert 0 < counters["gc_pause_max_ns"] <= counters["gc_pause_ns"]


def test_a_stopped_pulse_leaves_nothing_behind(region):
    before = list(gc.callbacks)
    asyncio.run(beating(region, lambda: True))
    assert gc.callbacks == before
