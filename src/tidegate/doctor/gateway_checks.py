"""Judges a running gateway by what it says of itself."""

from __future__ import annotations

from collections.abc import Iterator

from tidegate.config.snapshot import Snapshot
from tidegate.doctor.facts import Facts
from tidegate.doctor.finding import Finding, Unseen

__all__ = ["GATEWAY_CHECKS"]

_RESTARTS = 3
_STALLED = ("stalled", "stopped")


def check_saturation(facts: Facts) -> Iterator[Finding | Unseen]:
    """How full it is, and whether it blames itself."""
    running = facts.running
    if running is None:
        yield Unseen("saturation", "no gateway of this configuration runs that may be asked")
        return
    if running.saturation >= 1.0:
        yield Finding(
            check="saturation",
            severity="serious",
            subject=f"pid {running.pid}",
            seen=f"saturation {running.saturation:.2f}, the worst of the last fifteen seconds, by "
            f"{running.worst_signal.replace('_', ' ')}",
            why="at 1 a bound is reached; CPU may show nothing of it",
            mend="`tidegate record` keeps the last ten minutes, `tidegate record show` tells what moved first",
            incident="blocked-loop",
        )
    if running.suspects_itself:
        yield Finding(
            check="saturation",
            severity="serious",
            subject=f"pid {running.pid}",
            seen="half of its unrelated peers failed within a second: it suspects itself",
            why="so many rarely break at once; what they share is this machine and its network",
            mend="`tidegate doctor --live` compares the directions",
        )


def check_workers(facts: Facts) -> Iterator[Finding | Unseen]:
    """Workers that are held, or keep dying."""
    for worker in () if facts.running is None else facts.running.workers:
        if worker.stalled_in or worker.state in _STALLED:
            yield Finding(
                check="workers",
                severity="serious",
                subject=f"worker {worker.index} (pid {worker.pid})",
                seen=f"it is {worker.state}" + (f", in {worker.stalled_in}" if worker.stalled_in else ""),
                why="every client of that worker waits with it",
                mend="`tidegate profile --blocked` shows what holds loops; await the call, or asyncio.to_thread",
                incident="blocked-loop",
            )
        elif worker.restarts >= _RESTARTS:
            yield Finding(
                check="workers",
                severity="warning",
                subject=f"worker {worker.index}",
                seen=f"it was replaced {worker.restarts} times, the last one {worker.last_death}",
                why="each death takes its connections with it",
                mend="the error log has the reasons (process_died)",
            )


def check_configuration_is_active(facts: Facts) -> Iterator[Finding | Unseen]:
    """Whether what was looked at is what runs, and nothing meant for development is on."""
    running, gateway = facts.running, facts.gateway
    if running is not None and gateway is not None and Snapshot.build(gateway).etag != running.etag:
        yield Finding(
            check="configuration",
            severity="note",
            subject=running.source,
            seen="the file is not what runs: it was changed since",
            why="what is said here of the file is not true of the running gateway",
            mend="tidegate reload",
        )
    if gateway is not None and gateway.server.development:
        yield Finding(
            check="configuration",
            severity="warning",
            subject="server.development",
            seen="true",
            why="it costs speed, and is meant for whoever writes filters",
            mend="server.development = false",
        )


GATEWAY_CHECKS = {
    "saturation": check_saturation,
    "workers": check_workers,
    "configuration": check_configuration_is_active,
}
