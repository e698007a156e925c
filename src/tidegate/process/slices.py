"""Long work on a loop that serves: done in slices, with the loop's turn between them.

Threads would not do: whoever holds the interpreter lock gives it away every 5 ms at best, and a loop that has to ask
for it on each turn is slower by that. Here a slice ends after a quarter of a millisecond, wherever the work lets go: an
exchange with an upstream takes two turns of the loop at least, and waits for a slice on each.

This module imports nothing of ours: every part of the gateway may have long work.
"""

import asyncio
import gc
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

__all__ = ["Pace", "collector_at_rest", "in_slices"]

T = TypeVar("T")

SLICE_S: Final = 0.00025


class Pace:
    """Says when a slice is over: ``if pace.is_over: await pace.rest()`` wherever the work can be left for a moment."""

    def __init__(self, slice_s: float = SLICE_S) -> None:
        self._slice_s = slice_s
        self._until_s = time.perf_counter() + slice_s

    @property
    def is_over(self) -> bool:
        """Whether it is the others' turn."""
        return time.perf_counter() >= self._until_s

    async def rest(self) -> None:
        """Gives all others on the loop their turn, once."""
        await asyncio.sleep(0)
        self._until_s = time.perf_counter() + self._slice_s


async def in_slices(work: Generator[Any, None, T], pace: Pace | None = None) -> T:
    """What the generator returns; it yields wherever it can be left for a moment, as often as it likes."""
    pace = pace or Pace()
    try:
        while True:
            next(work)
            if pace.is_over:
                await pace.rest()
    except StopIteration as end:
        result: T = end.value
        return result
    finally:
        work.close()


@contextmanager
def collector_at_rest() -> Iterator[None]:
    """Keeps the cyclic collector from looking, again and again, at the hundred thousands of objects being made.

    What is built for a snapshot has no cycles, so that the collector would find nothing in it. It counts as old in the
    end: as young it would be looked at in one go at the next allocation, 10 ms and more for ten thousand routes.

    Where the heap was frozen it is frozen too, or full collections would hold the loop for longer still. Cycles that
    are young at the beginning are collected first; those that others leave meanwhile stay.
    """
    was_on = gc.isenabled()
    is_frozen = gc.get_freeze_count() > 0
    if was_on and is_frozen:
        gc.collect(1)
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if not is_frozen:
            gc.unfreeze()  # the two together move everything to the oldest generation, without a look at it
        if was_on:
            gc.enable()
