"""A log disk that stalls: the access log goes into a pipe, and for ten seconds nobody reads it."""

import contextlib
import os
import select
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from benchmarks.contenders.tidegate import Tidegate
from benchmarks.goals import at_most
from benchmarks.ground import Session
from benchmarks.load.report import Report
from benchmarks.scenarios.paced import maximum_rate, paced
from benchmarks.scenarios.result import Result, Wish


class Reader:
    """Reads the pipe as a disk would take what is written, except while it is ``stalled``."""

    def __init__(self, pipe: int) -> None:
        self.pipe = pipe
        self.flowing = threading.Event()
        self.flowing.set()
        self.lines = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._read, name="log reader")

    def __repr__(self) -> str:
        return f"<Reader {'flowing' if self.flowing.is_set() else 'stalled'}, {self.lines} lines>"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.flowing.set()
        self._thread.join()

    def _read(self) -> None:
        while not self._over.is_set():
            self.flowing.wait()
            if select.select([self.pipe], [], [], 0.1)[0]:
                with contextlib.suppress(BlockingIOError):
                    self.lines += os.read(self.pipe, 1 << 20).count(b"\n")

    @contextlib.contextmanager
    def stalled(self, after_s: float, for_s: float) -> Iterator[None]:
        """Stops reading ``after_s`` from now, ``for_s`` long."""
        timers = [threading.Timer(after_s, self.flowing.clear), threading.Timer(after_s + for_s, self.flowing.set)]
        for timer in timers:
            timer.start()
        try:
            yield
        finally:
            for timer in timers:
                timer.cancel()
            self.flowing.set()


@dataclass(frozen=True)
class LogStall:
    """p99 while the log cannot be written, by p99 while it can."""

    name: str = "log-stall"
    title: str = "open loop at 20 % load, access log into a pipe that nobody reads for 10 s"
    stall_s: float = 10.0
    load_share: float = 0.2

    def run(self, session: Session, wish: Wish) -> Result:
        """The same arrivals twice: log flowing, log stalled."""
        (name,) = session.start(["tidegate-log-pipe"]) or [""]
        demand = "tidegate p99 with a stalled log by p99 with a flowing one,"
        contender = session.contenders.get(name)
        if not isinstance(contender, Tidegate):
            return Result(self.name, self.title, [], [at_most(demand, None, 1.25)])
        if wish.progress:
            print(f"\r{self.name} ", end="", file=sys.stderr, flush=True)
        seconds = self.stall_s + 2
        with Reader(contender.log_pipe) as reader:
            rate = maximum_rate(session, contender) * self.load_share
            flowing = paced(session, contender, rate, seconds)
            written = reader.lines
            with reader.stalled(1.0, self.stall_s):
                stalled = paced(session, contender, rate, seconds)
        reports = {"flowing": flowing, "stalled": stalled}
        ratio = stalled.latency_us["p99"] / flowing.latency_us["p99"]
        if flowing.errors or stalled.errors:
            ratio = float("inf")
        notes = [f"{rate:,.0f} requests/s; {written:,} lines read before the stall, {reader.lines:,} in all"]
        rows = [_row(what, report) for what, report in reports.items()]
        raw = {what: {"errors": r.errors, **r.latency_us} for what, r in reports.items()}
        return Result(self.name, self.title, rows, [at_most(demand, ratio, 1.25)], notes, raw)


def _row(what: str, report: Report) -> dict[str, str]:
    return {
        "log": what,
        "p50 us": f"{report.latency_us['p50']:.0f}",
        "p99 us": f"{report.latency_us['p99']:.0f}",
        "max ms": f"{report.latency_us['max'] / 1e3:.1f}",
        "errors": str(report.errors),
    }
