"""How long callers wait for what is being fetched: one timer for all of them.

A timer for each was a twentieth of what a value costs that has to be fetched. Most are there long before anybody gives
up: those are passed over when they come to the head, and thrown away in one go when they are most of what is kept.
"""

import asyncio
import heapq
import itertools
from collections.abc import Callable
from typing import Any, Final

__all__ = ["Patience"]

_KEPT_MIN: Final = 64


class Patience:
    """Ends futures that are not done in time."""

    def __init__(self) -> None:
        self._waits: list[tuple[float, int, asyncio.Future[Any], Callable[[], Exception]]] = []
        self._order = itertools.count()
        self._cleared_at = _KEPT_MIN
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0  # on the loop's clock

    def __len__(self) -> int:
        """How many are kept, those included that are done."""
        return len(self._waits)

    def bound(self, future: "asyncio.Future[Any]", seconds: float, error: Callable[[], Exception]) -> None:
        """``future`` fails with ``error()`` when it is not done within ``seconds``."""
        loop, waits = future.get_loop(), self._waits
        while waits and waits[0][2].done():
            heapq.heappop(waits)
        if len(waits) >= self._cleared_at:
            waits[:] = [one for one in waits if not one[2].done()]
            heapq.heapify(waits)
            self._cleared_at = max(_KEPT_MIN, 2 * len(waits))
        due_at = loop.time() + seconds
        heapq.heappush(waits, (due_at, next(self._order), future, error))
        if self._timer is None or due_at < self._timer_at:
            self._arm(loop, due_at)

    def _arm(self, loop: asyncio.AbstractEventLoop, due_at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = loop.call_at(due_at, self._look, loop)
        self._timer_at = due_at

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        waits = self._waits
        while waits:
            due_at, _, future, error = waits[0]
            if not future.done():
                if due_at > loop.time():
                    self._arm(loop, due_at)
                    return
                future.set_exception(error())
            heapq.heappop(waits)

    def __repr__(self) -> str:
        return f"<Patience with {len(self._waits)}>"
