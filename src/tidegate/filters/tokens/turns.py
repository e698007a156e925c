"""Arithmetic that takes a bounded share of each turn of the event loop.

Verifying a signature is 30 to 300 microseconds of arithmetic that holds the interpreter lock: in a thread it would
hold the loop up all the same, and for longer (the lock is let go of every 5 ms). So it is done on the loop, but no
more than `PER_TURN_S` of it between two looks at the sockets; what comes beyond that waits in order, in bounded
number. A flood of tokens that have to be verified makes those requests late, and nobody else.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Final, Generic, TypeVar

__all__ = ["PER_TURN_S", "Turns"]

T = TypeVar("T")

PER_TURN_S: Final = 0.001


class Turns(Generic[T]):
    """Pieces of work, so many of them in a turn as fit into its share; a piece that has begun is finished.

    Args:
        per_turn_s: The share.
        most: Pieces that may wait.
        clock: Seconds.
    """

    def __init__(
        self, per_turn_s: float = PER_TURN_S, most: int = 1024, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._per_turn_s = per_turn_s
        self._most = most
        self._clock = clock
        self._spent_s = 0.0
        self._has_begun = False
        self._waiting: deque[tuple[Callable[[], T], asyncio.Future[T]]] = deque()

    @property
    def has_room(self) -> bool:
        """Whether a piece may be done at once: this turn has some of its share left, and nobody waits."""
        return self._spent_s < self._per_turn_s and not self._waiting

    @property
    def is_full(self) -> bool:
        """Whether no further piece may wait."""
        return len(self._waiting) >= self._most

    def do(self, work: Callable[[], T]) -> T:
        """Does a piece at once."""
        if not self._has_begun:
            asyncio.get_running_loop().call_soon(self._next)
            self._has_begun = True
        began_s = self._clock()
        try:
            return work()
        finally:
            self._spent_s += self._clock() - began_s

    def wait(self, work: Callable[[], T]) -> asyncio.Future[T]:
        """Does a piece when its turn comes. Who cancels the future leaves the queue."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._waiting.append((work, future))
        if not self._has_begun:
            loop.call_soon(self._next)
            self._has_begun = True
        return future

    def _next(self) -> None:
        """Another turn begins."""
        self._spent_s = 0.0
        self._has_begun = False
        while self._waiting and self._spent_s < self._per_turn_s:
            work, future = self._waiting.popleft()
            if future.done():
                continue
            try:
                future.set_result(self.do(work))
            except Exception as error:  # noqa: BLE001 - it is raised where the result is awaited
                future.set_exception(error)

    def __repr__(self) -> str:
        return f"<Turns {self._spent_s * 1e6:.0f} µs of {self._per_turn_s * 1e6:.0f} spent, {len(self._waiting)} wait>"
