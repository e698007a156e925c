"""For how long loops were held, and in which calls: what the stall watch has seen, added up.

What holds a loop for less than `server.stall_notice` is not seen, and of what is seen the stack is the one at the
moment when it was noticed. Bounded: stacks beyond 200 count as one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypedDict

from tidegate.observe.stalls import Frame

__all__ = ["BlockedStack", "BlockedTime"]

_STACKS_MAX = 200
_CALLS_MAX = 24
_OTHER = ("(other stacks)",)


class BlockedStack(TypedDict):
    """One way in which a worker's loop was held; ``calls`` from the outermost on."""

    worker: int
    calls: list[str]
    held_ns: int
    times: int


class BlockedTime:
    """Sums by worker and stack since the supervisor's program began."""

    def __init__(self, stacks_max: int = _STACKS_MAX) -> None:
        self._stacks_max = stacks_max
        self._sums: dict[tuple[int, tuple[str, ...]], list[int]] = {}

    def __repr__(self) -> str:
        held_s = sum(held_ns for held_ns, _ in self._sums.values()) / 1e9
        return f"<BlockedTime {held_s:.3f} s in {len(self._sums)} stacks>"

    def add(self, worker: int, frames: Iterable[Frame], instead: str, held_ns: int) -> None:
        """A stall is over.

        Args:
            worker: Its number.
            frames: The calls, innermost first.
            instead: What is told where there are none.
            held_ns: How long it was.
        """
        calls = tuple(f"{frame.function} ({frame.place})" for frame in frames)[:_CALLS_MAX][::-1] or (instead,)
        if (worker, calls) not in self._sums and len(self._sums) >= self._stacks_max:
            calls = _OTHER
        entry = self._sums.setdefault((worker, calls), [0, 0])
        entry[0] += held_ns
        entry[1] += 1

    def stacks(self) -> list[BlockedStack]:
        """All of them, the longest first."""
        ordered = sorted(self._sums.items(), key=lambda one: -one[1][0])
        return [
            BlockedStack(worker=worker, calls=list(calls), held_ns=held_ns, times=times)
            for (worker, calls), (held_ns, times) in ordered
        ]
