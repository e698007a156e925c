"""What it costs a worker to be looked into: ``python -m benchmarks profile-cost``.

A gateway of its own with one worker. Shown, of ``tidegate profile``:

- for which share of the time a worker that computes stands still while it is sampled at the default rate, by what the
  kernel counts for its thread (schedstat): who neither runs nor waits for a core is stopped;
- how long its loop is held at most by counting a million live objects, as a client sees it that asks all the time;
- how many requests a second one connection gets while allocations are remembered, of what it gets without.
"""

import argparse
import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from benchmarks import table
from benchmarks.goals import at_least, at_most, exit_code
from benchmarks.trouble.gateway import Running, gateway
from benchmarks.trouble.requests import come_first
from benchmarks.trouble.stalls import ask
from tidegate.profile.sampler import RATE, sample

CONFIGURATION = """
[filters.computes]
class = "benchmarks.filters:ComputesOnDemand"
[[routes]]
name = "all"
filters = ["computes"]
respond = {}
"""
SERVER = 'workers = 1\nspare_worker = false\nstall_kill = "off"\nfilter_packages = ["benchmarks"]'
BEGINNING_S = 3.0  # py-spy reads symbols first
OBJECTS = 1_000_000
ROUND_S = 0.25


def main(argv: Sequence[str]) -> int:
    """Measures and prints; 1 when a goal is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks profile-cost", description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=10.0, help="how long is sampled (10)")
    seconds = parser.parse_args(argv).seconds
    come_first()
    with gateway(CONFIGURATION, server=SERVER) as running:
        client = socket.create_connection(running.public, timeout=120)
        rows = [{"": "requests a second", "without": "", "with": ""}]
        without, while_on = allocations(running, client)
        rows[0].update({"without": f"{without:,.0f}", "with": f"{while_on:,.0f} (--memory)"})
        calm_s, held_s = heap(running, client)
        rows.append(
            {"": "longest answer, ms", "without": f"{calm_s * 1000:.1f}", "with": f"{held_s * 1000:.1f} (--heap)"}
        )
        stopped = sampled(running, client, seconds)
        rows.append({"": "stopped", "without": "0 %", "with": f"{stopped:.1%} (CPU, {RATE} samples a second)"})
    print(table.render(rows))
    return exit_code(
        [
            at_most("share of the time that a sampled worker stands still", stopped, 0.03),
            at_most(f"seconds that {OBJECTS:,} objects hold the loop", held_s - calm_s, 0.1),
            at_least("requests while allocations are remembered, of those without,", while_on / without, 0.2),
        ]
    )


def allocations(running: Running, client: socket.socket) -> tuple[float, float]:
    """Requests a second in turn, without and with; the better half of each."""
    rates: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(6):
        rates[False].append(requests_per_s(client))
        with measuring(running, "allocations"):
            time.sleep(0.1)
            rates[True].append(requests_per_s(client))
    without, while_on = (sorted(found)[len(found) // 2 :] for found in rates.values())
    return sum(without) / len(without), sum(while_on) / len(while_on)


def requests_per_s(client: socket.socket) -> float:
    """Of one connection, one after the other."""
    count, end_s = 0, time.perf_counter() + ROUND_S
    while time.perf_counter() < end_s:
        ask(client, "/")
        count += 1
    return count / ROUND_S


def heap(running: Running, client: socket.socket) -> tuple[float, float]:
    """The longest of many answers with a million objects: before, and while they are counted."""
    for _ in range(OBJECTS // 1000):
        ask(client, "/keep")
    with measuring(running, "heap", seconds=0.0) as counting:
        held_s = longest(client, counting.is_alive)
    end_s = time.perf_counter() + 2.0
    return longest(client, lambda: time.perf_counter() < end_s), held_s


def longest(client: socket.socket, goes_on: Callable[[], bool]) -> float:
    """The longest of the answers while something goes on."""
    worst = 0.0
    while goes_on():
        began = time.perf_counter()
        ask(client, "/")
        worst = max(worst, time.perf_counter() - began)
    return worst


@contextlib.contextmanager
def measuring(running: Running, kind: str, seconds: float = 60.0) -> Iterator[threading.Thread]:
    """One measurement in a thread, ended with the block."""
    order = {"kind": kind, "seconds": seconds, "attempt": kind}
    one = threading.Thread(target=running.control.post, args=("/profile", order))
    one.start()
    try:
        yield one
    finally:
        if seconds:
            while not running.control.post("/profile/end", {"attempt": kind})["ended"]:
                time.sleep(0.01)
        one.join()


def sampled(running: Running, client: socket.socket, seconds: float) -> float:
    """For which share of the time a worker that computes is stopped while it is sampled."""
    (pid,) = running.workers()
    client.sendall(b"GET /compute HTTP/1.1\r\nHost: a\r\n\r\n")
    found: list[float] = []

    def watch() -> None:
        time.sleep(BEGINNING_S)
        before, began = on_or_waiting_s(pid), time.perf_counter()
        time.sleep(seconds)
        found.append(1 - (on_or_waiting_s(pid) - before) / (time.perf_counter() - began))

    watching = threading.Thread(target=watch)
    watching.start()
    sample([pid], BEGINNING_S + seconds + 1)
    watching.join()
    return found[0]


def on_or_waiting_s(pid: int) -> float:
    """Seconds that the main thread of a process has had a core or waited for one."""
    on_ns, waiting_ns, _ = Path(f"/proc/{pid}/task/{pid}/schedstat").read_text().split()
    return (int(on_ns) + int(waiting_ns)) / 1e9
