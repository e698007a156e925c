"""Requests that a measurement makes of a gateway in trouble, by a client that obeys ``Connection: close``."""

import contextlib
import os
from pathlib import Path

from benchmarks.load import own, programs
from benchmarks.load.report import Report
from benchmarks.trouble.gateway import Running


def come_first() -> None:
    """What this process and its children ask is asked in time, or they measure how long they waited for their turn."""
    with contextlib.suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, -20)


def calm() -> tuple[str, ...]:
    """What a command begins with to run where everybody does, and not where `come_first` has brought this process."""
    return ("nice", "-n", str(-os.getpriority(os.PRIO_PROCESS, 0)))


def told(report: Report, asked: float) -> str:
    """Whether the load was what was asked for, and how far the generator's own lateness is in its figures."""
    late = report.latency_us
    kept = "" if report.rate >= 0.98 * asked else "; THE LOAD COULD NOT KEEP ITS RATE"
    return (
        f"{report.rate:,.0f} requests/s came of {asked:,.0f} asked for; the generator itself was late by "
        f"{late['late p99'] / 1e3:.3f} ms (99 %), {late['late max'] / 1e3:.1f} ms at most{kept}"
    )


def load(
    folder: Path,
    running: Running,
    raw: Path,
    *,
    rate: float,
    seconds: float,
    path: str = "/small",
    connections: int = 64,
    is_fresh: bool = False,
) -> Report:
    """Requests at a constant rate.

    Args:
        folder: where the compiled generator is kept.
        running: whom to ask.
        raw: where every exchange is written to; `exchanges.read` reads it.
        rate: per second.
        seconds: how long.
        path: what to ask for.
        connections: kept open, and used in turn.
        is_fresh: a connection for each request instead.
    """
    arguments = ["--port", str(running.public[1]), "--rate", f"{rate:g}", "--connections", str(connections)]
    arguments += ["--path", path, "--renew", "--raw", str(raw), *(["--reconnect"] if is_fresh else [])]
    return own.run(programs.build("paced", folder), arguments, seconds)
