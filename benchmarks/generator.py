"""Whether ``tidegate bench`` is honest and cheap: ``python -m benchmarks generator``.

The upstream has a core, the generator the other one. Shown:

- its own maximum as a closed loop, and how late it sends at half of that rate, evenly;
- its CPU per request as a closed loop beside ``wrk``'s, in alternated rounds, the best third of each;
- its quantiles against an upstream that is stopped (SIGSTOP) for a second in every ten, beside what arithmetic says
  they are, and what a closed loop says of the same upstream.

The first and the last have a real-time priority where that is allowed: it is not the other programs of the machine that
are to be measured. What the host takes from a virtual machine shows all the same.
"""

import argparse
import contextlib
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

from benchmarks import table
from benchmarks.goals import Verdict, at_most, exit_code
from benchmarks.load import programs, wrk
from benchmarks.meter import Meter
from benchmarks.ports import free_port
from benchmarks.processes import CONTENDER_CORE, LOAD_CORE, spawn, stop
from benchmarks.rounds import best_third
from benchmarks.trouble.requests import come_first
from tidegate.bench.document import served_latency
from tidegate.bench.fleet import Fleet
from tidegate.bench.histogram import Histogram
from tidegate.bench.measured import Measured, merge
from tidegate.bench.plan import Plan, Stretch, parse_url
from tidegate.bench.recipe import Request

CONNECTIONS = 64
STOP_S, PERIOD_S = 1.0, 10.0
STOPPED_RATE = 500.0
SHARES = (0.95, 0.99, 0.999)
HEADERS = {"User-Agent": "bench/1.0", "Accept": "*/*", "Accept-Encoding": "gzip"}  # as wrk sends them


