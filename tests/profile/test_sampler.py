"""Real processes under a real py-spy, and programs that stand for one that may not look, hangs or is missing."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
from tests.process.gateway import eventually

from tidegate.process.failure import StartError
from tidegate.process.native_stack import program
from tidegate.profile.sampler import sample

BUSY = """
import threading, time, zlib
def computes(data=bytes(100_000)):
    while True:
        zlib.crc32(data)
def also():
    while True:
        time.perf_counter()
threading.Thread(target=also, daemon=True, name="beside").start()
print("runs", flush=True)
computes()
"""


@pytest.fixture(scope="module")
def busy():
    with subprocess.Popen([sys.executable, "-c", BUSY], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"runs\n"
        yield process.pid
        process.kill()


def may_look(pid):
    found = program()
    if found is None:
        return False
    return subprocess.run([found, "dump", "--pid", str(pid)], check=False, capture_output=True).returncode == 0


def script(path, text):
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return lambda: str(path)


def state(pid):
    return psutil.Process(pid).status()


def children():
    return [one for one in psutil.Process().children(recursive=True) if "record" in " ".join(one.cmdline())]


def hears(pid):
    """Whether a process does something of its own at SIGINT."""
    (caught,) = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("SigCgt:")]
    return int(caught.split()[1], 16) >> (signal.SIGINT - 1) & 1


def interrupt_when(condition):
    """Ctrl-C as soon as something is so, from beside."""

    def run():
        eventually(condition, "it is time")
        os.kill(os.getpid(), signal.SIGINT)

    one = threading.Thread(target=run, daemon=True)
    one.start()
    return one


def test_threads_of_a_live_process_are_seen_down_into_c_and_it_goes_on(busy):
    if not may_look(busy):
        pytest.skip("no py-spy, or it may not look at other processes")
    seen = sample([busy], 1.0)
    calls = {call for stack in seen.stacks[busy].weights for call in stack}
    assert any(call.startswith("computes (") for call in calls), calls
    assert any(call.startswith("also (") for call in calls), "all threads"
    assert "without native frames" in "".join(seen.notes) or any(
        ".py" not in call and "crc32" in call for call in calls
    )
    assert state(busy) != psutil.STATUS_STOPPED and children() == []


def test_ctrl_c_ends_it_with_what_there_is_and_nothing_left_running(busy):
    if not may_look(busy):
        pytest.skip("no py-spy, or it may not look at other processes")

    began = []

    def for_a_while():
        with contextlib.suppress(OSError, ValueError, psutil.Error):  # one that has ended meanwhile
            if not began and [one for one in children() if hears(one.pid)]:
                began.append(time.monotonic())
        return began and time.monotonic() - began[0] > 1.0

    beside = interrupt_when(for_a_while)
    seen = sample([busy], 300.0)
    beside.join(60)
    assert "ended early, by Ctrl-C" in seen.notes
    assert children() == [] and state(busy) != psutil.STATUS_STOPPED


def test_ctrl_c_before_it_has_begun_is_no_failure_of_its_own(tmp_path, busy):
    pids = tmp_path / "pid"
    slow = script(tmp_path / "spy", f"echo $$ > {pids}\nwhile :; do sleep 0.05; done")
    beside = interrupt_when(lambda: pids.exists() and pids.read_text().strip())
    with pytest.raises(StartError, match="by Ctrl-C before anything was seen"):
        sample([busy], 300.0, find=slow)
    beside.join(60)
    assert not Path(f"/proc/{int(pids.read_text())}").exists() and state(busy) != psutil.STATUS_STOPPED


def test_without_py_spy_it_is_said_how_to_get_it():
    with pytest.raises(StartError, match="pip install py-spy"):
        sample([1], 1.0, find=lambda: None)


def test_one_that_may_not_look_says_what_it_needs(tmp_path, busy):
    find = script(
        tmp_path / "spy", 'echo "Error: Permission Denied: Try running again with elevated permissions"; exit 1'
    )
    with pytest.raises(StartError, match=rf"pid {busy}: Error: Permission.*CAP_SYS_PTRACE"):
        sample([busy], 60.0, find=find)


WRITES = 'while [ $# -gt 0 ]; do [ "$1" = --output ] && out=$2; [ "$1" = --native ] && native=1; shift; done'


def test_where_compiled_code_cannot_be_unwound_python_is_seen_and_that_is_said(tmp_path, busy):
    find = script(tmp_path / "spy", f'{WRITES}\n[ -n "$native" ] && exit 1\necho "a;b 3" > "$out"')
    seen = sample([busy], 60.0, find=find)
    assert seen.stacks[busy].weights == {("a", "b"): 3}
    assert any("without native frames" in note for note in seen.notes)


def test_of_several_one_that_is_gone_is_told_beside_the_others(tmp_path, busy):
    text = f'case "$*" in *"--pid 1 "*) echo gone; exit 1;; esac\n{WRITES}\necho "a 1" > "$out"'
    seen = sample([1, busy], 60.0, find=script(tmp_path / "spy", text))
    assert seen.stacks[busy].weights == {("a",): 1} and seen.stacks[1].weights == {}
    assert seen.notes == ("pid 1: gone",)


def test_one_that_hangs_is_killed_and_whom_it_stopped_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr("tidegate.profile.sampler._ENDING_S", 0.2)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        pids = tmp_path / "pid"
        hangs = f'trap "" INT\nkill -STOP {process.pid}\necho $$ > {pids}\nwhile :; do sleep 0.05; done'
        beside = interrupt_when(lambda: pids.exists() and pids.read_text().strip())
        with pytest.raises(StartError, match="by Ctrl-C before anything was seen"):
            sample([process.pid], 300.0, find=script(tmp_path / "spy", hangs))
        beside.join(60)
        spy = int(pids.read_text())
        assert not Path(f"/proc/{spy}").exists()
        eventually(lambda: state(process.pid) != psutil.STATUS_STOPPED, "it goes on")
        process.communicate(b"\n", timeout=60)
        assert process.returncode == 0
