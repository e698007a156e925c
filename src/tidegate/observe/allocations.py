"""What was allocated in a while and is still there, by the lines of Python that asked for it: tracemalloc, switched on.

Every allocation is remembered with the calls above it while that is on, which costs Python code several times what it
took before (`python -m benchmarks profile-cost`); it is meant for seconds. Memory that C code takes by itself is not
seen. At the end the list of what is left is taken in one go, which holds the loop for about a microsecond for each
allocation that is still there, so it ends by itself when the remembering takes more than 32 MiB.
"""

from __future__ import annotations

import tracemalloc
from collections.abc import Generator
from typing import TypedDict

__all__ = ["ROOM", "Allocated", "is_on", "is_too_much", "start", "stop"]

ROOM = 32 << 20
_FRAMES = 12
_STEP = 50
_STACKS_MAX = 2_000


class Allocated(TypedDict):
    """``stacks``: calls from the outermost on, bytes, and how many allocations."""

    stacks: list[tuple[list[str], int, int]]
    live_bytes: int
    peak_bytes: int
    left_out_bytes: int


def is_on() -> bool:
    """Whether somebody has it switched on already."""
    return tracemalloc.is_tracing()


def start() -> None:
    """From now on allocations are remembered."""
    tracemalloc.start(_FRAMES)


def is_too_much() -> bool:
    """Whether the remembering takes more memory than it may."""
    return tracemalloc.get_tracemalloc_memory() > ROOM


def stop() -> Generator[None, None, Allocated]:
    """Switches it off; in steps: a generator that yields now and then and returns what is left."""
    try:
        live, peak = tracemalloc.get_traced_memory()
        snapshot = tracemalloc.take_snapshot()
    finally:
        tracemalloc.stop()
    yield
    found: dict[tuple[tuple[str, int], ...], list[int]] = {}
    for number, trace in enumerate(snapshot.traces):
        calls = tuple((frame.filename, frame.lineno) for frame in trace.traceback)
        entry = found.setdefault(calls, [0, 0])
        entry[0] += trace.size
        entry[1] += 1
        if number % _STEP == 0:
            yield
    largest = sorted(found.items(), key=lambda one: -one[1][0])
    yield
    return Allocated(
        stacks=[([f"{file}:{line}" for file, line in calls], *entry) for calls, entry in largest[:_STACKS_MAX]],  # type: ignore[misc]
        live_bytes=live,
        peak_bytes=peak,
        left_out_bytes=sum(entry[0] for _, entry in largest[_STACKS_MAX:]),
    )
