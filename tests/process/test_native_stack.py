"""Stacks that go down into C, of processes that hang there, by py-spy and by programs that are none."""

import contextlib
import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.process.gateway import eventually
from tests.process.stalling import begin, stalling

from tidegate.process.child import Child
from tidegate.process.native_stack import NativeStacks, program

HANGS = """
import sys, threading, time
threading.Thread(target=time.sleep, args=(100,), daemon=True).start()
def hangs():
    print("hangs", flush=True)
    sys.stdin.read()
hangs()
"""


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture(scope="module")
def hanging():
    """A process that reads what nobody writes."""
    with subprocess.Popen(
        [sys.executable, "-c", HANGS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout.readline() == b"hangs\n"
        yield Child("hanging", process.pid, None)
        process.stdin.close()


@pytest.fixture(scope="module")
def myself():
    return Child("myself", os.getpid(), None)


def may_look(child):
    """Whether py-spy is here, and the kernel lets it look at another process."""
    found = program()
    if found is None:
        return False
    return subprocess.run([found, "dump", "--pid", str(child.pid)], check=False, capture_output=True).returncode == 0


def script(path, text):
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return lambda: str(path)


def taken(native):
    return eventually(lambda: (calls := native.take()) is not None and [calls], "it has ended", 60.0)[0]


def test_stack_goes_down_into_c(hanging):
    if not may_look(hanging):
        pytest.skip("no py-spy, or it may not look at other processes")
    native = NativeStacks()
    assert native.ask(hanging)
    assert native.pid == hanging.pid
    calls = taken(native)
    # What is innermost is compiled: a function and its library, whatever the C library calls it.
    assert calls[0].endswith(")")
    (python,) = [call for call in calls if call.endswith(" hangs")]
    assert python == "<string>:6 hangs"
    assert calls.index(python) >= 1
    assert native.pid == 0


def test_one_at_a_time_and_not_often(tmp_path, myself):
    clock = Clock()
    frame = {"name": "f", "filename": "/x/y/app.py", "line": 3, "module": None}
    answer = json.dumps([{"os_thread_id": myself.pid, "frames": [frame]}])
    native = NativeStacks(script(tmp_path / "spy", f"echo '{answer}'"), clock)
    assert native.take() is None
    assert native.ask(myself)
    assert not native.ask(myself)
    assert taken(native) == ["y/app.py:3 f"]
    assert not native.ask(myself)
    clock.now += 10
    assert native.ask(myself)
    assert taken(native) == ["y/app.py:3 f"]


@pytest.mark.parametrize("text", ["echo no; exit 1", "echo no", "echo '[]'", "exit 0"])
def test_where_it_may_not_look_it_is_not_asked_again_soon(tmp_path, text, myself):
    clock = Clock()
    native = NativeStacks(script(tmp_path / "spy", text), clock)
    assert native.ask(myself)
    assert taken(native) == []
    clock.now += 599
    assert not native.ask(myself)
    clock.now += 2
    assert native.ask(myself)
    native.close()


def test_without_a_descriptor_for_the_answer_there_is_nothing(tmp_path, monkeypatch, myself):
    def refuse(*_):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    native = NativeStacks(script(tmp_path / "spy", ""), Clock())
    with monkeypatch.context() as patch:
        patch.setattr("os.memfd_create", refuse)
        assert not native.ask(myself)
    assert native.take() is None
    assert native.pid == 0


def test_worker_that_died_meanwhile_is_not_signalled_nor_who_has_its_pid_now(tmp_path, monkeypatch):
    child = Child.start_program("short", ["true"], [])
    clock = Clock()
    native = NativeStacks(script(tmp_path / "spy", "exec sleep 1000"), clock)
    assert native.ask(child)
    pid = child.pid
    child.reap()
    real, signalled = os.kill, []
    monkeypatch.setattr("os.kill", lambda *to: (signalled.append(to[0]), real(*to)))
    clock.now += 5
    assert native.take() is None
    assert taken(native) == []
    assert pid not in signalled


@pytest.mark.parametrize("find", [lambda: None, lambda: "/no/such/program"])
def test_without_the_program_there_is_nothing(find, myself):
    clock = Clock()
    native = NativeStacks(find, clock)
    assert not native.ask(myself)
    assert native.take() is None
    native.close()
    assert native.pid == 0


def test_one_that_hangs_is_killed_and_what_it_stopped_goes_on(tmp_path):
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        clock = Clock()
        native = NativeStacks(script(tmp_path / "spy", f"kill -STOP {process.pid}; exec sleep 1000"), clock)
        child = Child("stopped", process.pid, None)
        assert native.ask(child)
        state = Path(f"/proc/{process.pid}/stat")
        eventually(lambda: state.read_text().rpartition(")")[2].split()[0] == "T", "it is stopped")
        assert native.take() is None
        clock.now += 5
        assert taken(native) == []
        process.communicate(b"\n", timeout=60)
        assert process.returncode == 0


def test_program_beside_the_interpreter_goes_first(tmp_path, monkeypatch):
    script(tmp_path / "py-spy", "")
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    assert program() == str(tmp_path / "py-spy")
    (tmp_path / "py-spy").unlink()
    assert program() == shutil.which("py-spy")


@pytest.mark.e2e
@pytest.mark.timeout(180)
def test_worker_that_hangs_in_c_is_shown_from_outside(hanging):
    if not may_look(hanging):
        pytest.skip("no py-spy, or it may not look at other processes")
    with (
        stalling(workers=1, stall_out=0.3, stall_kill=None) as gateway,
        contextlib.closing(begin(gateway, "/receive")),
    ):
        gateway.hear("kind=loop_stalled")
        gateway.hear(r"kind=native_stack worker=0 held_ms=\d+ .*worker 0 is held up in [^<]*\(\S+\) < ")
        assert "stalling.py" in gateway.said[-1]
        # Being looked at is not being stopped.
        assert not [line for line in gateway.said if "kind=worker_stopped" in line]
