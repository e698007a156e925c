"""What there is to read about this machine: the kernel's settings and counters, memory, cores, clock, descriptors.

Nothing here waits, needs root or raises: what a container hides, or an older kernel does not have, is None.
"""

from __future__ import annotations

import ctypes
import os
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tidegate.config.shedding import MemoryLevel
from tidegate.observe.kernel import Kernel, KernelFigures
from tidegate.observe.memory_use import MemoryUse
from tidegate.process.cores import quota_cores

__all__ = ["Machine", "Tmpfs", "descriptors_of_process", "read_machine"]

_TIME_ERROR = 5  # adjtimex(2): the clock is not synchronised
_TIMEX_BYTES = 256  # more than struct timex has anywhere; all zero asks and sets nothing


@dataclass(frozen=True, slots=True)
class Tmpfs:
    """A file system in memory, in bytes."""

    path: str
    size: int
    free: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """This machine at one moment."""

    at_s: float
    """On CLOCK_MONOTONIC."""
    kernel: KernelFigures
    # net.core and net.ipv4, as they are named there
    somaxconn: int | None = None
    tcp_tw_reuse: int | None = None
    tcp_max_syn_backlog: int | None = None
    tcp_syncookies: int | None = None
    # connection tracking; both None where it is not loaded
    conntrack_count: int | None = None
    conntrack_max: int | None = None
    # clock
    clocksource: str | None = None
    is_clock_synchronised: bool | None = None
    # cores
    cores_online: int | None = None
    cores_usable: int = 1
    cores_quota: float | None = None
    """Of the control group (version 2); None: none."""
    cpu_pressure: float | None = None
    """Share of the last minute in which somebody waited for a core."""
    # memory, in bytes
    memory_total: int | None = None
    memory_share: float | None = None
    """In use, of the bound in force: the control group's or the machine's."""
    swap_used: int | None = None
    is_huge_pages_always: bool | None = None
    tmpfs: Tmpfs | None = None
    # descriptors of one process, as a gateway started from here would have them
    descriptors_hard: int | None = None


def read_machine(
    *,
    proc: str = "/proc",
    sys: str = "/sys",
    shm: str = "/dev/shm",  # noqa: S108 - only its size is looked at
    clock_ns: Callable[[], int] = time.monotonic_ns,
) -> Machine:
    """Everything, as it is now.

    Args:
        proc: Where procfs is.
        sys: Where sysfs is.
        shm: Where the file system in memory is.
        clock_ns: CLOCK_MONOTONIC.
    """
    procfs, sysfs = Path(proc), Path(sys)
    kernel = Kernel(proc=proc, sys=sys, clock_ns=clock_ns)
    memory = _pairs(_text(procfs / "meminfo"))
    huge = _text(sysfs / "kernel/mm/transparent_hugepage/enabled")
    swap_total, swap_free = memory.get("SwapTotal"), memory.get("SwapFree")
    return Machine(
        at_s=clock_ns() / 1e9,
        kernel=kernel.read(),
        somaxconn=kernel.backlog_max(),
        tcp_tw_reuse=_number(_text(procfs / "sys/net/ipv4/tcp_tw_reuse")),
        tcp_max_syn_backlog=_number(_text(procfs / "sys/net/ipv4/tcp_max_syn_backlog")),
        tcp_syncookies=_number(_text(procfs / "sys/net/ipv4/tcp_syncookies")),
        conntrack_count=_number(_text(procfs / "sys/net/netfilter/nf_conntrack_count")),
        conntrack_max=_number(_text(procfs / "sys/net/netfilter/nf_conntrack_max")),
        clocksource=_text(sysfs / "devices/system/clocksource/clocksource0/current_clocksource").strip() or None,
        is_clock_synchronised=_is_clock_synchronised(),
        cores_online=os.cpu_count(),
        cores_usable=len(os.sched_getaffinity(0)),
        cores_quota=quota_cores(procfs / "self/cgroup", sysfs / "fs/cgroup"),
        cpu_pressure=_pressure(_text(procfs / "pressure/cpu")),
        memory_total=memory.get("MemTotal"),
        # Where nothing can be read it says that nothing is in use, which would be a statement.
        memory_share=MemoryUse(MemoryLevel(share=1.0), proc=proc, groups=f"{sys}/fs/cgroup").pressure() or None,
        swap_used=None if swap_total is None or swap_free is None else swap_total - swap_free,
        is_huge_pages_always="[always]" in huge if huge else None,
        tmpfs=_tmpfs(shm),
        descriptors_hard=_hard_limit(),
    )


def descriptors_of_process(pid: int, proc: str = "/proc") -> int | None:
    """How many descriptors a running process may have; None when it is somebody else's, or gone."""
    for line in _text(Path(proc) / str(pid) / "limits").splitlines():
        if line.startswith("Max open files"):
            return _number(line.split()[3])
    return None


def _hard_limit() -> int:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 1 << 30 if hard == resource.RLIM_INFINITY else hard


def _is_clock_synchronised() -> bool | None:
    """As the kernel was told by whoever disciplines it (chrony, ntpd, timesyncd, the hypervisor)."""
    asked = ctypes.create_string_buffer(_TIMEX_BYTES)
    try:
        state: int = ctypes.CDLL(None, use_errno=True).adjtimex(asked)
    except (OSError, AttributeError):
        return None
    return None if state < 0 else state != _TIME_ERROR


def _tmpfs(path: str) -> Tmpfs | None:
    try:
        found = os.statvfs(path)
    except OSError:
        return None
    return Tmpfs(path, found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize)


def _pressure(text: str) -> float | None:
    """``some avg10=1.23 avg60=4.56 …`` → 0.0456."""
    for word in text.partition("\n")[0].split():
        name, _, value = word.partition("=")
        if name == "avg60":
            try:
                return float(value) / 100
            except ValueError:
                return None
    return None


def _pairs(text: str) -> dict[str, int]:
    """Lines of /proc/meminfo, in bytes."""
    found = {}
    for line in text.splitlines():
        name, _, rest = line.partition(":")
        words = rest.split()
        number = _number(words[0]) if words else None
        if number is not None:
            found[name] = number * (1024 if words[1:] == ["kB"] else 1)
    return found


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, ValueError):
        return ""


def _number(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:
        return None
