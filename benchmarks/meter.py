"""Reads everybody's CPU time at the two ends of a load, as near to the load as the generator allows."""

import resource
import time
from collections.abc import Sequence

from benchmarks import processes


def children_s() -> float:
    """CPU seconds of the generators that have ended and been waited for."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


class Meter:
    """CPU time of contender, upstream and generator between ``begin`` and ``end``."""

    def __init__(self, contender: Sequence[int] = (), upstream: Sequence[int] = ()) -> None:
        self.contender_pids = list(contender)
        self.load_pids = list(upstream)
        self.contender_ns = 0
        self.load_ns = 0
        self.elapsed_s = 0.0
        self._start = (0, 0, 0.0, 0.0)

    def __repr__(self) -> str:
        return f"<Meter contender {self.contender_ns} ns, load {self.load_ns} ns in {self.elapsed_s:.3f} s>"

    def _read(self) -> tuple[int, int, float, float]:
        own, load = (processes.cpu_ns(self.contender_pids), processes.cpu_ns(self.load_pids))
        return own, load, children_s(), time.monotonic()

    def begin(self, generator: int | None = None) -> None:
        """The load begins now; ``generator`` is its process when it runs already."""
        if generator is not None:
            self.load_pids.append(generator)
        self._start = self._read()

    def end(self) -> None:
        """The load has ended (the generator still lives, or has been waited for)."""
        own, load, children, now = self._read()
        self.contender_ns = own - self._start[0]
        self.load_ns = load - self._start[1] + int((children - self._start[2]) * 1e9)
        self.elapsed_s = now - self._start[3]

    @property
    def cpu_busy(self) -> float:
        """Share of the time the contender was on its core."""
        return self.contender_ns / 1e9 / self.elapsed_s if self.elapsed_s else 0.0

    @property
    def load_busy(self) -> float:
        """Share of the time upstream and generator were on theirs."""
        return self.load_ns / 1e9 / self.elapsed_s if self.elapsed_s else 0.0
