"""Judges descriptors, cores, clock and memory."""

from __future__ import annotations

from collections.abc import Iterator

from tidegate.config.bounds import OWN_DESCRIPTORS, clients_of_a_worker, servers_of_a_worker
from tidegate.doctor.facts import Facts
from tidegate.doctor.finding import Finding, Unseen, in_mebibytes

__all__ = ["RESOURCE_CHECKS"]

_FULL = 0.8
_CLIENTS_FEW = 10_000
_FAST_CLOCKS = {"tsc", "kvm-clock", "arch_sys_counter", "hyperv_clocksource_tsc_page", "xen"}
_PRESSURE = 0.4


def check_descriptors(facts: Facts) -> Iterator[Finding | Unseen]:
    """A worker's bounds against its limit, and the machine's table of files."""
    kernel, limit = facts.machine.kernel, facts.descriptors
    if kernel.descriptors_open is not None and kernel.descriptors_max:
        share = kernel.descriptors_open / kernel.descriptors_max
        if share > _FULL:
            yield Finding(
                check="descriptors",
                severity="serious",
                subject="fs.file-max",
                seen=f"{kernel.descriptors_open:,} of {kernel.descriptors_max:,} files of this machine are open",
                why="accepting and dialling fail for every program when it is full",
                mend=f"sysctl -w fs.file-max={2 * kernel.descriptors_max}",
            )
    if limit is None:
        yield Unseen("descriptors", "the limit of descriptors is not told")
        return
    if facts.gateway is None:
        return
    gateway, workers = facts.gateway, facts.workers
    clients, servers = clients_of_a_worker(gateway, workers, limit), servers_of_a_worker(gateway)
    wanted = clients + servers + OWN_DESCRIPTORS
    if gateway.server.max_connections != "auto" and wanted > limit:
        yield Finding(
            check="descriptors",
            severity="serious",
            subject="server.max_connections",
            seen=f"a worker may have {limit:,} descriptors and needs {wanted:,} ({clients:,} clients, {servers:,} "
            f"connections to upstreams, {OWN_DESCRIPTORS} of its own)",
            why="when they are used up accepting pauses, and requests fail that need a connection",
            mend=f"LimitNOFILE={wanted} in the systemd unit (or ulimit -n {wanted}), or leave max_connections out",
        )
    elif gateway.server.max_connections == "auto" and clients * workers < _CLIENTS_FEW:
        yield Finding(
            check="descriptors",
            severity="warning",
            subject="ulimit -n",
            seen=f"{limit:,} descriptors for each worker: {clients * workers:,} clients at once",
            why="more wait in the backlog until somebody leaves",
            mend="LimitNOFILE=1048576 in the systemd unit, or ulimit -Hn 1048576 before the start",
        )


def check_cores(facts: Facts) -> Iterator[Finding | Unseen]:
    """Workers against cores, and whether others are in the way."""
    machine = facts.machine
    cores = machine.cores_usable if machine.cores_quota is None else min(machine.cores_usable, machine.cores_quota)
    if facts.gateway is not None and facts.workers > max(1, cores):
        yield Finding(
            check="cores",
            severity="warning",
            subject="server.workers",
            seen=f"{facts.workers} workers on {cores:g} cores",
            why="workers take turns on a core, and each turn is lag of a loop",
            mend='server.workers = "auto"',
            incident="blocked-loop",
        )
    elif facts.gateway is not None and cores >= 2 * facts.workers and facts.workers > 1:
        yield Finding(
            check="cores",
            severity="note",
            subject="server.workers",
            seen=f"{facts.workers} workers on {cores:g} cores",
            why="most of this machine does not serve",
            mend='server.workers = "auto"',
        )
    if machine.cores_quota is not None and machine.cores_quota < 1:
        yield Finding(
            check="cores",
            severity="warning",
            subject="cpu.max",
            seen=f"{machine.cores_quota:g} cores for all processes of this control group",
            why="when it is used up everything stands until the next period, health checks included",
            mend="give the container a whole core or more",
            incident="blocked-loop",
        )
    if machine.cores_online is not None and machine.cores_usable < machine.cores_online:
        yield Finding(
            check="cores",
            severity="note",
            subject="affinity",
            seen=f"{machine.cores_usable} of {machine.cores_online} cores may be used from here",
            why="a gateway started from here has no more either",
            mend="taskset -p, or CPUAffinity= and AllowedCPUs= of the unit",
        )
    if machine.cpu_pressure is None:
        yield Unseen("cores", "how long others wait for a core (/proc/pressure/cpu) is not told")
    elif machine.cpu_pressure > _PRESSURE:
        yield Finding(
            check="cores",
            severity="warning",
            subject="/proc/pressure/cpu",
            seen=f"in {machine.cpu_pressure:.0%} of the last minute somebody waited for a core",
            why="loops turn late however little they have to do",
            mend="find who computes (top), move it elsewhere, or give the gateway cores of its own (server.affinity)",
            incident="blocked-loop",
        )


def check_clock(facts: Facts) -> Iterator[Finding | Unseen]:
    """Whether reading the clock is cheap, and whether it is right."""
    source, is_right = facts.machine.clocksource, facts.machine.is_clock_synchronised
    if source is None:
        yield Unseen("clock", "the kernel's clock source is not told")
    elif source not in _FAST_CLOCKS:
        yield Finding(
            check="clock",
            severity="warning",
            subject="clocksource",
            seen=source,
            why="reading the time is a system call with it, and it is read several times for each request",
            mend="echo tsc > /sys/devices/system/clocksource/clocksource0/current_clocksource, if the hardware has it",
        )
    if is_right is None:
        yield Unseen("clock", "the kernel does not say whether its clock is synchronised")
    elif not is_right:
        yield Finding(
            check="clock",
            severity="warning",
            subject="time of day",
            seen="the kernel is not told by anybody what time it is",
            why="windows of quotas, certificates and the lines of logs on several machines drift apart",
            mend="systemctl enable --now systemd-timesyncd (or chrony)",
        )


