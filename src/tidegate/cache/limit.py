"""How long loads may take: one timer for all that are under way.

``asyncio.timeout`` makes a timer and two coroutines for each block, a fifth of what a value that comes soon costs a
cache. All blocks here may take equally long, so who began first is late first, and one timer does that looks at him.
"""

import asyncio
from types import TracebackType
from typing import Self

__all__ = ["Limit", "Run"]


class Run:
    """A block under a limit, in the task that runs it; it may be entered once.

    As with ``asyncio.timeout``: when its time is over the task is cancelled, and the block raises TimeoutError. If
    somebody else cancels the task too, that stays a CancelledError.
    """

    __slots__ = ("_cancelling", "_limit", "_task", "due_at", "is_over")

    def __init__(self, limit: "Limit", task: "asyncio.Task[object]", due_at: float) -> None:
        self.due_at = due_at  # on the loop's clock
        self.is_over = False
        self._limit = limit
        self._task = task
        self._cancelling = task.cancelling()

    def end(self) -> None:
        """Its time is over."""
        self.is_over = True
        self._task.cancel()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._limit.forget(self)
        if self.is_over and self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def __repr__(self) -> str:
        return f"<Run {'over' if self.is_over else 'under way'} in {self._task.get_name()}>"


class Limit:
    """One time for any number of blocks: ``with limit.run(): await …``.

    Args:
        seconds: That each may take.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._runs: dict[Run, None] = {}  # in the order in which they are late
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._runs)

    def run(self) -> Run:
        """A block of the current task, whose time begins now. RuntimeError outside of a task."""
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a limit is for a task")
        loop = task.get_loop()
        run = Run(self, task, loop.time() + self.seconds)
        self._runs[run] = None
        if self._timer is None:
            self._timer = loop.call_at(run.due_at, self._look, loop)
        return run

    def forget(self, run: Run) -> None:
        """It has ended. The timer stays: the next block is likely to begin before it would be due."""
        self._runs.pop(run, None)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        while self._runs:
            first = next(iter(self._runs))
            if first.due_at > loop.time():
                self._timer = loop.call_at(first.due_at, self._look, loop)
                return
            del self._runs[first]
            first.end()

    def __repr__(self) -> str:
        return f"<Limit of {self.seconds:g} s, {len(self._runs)} under way>"
