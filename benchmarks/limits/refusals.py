"""What it costs to refuse a request, beside what it costs to pass it on: ``python -m benchmarks refusals``.

Whoever is refused has what he came for when refusing costs as much as serving. CPU time of all processes of the gateway
over the requests of a load, in rounds that alternate; the load is closed, so that the gateway is always busy.
"""

import contextlib
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks import processes, table
from benchmarks.goals import at_least, at_most, exit_code
from benchmarks.load import own, programs
from benchmarks.meter import Meter
from benchmarks.trouble.behind import servers
from benchmarks.trouble.gateway import Running, gateway
from benchmarks.trouble.requests import come_first

GOAL = 0.6
ROUNDS = 5
SECONDS = 1.0
SHEDS_WITHIN_S = 30.0

ROUTES = """
[upstreams.small]
endpoints = ["127.0.0.1:{small}"]
[limits.closed]
rate = "0/s"
key = "client.ip"
[limits.full]
concurrency = 0
[[routes]]
name = "small"
path = "/small"
upstream = "small"
[[routes]]
name = "closed"
path = "/closed"
upstream = "small"
limits = ["closed"]
[[routes]]
name = "full"
path = "/full"
upstream = "small"
limits = ["full"]
"""
SHEDS = '[shed]\nmemory = "1MiB"\n'  # no interpreter is so small

CASES = {
    "passed on": ("/small", "2", False),
    "refused by a rate": ("/closed", "429", False),
    "refused by concurrency": ("/full", "503", False),
    "shed": ("/small", "503", True),
}


def refusals() -> int:
    """Measures and prints; 1 when a goal is missed."""
    come_first()
    cost_us: dict[str, list[float]] = {name: [] for name in CASES}
    counts = dict.fromkeys(CASES, 0)
    with tempfile.TemporaryDirectory() as name, servers(Path(name)) as ports, contextlib.ExitStack() as stack:
        program = programs.build("closed", Path(name))
        gateways = {sheds: stack.enter_context(pinned(ROUTES.format(**ports), sheds=sheds)) for sheds in (False, True)}
        for _ in range(ROUNDS):
            for case, (path, status, sheds) in CASES.items():
                running = gateways[sheds]
                meter = Meter(processes.tree(running.process.pid))
                arguments = ["--port", str(running.public[1]), "--path", path, "--expect", status]
                report = own.run(program, arguments, SECONDS, meter)
                if report.errors:
                    raise RuntimeError(f"{case}: {report.errors} answers of another kind, {report.complaint}")
                counts[case] += report.requests
                cost_us[case].append(meter.contender_ns / 1e3 / report.requests)
    return conclude(cost_us, counts)


@contextlib.contextmanager
def pinned(text: str, *, sheds: bool) -> Iterator[Running]:
    """A gateway of one worker on the contender's core; one that is to shed does when this returns."""
    with gateway(text + (SHEDS if sheds else ""), server="workers = 1") as running:
        processes.pin(processes.tree(running.process.pid), processes.CONTENDER_CORE)
        end_s = time.monotonic() + SHEDS_WITHIN_S
        while sheds and running.status()["workers"][0]["shed_level"] < 1:
            if time.monotonic() > end_s:
                raise RuntimeError("the gateway does not shed")
            time.sleep(0.1)
        yield running


def conclude(cost_us: dict[str, list[float]], counts: dict[str, int]) -> int:
    """Prints the table; 1 when a goal is missed."""
    passed_us = statistics.median(cost_us["passed on"])
    shares = {case: statistics.median(one) / passed_us for case, one in cost_us.items()}
    rows = [
        {
            "a request": case,
            "CPU us": f"{statistics.median(one):.2f}",
            "of one passed on": f"{shares[case]:.2f}",
            "best and worst round": f"{min(one):.2f} to {max(one):.2f}",
            "requests": table.count(counts[case]),
        }
        for case, one in cost_us.items()
    ]
    print(table.render(rows))
    goals = [at_most(f"CPU of a request {case}, of one passed on,", shares[case], GOAL) for case in list(CASES)[1:]]
    return exit_code([at_least("requests of each kind", min(counts.values()), 1000), *goals])
