"""How many cores this process may use: its affinity mask, and the quota of its control group."""

import math
import os
from pathlib import Path

__all__ = ["quota_cores", "usable_cores"]


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
