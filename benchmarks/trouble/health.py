"""How long ``/health/ready`` takes while the workers are stopped or busy, and /metrics of 512 series is rendered."""

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence

from benchmarks.trouble.gateway import Running, gateway, quantile
from benchmarks.trouble.requests import calm, come_first

FILTERS = '''
import time
from tidegate import Filter, Request, Response


class Burns(Filter):
    """Computes or sleeps on the loop for as long as the path says, in milliseconds."""

    def on_request(self, request: Request) -> Response | None:
        kind, _, ms = request.path.rpartition("/")
        if kind == "/sleep":
            time.sleep(int(ms) / 1000)
        elif kind == "/burn":
            end = time.perf_counter() + int(ms) / 1000
            while time.perf_counter() < end:
                pass
        return None
'''
LOAD = """
import http.client, sys
while True:
    try:
        connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=30)
        while True:
            connection.request("GET", sys.argv[2])
            connection.getresponse().read()
    except OSError:
        pass
"""
SERIES = 512
SECONDS = 8.0


def main(argv: Sequence[str]) -> int:
    """Measures and prints; 1 when a p99 is over 10 ms."""
    description = __doc__.partition("\n")[0]
    argparse.ArgumentParser(prog="python -m benchmarks health-busy", description=description).parse_args(argv)
    routes = "".join(
        f'[[routes]]\nname = "r{at}"\npath = "/r/{at}"\nrespond = {{ status = 204 }}\n' for at in range(SERIES)
    )
    text = (
        f'[filters.burns]\nclass = "burning:Burns"\n{routes}'
        '[[routes]]\nname = "all"\nfilters = ["burns"]\nrespond = { body = "done" }\n'
    )
    server = 'workers = 2\nfilter_packages = ["burning"]'
    worst = 0.0
    come_first()
    print(f"{'while':<42} {'answers':>8} {'p50 ms':>8} {'p99 ms':>8} {'max ms':>8}  readiness, saturation")
    with gateway(text, server=server, files={"burning.py": FILTERS}, before=calm()) as running:
        for at in range(SERIES):
            running.ask(f"/r/{at}", public=True)
        for name, trouble in (
            ("nothing happens", contextlib.nullcontext()),
            ("/metrics is read all the time", scraped(running)),
            ("both workers compute", loaded(running, "/burn/50", 8)),
            ("both compute, /metrics is read", both(running)),
            ("a filter calls time.sleep(0.2)", loaded(running, "/sleep/200", 8)),
            ("both workers are stopped", stopped(running)),
        ):
            with trouble:
                time.sleep(1.5)
                taken, states = probed(running)
                saturation = running.status()["saturation"]
            time.sleep(1.0)
            p99 = quantile(taken, 0.99) * 1e3
            worst = max(worst, p99)
            seen = "/".join(str(state) for state in sorted(states))
            print(
                f"{name:<42} {len(taken):>8} {quantile(taken, 0.5) * 1e3:>8.2f} {p99:>8.2f} {max(taken) * 1e3:>8.2f}  "
                f"{seen}, {saturation}",
                flush=True,
            )
    return int(worst > 10.0)


def probed(running: Running) -> tuple[list[float], set[int]]:
    """Fifty times a second a new connection and one question."""
    taken, states = [], set()
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        state, _, took = running.ready()
        taken.append(took)
        states.add(state)
        time.sleep(0.02)
    return taken, states


@contextlib.contextmanager
def loaded(running: Running, target: str, clients: int) -> Iterator[None]:
    """Closed loops from processes of their own."""
    argv = [*calm(), sys.executable, "-c", LOAD, str(running.public[1]), target]
    processes = [subprocess.Popen(argv) for _ in range(clients)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


@contextlib.contextmanager
def scraped(running: Running) -> Iterator[None]:
    """Reads ``/metrics`` again and again, from a process of its own: this one only asks for health."""
    with subprocess.Popen([*calm(), sys.executable, "-c", LOAD, str(running.admin[1]), "/metrics"]) as process:
        try:
            yield
        finally:
            process.kill()


@contextlib.contextmanager
def both(running: Running) -> Iterator[None]:
    """Computing workers and a reader of metrics."""
    with loaded(running, "/burn/50", 8), scraped(running):
        yield


@contextlib.contextmanager
def stopped(running: Running) -> Iterator[None]:
    """SIGSTOP, and SIGCONT after it."""
    pids = running.workers()
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
