"""All workers are stopped and go on again: ``python -m benchmarks stopped-workers``.

Shown for each time: seconds from SIGSTOP until ``/health/ready`` was red, and from SIGCONT until it was green again;
over all, how long readiness took to answer.
"""

import argparse
import os
import signal
import time
from collections.abc import Sequence

from benchmarks import table
from benchmarks.goals import at_most, exit_code
from benchmarks.trouble.gateway import Running, gateway, quantile
from benchmarks.trouble.requests import calm, come_first

CONFIGURATION = '[[routes]]\nname = "all"\nrespond = { body = "done" }\n'
GOAL_S = 2.0
ANSWER_GOAL_MS = 10.0
PATIENCE_S = 20.0
CALM_S = 1.5  # green, before they are stopped again


def main(argv: Sequence[str]) -> int:
    """Measures and prints; 1 when a goal is missed."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks stopped-workers", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--times", type=int, default=10, help="how often (10)")
    times = parser.parse_args(argv).times
    come_first()
    red, green, answers_s = [], [], []
    reasons: list[str] = []
    with gateway(CONFIGURATION, server="workers = 2", before=calm()) as running:
        for _ in range(times):
            time.sleep(CALM_S)
            pids = running.workers()
            send(pids, signal.SIGSTOP)
            try:
                took_s, reasons = seconds_until(running, 503, answers_s)
                red.append(took_s)
            finally:
                send(pids, signal.SIGCONT)
            green.append(seconds_until(running, 200, answers_s)[0])
    columns = [("stopped: red after, s", red), ("go on: green after, s", green)]
    rows = [{"": name, **{str(at + 1): f"{one:.2f}" for at, one in enumerate(values)}} for name, values in columns]
    print(table.render(rows))
    print(f"/health/ready: {len(answers_s)} answers, p50 {quantile(answers_s, 0.5) * 1e3:.2f} ms; red said: {reasons}")
    return exit_code(
        [
            at_most("longest until red, s,", max(red), GOAL_S),
            at_most("longest until green, s,", max(green), GOAL_S),
            at_most("/health/ready p99, ms,", quantile(answers_s, 0.99) * 1e3, ANSWER_GOAL_MS),
        ]
    )


def send(pids: Sequence[int], number: int) -> None:
    """A signal to each."""
    for pid in pids:
        os.kill(pid, number)


def seconds_until(running: Running, status: int, answers_s: list[float]) -> tuple[float, list[str]]:
    """How long until ``/health/ready`` said so, and its reasons; every answer's time goes into ``answers_s``."""
    began_s = time.monotonic()
    while True:
        said, reasons, took_s = running.ready()
        answers_s.append(took_s)
        if said == status:
            return time.monotonic() - began_s, reasons
        if time.monotonic() - began_s > PATIENCE_S:
            raise TimeoutError(f"/health/ready says {said} and not {status} after {PATIENCE_S:g} s: {reasons}")
        time.sleep(0.01)
