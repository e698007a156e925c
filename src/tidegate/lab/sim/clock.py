"""Virtual time: a heap of what is due, and a clock that jumps to it."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any

__all__ = ["SECOND_NS", "Clock", "Event"]

SECOND_NS = 1_000_000_000


class Event:
    """Something that is due, until it is cancelled."""

    __slots__ = ("_action", "_arguments")

    def __init__(self, action: Callable[..., None], arguments: tuple[Any, ...]) -> None:
        self._action: Callable[..., None] | None = action
        self._arguments = arguments

    def cancel(self) -> None:
        """It does not happen. Cancelling what has happened does nothing."""
        self._action = None
        self._arguments = ()

    def happen(self) -> None:
        """Calls the action, unless it was cancelled."""
        if self._action is not None:
            self._action(*self._arguments)


class Clock:
    """The time, and what is due. Of what is due at one moment, the first to be planned is the first to happen."""

    def __init__(self) -> None:
        self.now_ns = 0
        self._planned = 0
        self._due: list[tuple[int, int, Event]] = []

    def __repr__(self) -> str:
        return f"<Clock {self.now_s:.3f}s, {len(self._due)} due>"

    @property
    def now_s(self) -> float:
        return self.now_ns / SECOND_NS

    def after(self, delay_ns: int, action: Callable[..., None], *arguments: Any) -> Event:
        """Plans a call ``delay_ns`` from now."""
        event = Event(action, arguments)
        self._planned += 1
        heapq.heappush(self._due, (self.now_ns + max(0, delay_ns), self._planned, event))
        return event

    def run(self, until_ns: int) -> None:
        """Lets everything happen that is due before ``until_ns``, then stands there."""
        while self._due and self._due[0][0] < until_ns:
            self.now_ns, _, event = heapq.heappop(self._due)
            event.happen()
        self.now_ns = until_ns
