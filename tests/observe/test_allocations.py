import inspect
import tracemalloc

import pytest

from tidegate.observe import allocations


@pytest.fixture(autouse=True)
def off():
    assert not tracemalloc.is_tracing()
    yield
    tracemalloc.stop()


def ended():
    steps = allocations.stop()
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def test_what_is_still_there_is_told_by_the_lines_that_asked_for_it():
    allocations.start()
    assert allocations.is_on() and not allocations.is_too_much()
    kept = [bytes(1000) for _ in range(100)]; line = inspect.currentframe().f_lineno  # fmt: skip  # noqa: E702
    for _ in range(50):
        bytes(100_000)
    found = ended()
    assert not allocations.is_on()
    (calls, size, count) = found["stacks"][0]
    assert calls[-1].endswith(f"test_allocations.py:{line}") and len(calls) > 1
    assert count >= 100 and 100_000 <= size < 150_000 and len(kept) == 100
    assert found["peak_bytes"] >= found["live_bytes"] >= size and found["left_out_bytes"] == 0


def test_of_many_stacks_the_largest_are_told_and_the_rest_added_up(monkeypatch):
    monkeypatch.setattr(allocations, "_STACKS_MAX", 1)
    allocations.start()
    large = bytes(50_000)
    small = bytes(10_000)
    found = ended()
    assert len(found["stacks"]) == 1 and found["stacks"][0][1] >= len(large)
    assert found["left_out_bytes"] >= len(small)


def test_too_much_to_remember_is_noticed(monkeypatch):
    monkeypatch.setattr(allocations, "ROOM", 1000)
    allocations.start()
    kept = [object() for _ in range(1000)]
    assert allocations.is_too_much() and kept
    ended()
    assert not allocations.is_too_much()