def check_memory(facts: Facts) -> Iterator[Finding | Unseen]:
    """Memory in use, and what the configuration may still take of it."""
    machine = facts.machine
    if machine.memory_share is None:
        yield Unseen("memory", "neither /proc/meminfo nor a control group tells how much is in use")
    elif machine.memory_share > 0.9:
        yield Finding(
            check="memory",
            severity="serious",
            subject="memory",
            seen=f"{machine.memory_share:.0%} of what may be used is in use",
            why="the kernel kills the largest process when nothing is left",
            mend="find who has it (ps --sort -rss), or raise the container's limit",
        )
    if machine.swap_used:
        yield Finding(
            check="memory",
            severity="warning",
            subject="swap",
            seen=f"{in_mebibytes(machine.swap_used)} are swapped out",
            why="a page that comes from disk holds the loop that touches it, and no filter is to blame",
            mend="swapoff -a, or MemorySwapMax=0 in the unit",
            incident="blocked-loop",
        )
    if facts.gateway is not None and machine.memory_total is not None:
        wanted = facts.gateway.server.limits_memory
        if wanted > machine.memory_total / 2:
            yield Finding(
                check="memory",
                severity="serious",
                subject="server.limits_memory",
                seen=f"{in_mebibytes(wanted)} of {in_mebibytes(machine.memory_total)} that this machine has",
                why="it is taken page by page as limits remember more keys, and there is no warning before the end",
                mend='server.limits_memory = "256MiB", or fewer keys for each limit',
            )
    if machine.tmpfs is not None and machine.tmpfs.free < machine.tmpfs.size / 10:
        yield Finding(
            check="memory",
            severity="warning",
            subject=machine.tmpfs.path,
            seen=f"{in_mebibytes(machine.tmpfs.free)} of {in_mebibytes(machine.tmpfs.size)} are free",
            why="what lies there is memory, and who writes beyond it fails",
            mend=f"ls -lS {machine.tmpfs.path}; or a larger one (mount -o remount,size=…, docker run --shm-size)",
        )
    if machine.is_huge_pages_always and any(one.is_on_this_machine for one in facts.servers):
        yield Finding(
            check="memory",
            severity="warning",
            subject="transparent_hugepage",
            seen="always, and a Redis server runs on this machine",
            why="after each fork to save, one written byte copies two megabytes, and commands wait for it",
            mend="echo madvise > /sys/kernel/mm/transparent_hugepage/enabled",
        )


def check_caches(facts: Facts) -> Iterator[Finding | Unseen]:
    """What the caches of all workers may take, and whether everybody waits when a value ends."""
    if facts.gateway is None:
        return
    total, tmpfs = facts.machine.memory_total, facts.machine.tmpfs
    shared = sum(cache.machine or 0 for cache in facts.gateway.cache.values())
    wanted = facts.workers * sum(cache.memory for cache in facts.gateway.cache.values()) + shared
    if shared and tmpfs is None:
        yield Unseen("caches", "how large the file system in memory is, where their machine tier lies, is not told")
    elif tmpfs is not None and shared > tmpfs.size:
        yield Finding(
            check="caches",
            severity="serious",
            subject="cache",
            seen=f"their machine tier may have {in_mebibytes(shared)}, {tmpfs.path} has {in_mebibytes(tmpfs.size)}",
            why="values that find no room are fetched from their origin again and again, by all who ask",
            mend=f"mount -o remount,size=… {tmpfs.path} (docker run --shm-size), or a smaller machine of [cache.NAME]",
            incident="stampede",
        )
    if total is not None and wanted > total / 2:
        yield Finding(
            check="caches",
            severity="serious",
            subject="cache",
            seen=f"{in_mebibytes(wanted)} of {in_mebibytes(total)} that this machine has, for {facts.workers} workers"
            + (f" and {in_mebibytes(shared)} that they share" if shared else ""),
            why="each worker fills its own, and the kernel kills one when nothing is left",
            mend="less memory for [cache.NAME], or fewer workers",
            incident="stampede",
        )
    for name, cache in facts.gateway.cache.items():
        if cache.single_flight == "worker" and facts.workers > 1:
            yield Finding(
                check="caches",
                severity="warning",
                subject=f"cache.{name}.single_flight",
                seen=f"worker: each of {facts.workers} workers fetches a value that is not there",
                why="when a large one ends, all of them ask its origin at the same moment",
                mend=f'cache.{name}.single_flight = "machine"',
                incident="stampede",
            )
        if not cache.stale_while_revalidate and not cache.early_refresh:
            yield Finding(
                check="caches",
                severity="note",
                subject=f"cache.{name}",
                seen="values in use are fetched again only when they have ended",
                why="everybody who asks at that moment waits for one fetch",
                mend=f"cache.{name}.early_refresh = 1.0, or stale_while_revalidate",
                incident="stampede",
            )


RESOURCE_CHECKS = {
    "descriptors": check_descriptors,
    "cores": check_cores,
    "clock": check_clock,
    "memory": check_memory,
    "caches": check_caches,
}
