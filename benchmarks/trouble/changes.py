"""Reloads and upgrades, one after the other, while something else measures; and which of them was under way when."""

import statistics
import threading
import time
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import NamedTuple, Self

from benchmarks import table
from benchmarks.load.exchanges import Latencies
from benchmarks.trouble.gateway import Running


class Change(NamedTuple):
    """A reload or an upgrade, from the request to the answer, in nanoseconds on CLOCK_MONOTONIC."""

    kind: str
    began_ns: int
    ended_ns: int

    @property
    def took_s(self) -> float:
        """Seconds."""
        return (self.ended_ns - self.began_ns) / 1e9


class Changes(threading.Thread):
    """Reloads in fixed steps with upgrades between them; a context manager, left when all is done.

    Args:
        running: the gateway.
        reloads: how many.
        upgrades: how many, spread over the reloads.
        steady_s: before the first change.
        each_s: from the begin of a reload to that of the next, if it has ended by then.
    """

    def __init__(self, running: Running, *, reloads: int, upgrades: int, steady_s: float, each_s: float) -> None:
        super().__init__(name="changes")
        self.done: list[Change] = []
        self._running = running
        self._reloads = reloads
        self._steady_s = steady_s
        self._each_s = each_s
        self._before = {round(reloads * (2 * n + 1) / (2 * upgrades)) for n in range(upgrades)}  # these come upgrades
        self._failure: BaseException | None = None
        self._text = running.path.read_text()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.join()
        if self._failure is not None and kind is None:
            raise self._failure

    def run(self) -> None:
        """Until the last one has ended."""
        time.sleep(self._steady_s)
        try:
            for mark in range(1, self._reloads + 1):
                if mark - 1 in self._before:
                    self._change("upgrade", self._running.upgrade)
                due_s = time.monotonic() + self._each_s
                route = f'[[routes]]\nname = "mark"\npath = "/mark"\nrespond = {{ body = "{mark}" }}\n'
                self._running.path.write_text(self._text + route)
                self._change("reload", self._running.reload)
                time.sleep(max(0.0, due_s - time.monotonic()))
        except Exception as error:  # noqa: BLE001 - raised again in the thread that waits
            self._failure = error

    def _change(self, kind: str, change: Callable[[], None]) -> None:
        began_ns = time.monotonic_ns()
        change()
        self.done.append(Change(kind, began_ns, time.monotonic_ns()))


def windows(changes: Sequence[Change]) -> Callable[[int], str]:
    """Which change was under way at a time: its kind, or "steady". Changes do not overlap, and come in order."""
    begins = [change.began_ns for change in changes]

    def group(at_ns: int) -> str:
        at = bisect_right(begins, at_ns) - 1
        return changes[at].kind if at >= 0 and at_ns <= changes[at].ended_ns else "steady"

    return group


def done_by(changes: Sequence[Change], kind: str, end_ns: int) -> int:
    """How many of a kind had ended by then."""
    return sum(change.kind == kind and change.ended_ns <= end_ns for change in changes)


def rows(latencies: Latencies, changes: Sequence[Change]) -> list[dict[str, str]]:
    """For a table: how long changes took, and how the load fared while they were under way and while not."""
    found = []
    for name in ("steady", *dict.fromkeys(change.kind for change in changes)):
        took = [change.took_s for change in changes if change.kind == name]
        parts = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999, "max": 1.0}
        figures = {part: latencies.quantile_ms(name, share) for part, share in parts.items()}
        found.append(
            {
                "under way": name,
                "times": str(len(took)) if took else "-",
                "median s": f"{statistics.median(took):.3f}" if took else "-",
                "longest s": f"{max(took):.3f}" if took else "-",
                "requests": table.count(latencies.count(name)),
                "failed": str(len(latencies.failed.get(name, ()))),
                **{f"{part} ms": "-" if value is None else f"{value:.3f}" for part, value in figures.items()},
            }
        )
    return found
