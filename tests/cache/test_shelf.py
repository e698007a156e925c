"""The shortest way to a value."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any

import pytest
from tests.cache.caches import Clock

from tidegate.cache.freshness import Times
from tidegate.cache.shelf import Entry, Key, Shelf
from tidegate.memory.generations import GENERATIONS_SIZE, Generations

TIMES = Times(0.0, 1010.0, 1020.0, 1030.0, 1040.0)


class Plain(Shelf):
    """Says what it was asked for."""

    def miss(
        self,
        key: Key,
        load: Callable[[Any], Awaitable[Any]] | None,
        ttl: float | None,
        tags: Iterable[str],
        timeout: float | None,
    ) -> Awaitable[Any]:
        return Entry(key, ("missed", key, load, ttl, tags, timeout), 0, TIMES, 0.0, (), (), ())


def shelf(clock: Clock) -> Plain:
    return Plain(Generations(bytearray(GENERATIONS_SIZE)), clock)


def placed(one: Shelf, key: Key, value: Any, slots: tuple[int, ...] = ()) -> Entry:
    made = Entry(key, value, 100, TIMES, 5.0, (), slots, one.generations.read(slots))
    one.entries[key] = made
    one.is_current(made)
    return made


def done(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Its result, when it never waits."""
    with pytest.raises(StopIteration) as ended:
        coroutine.send(None)
    return ended.value.value


async def wait(awaitable: Awaitable[Any]) -> Any:
    return await awaitable


@pytest.mark.parametrize("value", [b"v", None, (1, 2), ValueError("a value"), StopIteration(3), {"a": 1}])
def test_what_is_fresh_is_there_without_a_wait(value: Any) -> None:
    one = shelf(Clock())
    placed(one, "k", value)
    assert done(wait(one.get("k"))) is value
    found = one.get("k")
    assert done(wait(found)) is value and done(wait(found)) is value, "any number may await the same"
    assert one.hits == 2 and one.entries["k"].uses == 2


def test_what_is_not_fresh_or_not_there_is_a_miss() -> None:
    clock = Clock()
    one = shelf(clock)
    placed(one, b"k", b"v")
    assert done(wait(one.get("k", wait, ttl=3.0, tags=("t",), timeout=4.0))) == ("missed", "k", wait, 3.0, ("t",), 4.0)
    clock.now = 1010.0
    assert done(wait(one.get(b"k")))[0] == "missed", "from early_from on it takes more than a look"
    assert one.get_nowait(b"k") == b"v", "but it is fresh"
    clock.now = 1020.0
    assert one.get_nowait(b"k", "nothing") == "nothing"
    assert one.get_nowait(b"other") is None
    assert one.hits == 1


def test_what_was_invalidated_is_a_miss_and_all_else_is_looked_at_once() -> None:
    one = shelf(Clock())
    good, bad = placed(one, "good", 1, (3, 4)), placed(one, "bad", 2, (3, 5))
    one.generations.stamp(5, 77)
    assert done(wait(one.get("good")))[0] == "missed", "the epoch has changed: it has to be looked at"
    assert one.is_current(good) and not one.is_current(bad)
    assert done(wait(one.get("good"))) == 1
    assert done(wait(one.get("bad")))[0] == "missed" and one.get_nowait("bad") is None


def test_gather_takes_entries_too() -> None:
    one = shelf(Clock())
    placed(one, "a", 1)
    placed(one, "b", 2)

    async def both() -> list[Any]:
        return await asyncio.gather(one.get("a"), one.get("b"))

    assert asyncio.run(both()) == [1, 2]


def test_the_clock_is_the_machines_unless_another_is_given() -> None:
    import time

    before = time.monotonic()
    now = Plain(Generations(bytearray(GENERATIONS_SIZE))).now()
    assert before - 0.001 <= now <= time.monotonic() + 0.001

    def broken() -> float:
        raise RuntimeError("the clock has stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        Plain(Generations(bytearray(GENERATIONS_SIZE)), broken).now()


def test_a_value_lives_as_long_as_somebody_holds_its_entry() -> None:
    class Value:
        pass

    one = shelf(Clock())
    value = Value()
    seen = weakref.ref(value)
    held = placed(one, "k", value)
    del value
    one.entries.clear()
    gc.collect()
    assert seen() is not None
    del held
    gc.collect()
    assert seen() is None


def test_they_say_what_they_are() -> None:
    one = shelf(Clock())
    assert repr(placed(one, "k", b"v")) == "<Entry 'k': 100 bytes, fresh until 1020.000, used 0 times>"
    assert "nothing" in repr(placed(one, "n", None))
    assert repr(one) == "<Shelf of 2>"
    assert one.entries["k"].load_s == 0.0
    with pytest.raises(NotImplementedError):
        Shelf(one.generations).get("k")
