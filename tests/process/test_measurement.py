"""Both ends in one process; real workers are asked in tests/cli/test_profile.py."""

import asyncio
import os
import tracemalloc
from pathlib import Path

import pytest
from tests.redis.links import until

from tidegate.observe import allocations
from tidegate.process import measurement, tasks
from tidegate.process.measurement import Measurement, MeasurementError, measure
from tidegate.process.messages import Measure


def send_to_myself(asked):
    """As the supervisor does, to a worker that is this process."""
    order = Measure(kind=asked.kind, seconds=asked.seconds, fd=os.dup(asked.fd))
    tasks.start(measure(order), "measure")
    return True


def descriptors():
    return set(Path("/proc/self/fd").iterdir())


async def measured(kind, seconds=0.0, *, send=send_to_myself, meanwhile=None):
    one = Measurement(kind, 0, seconds, send)
    try:
        if meanwhile is not None:
            tasks.start(meanwhile(one), "meanwhile")
        return await one.answer()
    finally:
        one.close()


class Leaked:
    """What becomes more."""


def test_live_objects_now_and_nothing_is_left_open():
    async def twice():
        await measured("heap")
        before = descriptors()
        found = await measured("heap")
        assert descriptors() == before
        return found

    kept = [Leaked() for _ in range(3)]
    found = asyncio.run(twice())
    assert found["before"] is None
    assert found["after"][f"{__name__}.Leaked"][0] == len(kept)


def test_the_difference_of_two_moments_which_is_ended_by_who_asked(monkeypatch):
    kept, asked = [], []
    waits = measurement._until_enough

    async def leaks_and_waits(fd, seconds):
        kept.extend(Leaked() for _ in range(50))
        asked[0].end_now()
        asked[0].end_now()
        await waits(fd, seconds)

    async def remember(one):
        asked.append(one)

    monkeypatch.setattr(measurement, "_until_enough", leaks_and_waits)
    found = asyncio.run(measured("heap", 600.0, meanwhile=remember))
    name = f"{__name__}.Leaked"
    assert found["after"][name][0] - found["before"].get(name, [0])[0] == len(kept) == 50


def test_allocations_of_a_while_and_then_it_is_off():
    kept = []

    async def allocate(one):
        await until(allocations.is_on)
        kept.append(bytes(300_000))
        one.end_now()

    found = asyncio.run(measured("allocations", 600.0, meanwhile=allocate))
    assert not tracemalloc.is_tracing()
    assert found["stacks"][0][1] >= 300_000 and "test_measurement.py" in found["stacks"][0][0][-1]


def test_allocations_end_by_themselves_when_there_is_too_much_to_remember(monkeypatch):
    monkeypatch.setattr(allocations, "ROOM", 0)
    assert "stacks" in asyncio.run(measured("allocations", 600.0))
    assert not tracemalloc.is_tracing()


def test_allocations_are_measured_for_one_at_a_time():
    tracemalloc.start()
    try:
        found = asyncio.run(measured("allocations", 600.0))
        assert found == {"error": "allocations are being measured already"}
        assert tracemalloc.is_tracing(), "it goes on for who began it"
    finally:
        tracemalloc.stop()


def test_who_asked_and_is_gone_switches_it_off():
    async def leave():
        one = Measurement("allocations", 0, 600.0, send_to_myself)
        await until(allocations.is_on)
        one.close()
        await until(lambda: not allocations.is_on())
        assert repr(one) == "<Measurement 600 s>"

    asyncio.run(leave())


def test_a_supervisor_or_worker_that_is_gone_or_silent_is_told(monkeypatch):
    with pytest.raises(MeasurementError, match="supervisor does not listen"):
        asyncio.run(measured("heap", send=lambda asked: False))
    with pytest.raises(MeasurementError, match="ended meanwhile"):
        asyncio.run(measured("heap", send=lambda asked: True))
    monkeypatch.setattr(measurement, "_SLACK_S", 0.05)
    silent = []
    with pytest.raises(MeasurementError, match="its loop is held"):
        asyncio.run(measured("heap", send=lambda asked: silent.append(os.dup(asked.fd)) or True))
    os.close(silent[0])


def test_an_order_without_room_for_its_descriptor_is_passed_over():
    asyncio.run(measure(Measure(kind="heap")))
