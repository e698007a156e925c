"""How many cores this process may use (affinity mask, quota of its control group), and which a worker has."""

import math
import os
from pathlib import Path

from tidegate.config.server import Server
from tidegate.observe.log_writer import Say

__all__ = ["cores_of", "pin", "quota_cores", "usable_cores"]


def usable_cores() -> int:
    """Cores for ``workers = "auto"``: a container with half a core of quota on a machine of 64 gets one worker."""
    allowed = len(os.sched_getaffinity(0))
    quota = quota_cores(Path("/proc/self/cgroup"), Path("/sys/fs/cgroup"))
    return allowed if quota is None else max(1, min(allowed, math.ceil(quota)))


def quota_cores(membership: Path, root: Path) -> float | None:
    """The smallest CPU quota on the way from this process's group (cgroup v2) to the root; None when there is none."""
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        return None
    group = next((line[3:] for line in lines if line.startswith("0::")), None)
    if group is None:
        return None
    found: list[float] = []
    place = root / group.lstrip("/")
    while True:
        try:
            quota, period = (place / "cpu.max").read_text().split()
        except (OSError, ValueError):
            pass  # the root has no such file, and a container may not see its parents
        else:
            if quota != "max":
                found.append(int(quota) / int(period))
        if place == root or root not in place.parents:
            return min(found, default=None)
        place = place.parent


def cores_of(server: Server, worker: int, usable: set[int]) -> set[int] | None:
    """Cores for the worker of that number; None when it may run on any."""
    match server.affinity:
        case None:
            return None
        case "auto":
            ordered = sorted(usable)
            return {ordered[worker % len(ordered)]}
        case lists:
            return set(lists[worker]) if worker < len(lists) else None


def pin(server: Server, worker: int, say: Say) -> None:
    """Keeps this process, and threads that it starts from now on, on the cores of that worker."""
    cores = cores_of(server, worker, os.sched_getaffinity(0))
    if cores is None:
        return
    try:
        os.sched_setaffinity(0, cores)
    except OSError as error:  # they were taken away since the configuration was checked
        listed = ", ".join(str(core) for core in sorted(cores))
        say("affinity_failed", f"cannot run on core {listed} ({error.strerror}); it runs on any", "warning")
