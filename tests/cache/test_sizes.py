"""Sizes that a bound in bytes stands on."""

from __future__ import annotations

import gc
import json
import tracemalloc
from collections.abc import Iterator

import pytest
from tests.cache.test_space import entry

from tidegate.cache.sizes import ENTRY_BYTES, size_of
from tidegate.cache.space import Space


@pytest.mark.parametrize(
    "value",
    [
        b"x" * 10_000,
        "é" * 10_000,
        [{"id": number, "name": f"user {number}"} for number in range(200)],
        {f"user {number}": {"roles": ["a", "b"], "org": {"id": number}} for number in range(2000)},
        ["small"] * 5000 + ["x" * 200_000] + ["small"] * 5000,
        list(range(1000, 70_000)),
    ],
)
def test_a_size_is_about_what_memory_is_taken(value: object) -> None:
    text = json.dumps(value.decode() if isinstance(value, bytes) else value)
    tracemalloc.start()
    copies = [json.loads(text) for _ in range(5)]
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 0.6 * taken < sum(map(size_of, copies)) < 1.7 * taken


class Counted(list[object]):
    """A list that knows how often anybody has begun to look through one of its kind."""

    looks = 0

    def __iter__(self) -> Iterator[object]:
        Counted.looks += 1
        return super().__iter__()


def test_however_much_a_value_contains_little_of_it_is_looked_into() -> None:
    Counted.looks = 0
    many = [Counted(Counted([number]) for _ in range(20)) for number in range(2000)]
    Counted.looks = 0
    assert size_of(many) > 2000 * 20 * 64
    assert 100 < Counted.looks < 4096


def test_what_contains_itself_has_a_size() -> None:
    endless: list[object] = []
    endless.append(endless)
    assert size_of(endless) < 64 * 100


def test_an_entry_takes_no_more_than_it_counts_for() -> None:
    count = 5000
    entries: dict[str | bytes, object] = {}
    space = Space(entries, 1 << 40)  # type: ignore[arg-type]
    gc.collect()
    tracemalloc.start()
    for number in range(count):
        space.put(entry(f"key:{number}", 1))
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert taken / count < ENTRY_BYTES + 128
