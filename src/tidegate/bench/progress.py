"""One line that says how a load goes, rewritten each second where there is a terminal for it."""

from __future__ import annotations

from collections import defaultdict
from typing import TextIO

from tidegate.bench.histogram import Histogram
from tidegate.bench.measured import SecondCounts, joined
from tidegate.bench.table import seconds

__all__ = ["Progress"]


class Progress:
    """Adds up a second of all processes, and says it when the last of them has told.

    stream: where to; nothing is said where that is no terminal. is_dumb: a terminal that cannot go back to the
    beginning of a line gets a line each ten seconds.
    """

    def __init__(self, stream: TextIO, processes: int, *, is_dumb: bool = False) -> None:
        self._stream = stream
        self._processes = processes
        self._is_dumb = is_dumb
        self._is_shown = stream.isatty()
        self._waiting: dict[int, list[SecondCounts]] = defaultdict(list)
        self._width = 0

    def tell(self, second: SecondCounts) -> None:
        """A second of one process is over."""
        if not self._is_shown:
            return
        told = self._waiting[second.at]
        told.append(second)
        if len(told) < self._processes or (self._is_dumb and second.at % 10):
            return
        self._write(self.line(self._waiting.pop(second.at)))

    @staticmethod
    def line(told: list[SecondCounts]) -> str:
        """What is said of one second."""
        latency: Histogram = joined((one.latency for one in told), digits=2)
        at = told[0].at
        answers = ", ".join(
            f"{sum(one.answers.get(name, 0) for one in told):,} {name}"
            for name in sorted({name for one in told for name in one.answers})
        )
        failed = sum(one.failed for one in told)
        return (
            f"{'warm-up' if at < 0 else f'{at + 1:>4} s'}: {sum(one.sent for one in told):,}/s sent, "
            f"{answers or 'no answers'}{f', {failed:,} failed' if failed else ''}; "
            f"p50 {seconds(latency.quantile(0.5) / 1e9)}, p99 {seconds(latency.quantile(0.99) / 1e9)}"
        )

    def _write(self, line: str) -> None:
        if self._is_dumb:
            self._stream.write(f"{line}\n")
        else:
            self._stream.write(f"\r{line:<{self._width}}")
            self._width = len(line)
        self._stream.flush()

    def clear(self) -> None:
        """What comes next begins at the beginning of an empty line."""
        if self._width:
            self._stream.write(f"\r{'':<{self._width}}\r")
            self._stream.flush()
            self._width = 0
