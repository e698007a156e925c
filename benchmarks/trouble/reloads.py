"""Reloads of a large configuration under load: ``python -m benchmarks reloads``.

A gateway with ten thousand routes takes requests at a constant rate (open loop, each counted from when it was due) and
WebSockets that send each second. The file is changed and reloaded again and again; ``/health/ready`` is asked all the
while. Shown: what failed, latency without and with reloads, how long a reload took from the request to the answer (it
is active on all workers by then), how long readiness took to answer, and how long the loop of a worker was held.

The loop's figure is the gateway's own: how late the timer was that each worker sets every 50 ms. A hold that ends
before the timer is due is not seen by it; the slowest answer to the load, which stands in the table, cannot miss one.
"""

import argparse
import statistics
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from benchmarks import table
from benchmarks.goals import at_least, at_most, exit_code
from benchmarks.load import programs
from benchmarks.load.exchanges import Latencies
from benchmarks.load.websockets import WebSockets
from benchmarks.trouble.asker import Asker, readiness
from benchmarks.trouble.behind import CONFIGURATION, servers
from benchmarks.trouble.changes import Change, Changes, done_by, rows, windows
from benchmarks.trouble.gateway import Running, gateway, quantile
from benchmarks.trouble.requests import calm, come_first, load, told
from benchmarks.trouble.victims import region_of
from tidegate.memory.region import read_meters

ROUTE = (
    '[[routes]]\nname = "r{0}"\nhosts = ["h{1}.example.com"]\npath = "/s{0}/*"\nupstream = "small"\ntimeout = "5s"\n'
)
STEADY_S = 15.0
EACH_S = 1.5
LOOK_S = 0.25  # the worst of a second and the one before is kept for who looks


class LoopLag(threading.Thread):
    """Looks at how late the workers' timers were while the block lasts."""

    def __init__(self, running: Running) -> None:
        super().__init__(name="loop lag")
        self._region = region_of(running)
        self._seen: list[tuple[int, float]] = []
        self._ended = threading.Event()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self.join()
        self._region.close()

    def run(self) -> None:
        """Until it is ended."""
        while not self._ended.wait(LOOK_S):
            worst_ns = max(
                read_meters(self._region, slot).counters["loop_lag_recent_ns"] for slot in range(self._region.slots)
            )
            self._seen.append((time.monotonic_ns(), worst_ns / 1e6))

    def worst_ms(self, changes: Sequence[Change]) -> float | None:
        """Of the time of the changes; None when nobody looked."""
        if not changes:
            return None
        seen = [
            lag for at_ns, lag in self._seen if changes[0].began_ns <= at_ns <= changes[-1].ended_ns + 1_000_000_000
        ]
        return max(seen, default=None)


def main(argv: Sequence[str]) -> int:
    """Measures and prints; 1 when a goal is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks reloads", description=__doc__.partition("\n")[0])
    parser.add_argument("--routes", type=int, default=10_000, help="routes beside those that are asked for (10,000)")
    parser.add_argument("--reloads", type=int, default=20, help="how many (20)")
    parser.add_argument("--rate", type=float, default=1_000, help="requests per second (1,000)")
    parser.add_argument("--websockets", type=int, default=50, help="that send each second (50)")
    options = parser.parse_args(argv)
    come_first()
    seconds = STEADY_S + options.reloads * EACH_S + 5.0
    with tempfile.TemporaryDirectory() as name, servers(Path(name)) as ports:
        folder = Path(name)
        programs.build("paced", folder)
        text = CONFIGURATION.format(**ports, timeout=int(seconds) + 60)
        text += "".join(ROUTE.format(at, at % 100) for at in range(options.routes))
        with (
            gateway(text, server='workers = 2\nfilter_packages = ["benchmarks"]', before=calm()) as running,
            WebSockets(running.public[1], options.websockets) as clients,
            LoopLag(running) as lag,
            Asker(readiness(running), 0.01) as ready,
            Changes(running, reloads=options.reloads, upgrades=0, steady_s=STEADY_S, each_s=EACH_S) as changes,
        ):
            report = load(folder, running, folder / "raw", rate=options.rate, seconds=seconds)
            end_ns = time.monotonic_ns()
        latencies = Latencies(folder / "raw", windows(changes.done))
    print(table.render(rows(latencies, changes.done)))
    print(told(report, options.rate))
    print(f"{options.websockets} WebSockets: {clients.echoes} echoes, {len(clients.endings)} closed by the gateway")
    p50, p99, worst = (quantile(ready.took_ms, share) for share in (0.5, 0.99, 1.0))
    print(f"/health/ready: {len(ready.took_ms)} answers, p50 {p50:.2f} ms, p99 {p99:.2f} ms, max {worst:.1f} ms")
    took = [change.took_s for change in changes.done]
    return exit_code(
        [
            at_least("reloads while the load lasted", done_by(changes.done, "reload", end_ns), options.reloads),
            at_most("failed requests", report.errors, 0, report.complaint),
            at_most("WebSockets closed", len(clients.endings), 0, str(clients.endings[:1] or "")),
            at_most("median of a reload until it is active, s,", statistics.median(took) if took else None, 1.0),
            at_most("/health/ready p99, ms,", p99, 5.0),
            at_most("/health/ready not 200, or no answer,", ready.failed, 0),
            at_most("longest hold of a worker's loop, ms,", lag.worst_ms(changes.done), 20.0),
        ]
    )