def main(argv: Sequence[str]) -> int:
    """Measures and prints; 1 when a goal is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks generator", description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=9, help="alternated rounds beside wrk (9)")
    parser.add_argument("--seconds", type=float, default=10.0, help="length of the load at half of the maximum (10)")
    parser.add_argument("--periods", type=int, default=4, help="stops of the upstream (4)")
    options = parser.parse_args(argv)
    if shutil.which("wrk") is None:
        sys.exit("wrk is not here (Debian: apt install wrk)")
    come_first()
    os.sched_setaffinity(0, {LOAD_CORE})  # what is started from here is there too
    with tempfile.TemporaryDirectory() as name, upstream(Path(name)) as (port, pid):
        verdicts = [
            *half_of_the_maximum(port, options.seconds),
            cost_beside_wrk(port, options.rounds),
            *stopped(port, pid, options.periods),
        ]
    return exit_code(verdicts)


@contextlib.contextmanager
def upstream(folder: Path) -> Iterator[tuple[int, int]]:
    """The cheapest server there is, on the other core: its port and pid."""
    port = free_port()
    process = spawn([str(programs.build("upstream", folder)), str(port)], CONTENDER_CORE, folder / "upstream.log")
    try:
        deadline = time.monotonic() + 10
        while "ready" not in (folder / "upstream.log").read_text():
            if time.monotonic() > deadline or process.poll() is not None:
                sys.exit("the upstream did not start")
            time.sleep(0.01)
        yield port, process.pid
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGCONT)
        stop(process)


def load(port: int, seconds: float, stretches: list[Stretch] | None, connections: int = CONNECTIONS) -> Measured:
    """One load by one process."""
    plan = Plan(
        target=parse_url(f"http://127.0.0.1:{port}/small"),
        requests=[Request(path="/small", headers=HEADERS)],
        seconds=seconds,
        stretches=stretches,
        connections=connections,
    )
    with Fleet(plan.orders("127.0.0.1")) as fleet:
        fleet.ready()
        fleet.go()
        return merge(fleet.results())


@contextlib.contextmanager
def undisturbed(*pids: int) -> Iterator[str]:
    """What is started within, and these, come before all other programs on their cores; how that came out, in words."""
    try:
        for pid in (0, *pids):
            os.sched_setscheduler(pid, os.SCHED_FIFO, os.sched_param(1))
    except PermissionError:
        yield "without a real-time priority"
        return
    try:
        yield "with a real-time priority"
    finally:
        for pid in (0, *pids):
            os.sched_setscheduler(pid, os.SCHED_OTHER, os.sched_param(0))


def half_of_the_maximum(port: int, seconds: float) -> list[Verdict]:
    """How late it sends at half of what it does as a closed loop."""
    most = max(one.in_time / one.seconds for one in (load(port, 1.0, None) for _ in range(5)))
    with undisturbed() as how:
        half = load(port, seconds, [(seconds, most / 2, most / 2)])
    late = Histogram.decode(half.late)
    shown = ", ".join(f"p{share * 100:g} {late.quantile(share) / 1e3:,.0f} µs" for share in (0.5, 0.9, 0.99, 0.999))
    print(f"closed loop: {most:,.0f} requests/s; at {most / 2:,.0f}/s, {how}: {half.sent / half.due:.2%} sent in time,")
    print(
        f"late by {shown}, at most {late.most / 1e6:.2f} ms; {half.waited / half.due:.2%} waited for a connection; "
        f"{half.cpu_s / half.seconds:.0%} of a core\n"
    )
    return [
        at_most("send error at half of the maximum, p99, ms,", late.quantile(0.99) / 1e6, 1.0),
        at_most("requests without an answer", sum(one.count for one in half.errors.values()), 0),
    ]


def cost_beside_wrk(port: int, rounds: int) -> Verdict:
    """CPU per request of a closed loop, in turn with wrk on the same core."""
    costs: dict[str, list[float]] = {"tidegate bench": [], "wrk": []}
    rates: dict[str, list[float]] = {"tidegate bench": [], "wrk": []}
    for _ in range(rounds):
        ours = load(port, 2.0, None)
        costs["tidegate bench"].append(ours.cpu_s / ours.sent * 1e6)
        rates["tidegate bench"].append(ours.in_time / ours.seconds)
        meter = Meter()
        theirs = wrk.run(f"http://127.0.0.1:{port}/small", CONNECTIONS, 2.0, meter)
        costs["wrk"].append(meter.load_ns / 1e3 / theirs.requests)
        rates["wrk"].append(theirs.rate)
    best = {name: best_third(values, highest=False) for name, values in costs.items()}
    rows = [
        {
            "closed loop": name,
            "requests/s": f"{best_third(rates[name]).value:,.0f}",
            "CPU us/req": f"{best[name].value:.2f}",
            "spread": f"±{best[name].spread:.1%}",
        }
        for name in costs
    ]
    print(table.render(rows), end="\n\n")
    return at_most("CPU per request, of wrk's,", best["tidegate bench"].value / best["wrk"].value, 1.7)


class Stops(threading.Thread):
    """Stops a process for a second in every ten, from the middle of the first ten on; knows how long it really did."""

    def __init__(self, pid: int, periods: int) -> None:
        super().__init__(name="stops")
        self._pid = pid
        self._periods = periods
        self.lengths_s: list[float] = []

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.join()

    def run(self) -> None:
        """Until the last stop is over."""
        began_s = time.monotonic()
        for period in range(self._periods):
            time.sleep(max(0.0, began_s + (period + 0.5) * PERIOD_S - time.monotonic()))
            os.kill(self._pid, signal.SIGSTOP)
            stopped_s = time.monotonic()
            time.sleep(STOP_S)
            os.kill(self._pid, signal.SIGCONT)
            self.lengths_s.append(time.monotonic() - stopped_s)


def quantile_of_stops(share: float, lengths_s: Sequence[float], whole_s: float) -> float:
    """What ``share`` of evenly due requests do not wait longer than, when nobody is served during these stops.

    A request that is due within a stop waits for the rest of it, so waits of a stop of length L are spread evenly over
    0 to L: the time in which requests wait for longer than x is the sum of L - x over all stops that are longer.
    """
    low, high = 0.0, max(lengths_s, default=0.0)
    for _ in range(60):
        middle = (low + high) / 2
        if sum(max(0.0, length - middle) for length in lengths_s) > (1 - share) * whole_s:
            low = middle
        else:
            high = middle
    return high


def stopped(port: int, pid: int, periods: int) -> list[Verdict]:
    """Quantiles against an upstream that is stopped now and then."""
    whole_s = periods * PERIOD_S
    with undisturbed(pid), Stops(pid, periods) as stops:
        opened = load(port, whole_s, [(whole_s, STOPPED_RATE, STOPPED_RATE)])
    with Stops(pid, 1):
        closed = served_latency(load(port, PERIOD_S, None))
    latency = served_latency(opened)
    rows, verdicts = [], []
    for share in SHARES:
        expected_s, found_s = quantile_of_stops(share, stops.lengths_s, whole_s), latency.quantile(share) / 1e9
        rows.append(
            {
                "": f"p{share * 100:g}",
                "arithmetic, s": f"{expected_s:.4f}",
                "open loop, s": f"{found_s:.4f}",
                "off": f"{found_s / expected_s - 1:+.2%}",
                "closed loop, s": f"{closed.quantile(share) / 1e9:.4f}",
            }
        )
        verdicts.append(at_most(f"p{share * 100:g} off the arithmetic", abs(found_s / expected_s - 1), 0.02))
    late_ms = Histogram.decode(opened.late).most / 1e6
    print(f"{STOPPED_RATE:g} requests/s, the upstream stopped for {STOP_S:g} s in every {PERIOD_S:g}:", end=" ")
    print(f"the generator itself was late by {late_ms:.1f} ms at most")
    print(table.render(rows), end="\n\n")
    return verdicts
