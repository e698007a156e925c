"""Long work lets others have their turn, and ends as short work does."""

import asyncio
import gc
import time
import weakref
from collections.abc import Iterator

import pytest

from tidegate.process.slices import Pace, collector_at_rest, in_slices


def busy(seconds: float) -> None:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


def work(steps: int, seconds: float, ended: list[str]) -> Iterator[None]:
    try:
        for _ in range(steps):
            busy(seconds)
            yield
        return steps  # type: ignore[return-value]
    finally:
        ended.append("ended")


def test_others_have_their_turn_between_the_slices() -> None:
    async def scenario() -> int:
        turns = 0

        async def other() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        task = asyncio.get_running_loop().create_task(other())
        assert await in_slices(work(20, 0.002, []), Pace(0.001)) == 20  # type: ignore[arg-type]
        task.cancel()
        return turns

    assert asyncio.run(scenario()) >= 20


def test_short_work_takes_no_turn() -> None:
    ended: list[str] = []
    steps = in_slices(work(3, 0.0, ended), Pace(60.0))  # type: ignore[arg-type]
    with pytest.raises(StopIteration) as end:
        steps.send(None)
    assert (end.value.value, ended) == (3, ["ended"])


def test_work_that_fails_or_is_cancelled_ends_at_once() -> None:
    ended: list[str] = []

    def failing() -> Iterator[None]:
        yield
        raise ValueError("no")

    async def scenario() -> None:
        with pytest.raises(ValueError, match="no"):
            await in_slices(failing())  # type: ignore[arg-type]
        task = asyncio.ensure_future(in_slices(work(10**9, 0.001, ended), Pace(0.0)))  # type: ignore[arg-type] # noqa: TID251
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(scenario())
    assert ended == ["ended"]


def test_collector_rests_and_comes_back() -> None:
    def fail() -> None:
        with collector_at_rest():
            assert not gc.isenabled()
            with collector_at_rest():
                pass
            assert not gc.isenabled()
            raise ValueError("no")

    assert gc.isenabled()
    with pytest.raises(ValueError, match="no"):
        fail()
    assert gc.isenabled()


@pytest.fixture
def thawed() -> Iterator[None]:
    """As in a process that froze nothing: `conftest.py` froze what pytest had collected."""
    gc.unfreeze()
    try:
        yield
    finally:
        gc.freeze()


@pytest.fixture
def frozen() -> None:
    """As in a worker, which froze what it had when it began to serve."""
    gc.collect()
    gc.freeze()


@pytest.mark.usefixtures("thawed")
def test_what_was_made_while_the_collector_rested_is_old_without_a_look() -> None:
    looked: list[int] = []

    def note(phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            looked.append(info["generation"])

    gc.callbacks.append(note)
    try:
        with collector_at_rest():
            made = [[number] for number in range(50_000)]
        more = [[number] for number in range(10)]
        assert looked == []
    finally:
        gc.callbacks.remove(note)
    oldest = {id(one) for one in gc.get_objects(generation=2)}
    assert oldest.issuperset(map(id, made))
    assert len(more) == 10


@pytest.mark.usefixtures("frozen")
def test_a_heap_that_was_frozen_stays_so_and_what_was_made_joins_it() -> None:
    before = gc.get_freeze_count()
    with collector_at_rest():
        made = [[number] for number in range(50_000)]
    assert gc.get_freeze_count() >= before + len(made)
    # A full collection looks at none of it.
    assert {id(one) for one in gc.get_objects()}.isdisjoint(map(id, made))


class Node:
    me: "Node"


@pytest.mark.usefixtures("frozen")
def test_a_young_cycle_is_not_frozen_for_ever() -> None:
    node = Node()
    node.me = node
    dead = weakref.ref(node)
    del node
    with collector_at_rest():
        pass
    assert dead() is None
