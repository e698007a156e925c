"""Gauges that are read again and again while a half lasts, and what came of requests, as lines of a picture."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable

from tidegate.bench.chart import Line, Mark
from tidegate.process import tasks
from tidegate.process.failure import StartError

__all__ = ["STEP_S", "Timeline", "by_step", "slowest_by_step"]

STEP_S = 0.05


class Timeline:
    """Time since the half began, and values read every :data:`STEP_S` seconds of it."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.began_s = self._loop.time()
        self.marks: list[Mark] = []
        self._gauges: dict[str, Callable[[], float]] = {}
        self._values: dict[str, list[float]] = {}
        self._tasks = [tasks.start(self._read(), "read the gauges of the lab")]

    def __repr__(self) -> str:
        return f"<Timeline {self.seconds:.1f} s, {len(self._gauges)} gauges>"

    @property
    def seconds(self) -> float:
        """How long the half has lasted."""
        return self._loop.time() - self.began_s

    def restart(self) -> None:
        """The half begins now: what was read and marked while its pieces were started is forgotten."""
        self.began_s = self._loop.time()
        self.marks.clear()
        for values in self._values.values():
            values.clear()

    def watch(self, name: str, gauge: Callable[[], float]) -> None:
        """Reads ``gauge`` from now on; it must not wait."""
        self._gauges[name] = gauge
        self._values[name] = [0.0] * int(self.seconds / STEP_S)

    def follow(self, name: str, gauge: Callable[[], Awaitable[float]]) -> None:
        """The same for what has to be asked: its last answer is read; no answer leaves the one before."""
        last = 0.0

        async def ask() -> None:
            nonlocal last
            while True:
                with contextlib.suppress(OSError, EOFError, StartError):
                    last = await gauge()
                await asyncio.sleep(STEP_S)

        self._tasks.append(tasks.start(ask(), "ask for a gauge of the lab"))
        self.watch(name, lambda: last)

    def mark(self, text: str) -> None:
        """Something changes now."""
        self.marks.append(Mark(self.seconds, text))

    def line(self, name: str, colour: str, *, is_dashed: bool = False) -> Line:
        """What a gauge has shown."""
        return Line(name, list(self._values[name]), colour, is_dashed)

    def most(self, name: str) -> float:
        """The greatest that a gauge has shown."""
        return max(self._values[name], default=0.0)

    def close(self) -> None:
        """Reads no more."""
        for task in self._tasks:
            task.cancel()

    async def _read(self) -> None:
        # The n-th value is of the n-th step, also when this loop was late: the axis of time is even.
        while True:
            due = int(self.seconds / STEP_S)
            for name, gauge in self._gauges.items():
                values = self._values[name]
                if len(values) <= due:
                    now = gauge()
                    values.extend([now] * (due + 1 - len(values)))
            await asyncio.sleep(max(0.0, (due + 1) * STEP_S - self.seconds))


def by_step(moments_s: Iterable[float], seconds: float, step_s: float = 0.25) -> list[float]:
    """How many a second there were of something, step by step; moments are seconds since the beginning."""
    steps = max(1, int(seconds / step_s + 0.999))
    counts = [0.0] * steps
    for at_s in moments_s:
        if 0 <= at_s < seconds:
            counts[min(steps - 1, int(at_s / step_s))] += 1 / step_s
    return counts


def slowest_by_step(told: Iterable[tuple[float, float]], seconds: float, step_s: float = 0.1) -> list[float]:
    """The most milliseconds that anything took that began in a step; pairs of when it began and how many seconds."""
    slowest = [0.0] * max(1, int(seconds / step_s + 0.999))
    for at_s, took_s in told:
        at = min(len(slowest) - 1, max(0, int(at_s / step_s)))
        slowest[at] = max(slowest[at], took_s * 1e3)
    return slowest
