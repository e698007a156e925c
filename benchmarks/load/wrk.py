"""Debian's ``wrk``: closed loop, one thread, keep-alive connections."""

import os
import re
import subprocess
from collections.abc import Mapping, Sequence

from benchmarks.load.report import Report
from benchmarks.meter import Meter
from benchmarks.processes import LOAD_CORE

UNITS = {"": 1.0, "K": 2.0**10, "M": 2.0**20, "G": 2.0**30, "T": 2.0**40}
TIMES_US = {"us": 1.0, "ms": 1e3, "s": 1e6, "m": 6e7, "h": 3.6e9}
HEADERS = ("User-Agent: bench/1.0", "Accept: */*", "Accept-Encoding: gzip")

SUMMARY = re.compile(r"^\s*(\d+) requests in ([\d.]+)(us|ms|s|m|h), ([\d.]+)([KMGT]?)B read$", re.MULTILINE)
RATE = re.compile(r"^Requests/sec:\s+([\d.]+)$", re.MULTILINE)
SOCKET_ERRORS = re.compile(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)")
OTHER_STATUS = re.compile(r"Non-2xx or 3xx responses: (\d+)")
PERCENTILE = re.compile(r"^\s+(50|75|90|99)(?:\.\d+)?%\s+([\d.]+)(us|ms|s|m|h)$", re.MULTILINE)


def parse(output: str, command: str = "") -> Report:
    """The report in what ``wrk --latency`` printed; raises ValueError with the output when it is not one."""
    summary, rate = SUMMARY.search(output), RATE.search(output)
    if summary is None or rate is None:
        raise ValueError(f"this is not the output of wrk:\n{output.strip() or '(nothing)'}")
    requests, per_second = int(summary[1]), float(rate[1])
    # "in 1.10s" has two digits, the rate has six: the time is better had from the rate.
    seconds = requests / per_second if per_second else float(summary[2]) * TIMES_US[summary[3]] / 1e6
    errors, complaints = 0, []
    if sockets := SOCKET_ERRORS.search(output):
        errors += sum(map(int, sockets.groups()))
        complaints.append(sockets[0])
    if status := OTHER_STATUS.search(output):
        errors += int(status[1])
        complaints.append(status[0])
    return Report(
        requests=requests,
        seconds=seconds,
        errors=errors,
        received_bytes=int(float(summary[4]) * UNITS[summary[5]]),
        latency_us={f"p{p}": float(value) * TIMES_US[unit] for p, value, unit in PERCENTILE.findall(output)},
        command=command,
        complaint="; ".join(complaints),
    )


def run(
    url: str,
    connections: int,
    seconds: float,
    meter: Meter | None = None,
    *,
    headers: Sequence[str] = HEADERS,
    env: Mapping[str, str] | None = None,
) -> Report:
    """Loads ``url`` for whole ``seconds`` (wrk knows no fractions; at least one)."""
    meter = meter or Meter()
    duration = max(1, round(seconds))
    argv = ["taskset", "-c", str(LOAD_CORE), "wrk", "-t1", f"-c{connections}", f"-d{duration}s", "--latency"]
    for header in headers:
        argv += ["-H", header]
    argv.append(url)
    meter.begin()
    done = subprocess.run(
        argv, capture_output=True, text=True, timeout=duration + 30, env={**os.environ, **(env or {})}, check=False
    )
    meter.end()
    return parse(done.stdout + done.stderr, " ".join(argv))


def version() -> str:
    """What wrk calls itself, or that it is not there."""
    try:
        done = subprocess.run(["wrk", "-v"], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "no wrk"
    return " ".join((done.stdout + done.stderr).split()[:2])
