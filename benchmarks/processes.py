"""What a contender is to the kernel: a tree of processes, pinned to one core, with CPU time and memory.

CPU time is read from ``/proc/PID/task/TID/schedstat`` (nanoseconds on a CPU, user and system together), because
``utime`` and ``stime`` advance in ticks of 4 ms. A thread that ends between two readings takes its time along, so
readings are taken while the contender's threads live.
"""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

CORES = sorted(os.sched_getaffinity(0))
CONTENDER_CORE, LOAD_CORE = CORES[0], CORES[-1]  # on larger machines never two threads of one physical core


def schedstat_ns(text: str) -> int:
    """Nanoseconds on a CPU out of the text of a ``schedstat`` file (``on_cpu_ns waited_ns slices``)."""
    fields = text.split()
    if len(fields) != 3:
        raise ValueError(f"expected three numbers in schedstat, got {text!r}")
    return int(fields[0])


def tree(root: int) -> list[int]:
    """The process ``root`` and all its living descendants, root first."""
    try:
        process = psutil.Process(root)
        return [root, *(child.pid for child in process.children(recursive=True))]
    except psutil.NoSuchProcess:
        return []


def threads(pid: int) -> list[int]:
    """The threads of one process; none when it is gone."""
    try:
        return [int(entry.name) for entry in Path(f"/proc/{pid}/task").iterdir()]
    except FileNotFoundError:
        return []


def cpu_ns(pids: Iterable[int]) -> int:
    """Nanoseconds all threads of ``pids`` have been on a CPU so far."""
    total = 0
    for pid in pids:
        for tid in threads(pid):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                total += schedstat_ns(Path(f"/proc/{pid}/task/{tid}/schedstat").read_text())
    return total


def pin(pids: Iterable[int], core: int) -> None:
    """Binds every thread of ``pids`` to ``core``."""
    for pid in pids:
        for tid in threads(pid):
            with contextlib.suppress(ProcessLookupError):
                os.sched_setaffinity(tid, {core})


@dataclass(frozen=True)
class Memory:
    """Resident and proportional memory of one process, in bytes."""

    pid: int
    name: str
    rss: int
    pss: int


def memory(pid: int) -> Memory:
    """Memory of one process, from ``smaps_rollup``."""
    sizes = {"Rss": 0, "Pss": 0}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        name, _, rest = line.partition(":")
        if name in sizes:
            sizes[name] = int(rest.split()[0]) * 1024
    return Memory(pid, Path(f"/proc/{pid}/comm").read_text().strip(), sizes["Rss"], sizes["Pss"])


def spawn(
    argv: Sequence[str], core: int, log: Path, *, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> subprocess.Popen[bytes]:
    """Starts a program on ``core``, its output in ``log``, told to stop if this harness dies first."""
    wrapped = ["setpriv", "--pdeathsig", "TERM", "taskset", "-c", str(core), *argv]
    with log.open("ab") as output:
        return subprocess.Popen(
            wrapped,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, **(env or {})},
            cwd=cwd,
            start_new_session=True,
        )


def stop(process: subprocess.Popen[bytes], patience_s: float = 5.0) -> None:
    """Ends a process and whatever it started: asked first, killed when it does not go."""
    family = [psutil.Process(pid) for pid in tree(process.pid) if psutil.pid_exists(pid)]
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience_s)
    for member in family:  # psutil compares the creation time, so a reused pid is not touched
        with contextlib.suppress(psutil.NoSuchProcess):
            if member.is_running() and member.status() != psutil.STATUS_ZOMBIE:
                member.kill()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(patience_s)


def idle_soon(pids: Sequence[int], deadline_s: float = 1.0) -> None:
    """Waits until ``pids`` use hardly any CPU (closing what a round left behind), at most ``deadline_s``."""
    end = time.monotonic() + deadline_s
    before = cpu_ns(pids)
    while time.monotonic() < end:
        time.sleep(0.02)
        now = cpu_ns(pids)
        if now - before < 2_000_000:  # under a tenth of the core
            return
        before = now
