"""One worker's loop held for 0.2 s again and again: ``python -m benchmarks stalls``.

A gateway of its own with two workers. Somebody asks one of them, without a pause, for a page whose filter calls
``time.sleep(0.2)``; all the while the other is asked 500 times a second, and ``/health/ready`` 50 times. Shown: how
long until the error log named filter, file and line; how many of the sleeps were seen; the other worker's latency
before and meanwhile; how long readiness took to answer; saturation.
"""

import argparse
import contextlib
import re
import socket
import time
from collections.abc import Sequence

from benchmarks import table
from benchmarks.goals import at_least, at_most, exit_code
from benchmarks.trouble.asker import Asker, readiness
from benchmarks.trouble.gateway import Event, Running, gateway, quantile
from benchmarks.trouble.requests import calm, come_first

CONFIGURATION = """
[filters.sleeps]
class = "benchmarks.filters:SleepsOnDemand"
[[routes]]
name = "all"
filters = ["sleeps"]
respond = {}
"""
PLACE = re.compile(r'filter=sleeps .*file="?(\S+?)"? line=(\d+)')
SERVER = 'workers = 2\nfilter_packages = ["benchmarks"]'


def main(argv: Sequence[str]) -> int:
    """Measures and prints; 1 when a goal is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks stalls", description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=20.0, help="length of each half (20)")
    seconds = parser.parse_args(argv).seconds
    come_first()
    with gateway(CONFIGURATION, server=SERVER, before=calm()) as running, contextlib.ExitStack() as stack:
        victim, other = (stack.enter_context(one) for one in two_workers(running))
        rows, p99, ready_p99, failed = [], {}, {}, {}
        seen_before = stalls(running)
        for name in ("before", "meanwhile"):
            with contextlib.ExitStack() as half:
                neighbour = half.enter_context(Asker(lambda: ask(other, "/"), 0.002))
                health = half.enter_context(Asker(readiness(running), 0.02))
                began_s = time.time()
                if name == "meanwhile":
                    sleeper = half.enter_context(Asker(lambda: ask(victim, "/sleep"), 0.0))
                time.sleep(seconds)
                saturation = float(running.status()["saturation"])
            p99[name] = quantile(neighbour.took_ms, 0.99)
            ready_p99[name] = quantile(health.took_ms, 0.99)
            failed[name] = neighbour.failed + health.failed
            rows.append(
                {
                    "": name,
                    "other worker p50, ms": f"{quantile(neighbour.took_ms, 0.5):.2f}",
                    "p99, ms": f"{p99[name]:.2f}",
                    "ready p50, ms": f"{quantile(health.took_ms, 0.5):.2f}",
                    "ready p99, ms": f"{ready_p99[name]:.2f}",
                    "failed": str(failed[name]),
                    "saturation": f"{saturation:.2f}",
                }
            )
        seen = stalls(running) - seen_before
        name_of_it = named(running.events)
    print(table.render(rows))
    at_s, place = name_of_it or (None, "never")
    return exit_code(
        [
            at_most("seconds until filter, file and line were named", at_s and at_s - began_s, 1.0, place),
            at_least("sleeps of 0.2 s that were seen, of all,", seen / len(sleeper.took_ms), 1.0, f"{seen} seen"),
            at_most("other worker's p99, of the one before,", p99["meanwhile"] / p99["before"], 1.5),
            at_most("/health/ready p99 meanwhile, ms,", ready_p99["meanwhile"], 10.0),
            at_most("questions that failed", sum(failed.values()), 0),
            at_least("saturation meanwhile", saturation, 1.0),
        ]
    )


def two_workers(running: Running) -> tuple[socket.socket, socket.socket]:
    """Two connections, with a worker each."""
    first = socket.create_connection(running.public, timeout=30)
    pid = ask(first, "/")
    while True:
        second = socket.create_connection(running.public, timeout=30)
        if ask(second, "/") != pid:
            return first, second
        second.close()


def ask(client: socket.socket, target: str) -> bytes:
    """One exchange on a kept connection; its body, which is short."""
    client.sendall(f"GET {target} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    answer = client.recv(4096)
    if not answer.startswith(b"HTTP/1.1 200"):
        raise ConnectionError(answer[:100])
    return answer.partition(b"\r\n\r\n")[2]


def stalls(running: Running) -> int:
    """How many the gateway has counted."""
    return int(sum(running.metric("tidegate_loop_stalls_total").values()))


def named(events: Sequence[Event]) -> tuple[float, str] | None:
    """When a stall of the filter was first said, since 1970, and at which line."""
    for event in events:
        if event.kind == "loop_stalled" and (found := PLACE.search(event.line)):
            return event.at_s, f"{found[1]}:{found[2]}"
    return None
