import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from benchmarks import processes
from benchmarks.processes import cpu_ns, memory, pin, schedstat_ns, spawn, stop, threads, tree

BURN = """
import sys, time
end = time.process_time() + 0.2
while time.process_time() < end: pass
print("done", flush=True)
sys.stdin.read()
"""


def test_schedstat_is_read_in_nanoseconds() -> None:
    assert schedstat_ns("120034 15143 7\n") == 120_034


@pytest.mark.parametrize("text", ["", "12", "1 2", "1 2 3 4"])
def test_anything_else_is_no_schedstat(text: str) -> None:
    with pytest.raises(ValueError, match="three numbers"):
        schedstat_ns(text)


def test_cpu_time_of_a_process_that_burned_a_fifth_of_a_second() -> None:
    with subprocess.Popen([sys.executable, "-c", BURN], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as burner:
        assert burner.stdout is not None
        assert burner.stdout.readline() == b"done\n"
        assert 0.19e9 < cpu_ns([burner.pid]) < 2e9


def test_a_process_that_is_gone_counts_as_nothing() -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    assert (tree(gone.pid), threads(gone.pid), cpu_ns([gone.pid])) == ([], [], 0)


def test_what_is_spawned_is_pinned_and_ends_with_its_children(tmp_path: Path) -> None:
    core = min(os.sched_getaffinity(0))
    log = tmp_path / "log"
    process = spawn(["sh", "-c", "sleep 60 & echo up; wait"], core, log)
    deadline = time.monotonic() + 30
    while log.read_text() != "up\n":
        assert time.monotonic() < deadline
        time.sleep(0.005)
    family = tree(process.pid)
    assert len(family) == 2
    assert all(os.sched_getaffinity(pid) == {core} for pid in family)
    stop(process)
    assert process.poll() is not None
    while any(tree(pid) and Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z" for pid in family):
        assert time.monotonic() < deadline, "a child outlived its parent's stop"
        time.sleep(0.005)


def test_pinning_reaches_a_running_process(tmp_path: Path) -> None:
    cores = sorted(os.sched_getaffinity(0))
    process = spawn(["sh", "-c", "echo up; exec sleep 60"], cores[0], tmp_path / "log")
    try:
        deadline = time.monotonic() + 30
        while (tmp_path / "log").read_text() != "up\n":  # before that, taskset would still bind it itself
            assert time.monotonic() < deadline
            time.sleep(0.005)
        pin([process.pid], cores[-1])
        assert os.sched_getaffinity(process.pid) == {cores[-1]}
    finally:
        stop(process)


def test_memory_of_this_process_is_plausible() -> None:
    own = memory(os.getpid())
    assert own.pid == os.getpid()
    assert 1e6 < own.pss <= own.rss < 1e11


@pytest.mark.skipif(len(processes.CORES) < 2, reason="there is one core")
def test_load_and_contender_do_not_share_a_core() -> None:
    assert processes.CONTENDER_CORE != processes.LOAD_CORE
