"""Where each worker's loop is, every ten seconds, for the flight recorder.

By the way of `stack_pipe`: a signal, and a moment later what faulthandler wrote. A worker whose loop is held belongs to
`stall_watch`, which asks by the same pipe; it is left alone, and its stack is in an event.
"""

import time
from collections.abc import Callable

from tidegate.memory.region import Region
from tidegate.memory.slot import SlotState
from tidegate.observe.recording import Stack, pack_record
from tidegate.observe.stalls import parse_stack
from tidegate.process.child import Child
from tidegate.process.place import WorkerPlace
from tidegate.process.workforce import Workforce

__all__ = ["StackSamples"]

_PERIOD_NS = 10_000_000_000
_ANSWER_NS = 20_000_000


class StackSamples:
    """Asks, and keeps the answers in shared memory."""

    def __init__(
        self,
        region: Region,
        workers: Workforce,
        *,
        clock_ns: Callable[[], int] = time.monotonic_ns,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._journal = region.journal("stacks")
        self._workers = workers
        self._clock_ns = clock_ns
        self._wall = wall
        self._due_ns = clock_ns() + _PERIOD_NS
        self._asked_ns = 0
        self._asked: list[tuple[WorkerPlace, Child]] = []

    def __repr__(self) -> str:
        return f"<StackSamples {self._journal!r}>"

    def look(self) -> None:
        """Asks if that is due, or takes the answers; to be called a few times a second."""
        now_ns = self._clock_ns()
        if self._asked:
            if now_ns - self._asked_ns >= _ANSWER_NS:
                self._take()
        elif now_ns >= self._due_ns:
            self._due_ns = now_ns + _PERIOD_NS
            self._asked_ns = now_ns
            self._ask()

    def _ask(self) -> None:
        for place in self._workers.places:
            child, stacks = place.child, place.stacks
            if child is not None and stacks is not None and _gets_on(place):
                stacks.ask(child)
                self._asked.append((place, child))

    def _take(self) -> None:
        asked, self._asked = self._asked, []
        for place, child in asked:
            if place.child is not child or place.stacks is None or not _gets_on(place):
                continue
            text = place.stacks.take()
            if text:
                calls = "\n".join(f"{frame.place} {frame.function}" for frame in parse_stack(text))
                stack = Stack(round(self._wall(), 3), place.slot.index, child.pid, calls)
                self._journal.append(pack_record(stack, self._journal.room))


def _gets_on(place: WorkerPlace) -> bool:
    return place.slot.state in (SlotState.READY, SlotState.DRAINING) and not place.slot.stalled_since_ns
