"""The flight recorder of a gateway as people start it: trouble leaves a file, and the file says what it was."""

import json
import os
import signal
import time
from pathlib import Path

import psutil
import pytest
from tests.e2e.test_configuration import gateway
from tests.process.gateway import eventually

from tidegate.observe.recording_file import read_recording

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


def files(directory):
    """All recordings below it."""
    return sorted(directory.rglob("recording-*.jsonl.gz"))


def worker_pids(running):
    _, _, document = running.api("GET", "/status")
    return [one["pid"] for one in document["workers"]]


def test_a_stopped_worker_leaves_a_recording_that_names_it(tmp_path):
    with gateway(tmp_path, workers=2) as running:
        victim = worker_pids(running)[1]
        os.kill(victim, signal.SIGSTOP)
        try:
            path, *_ = eventually(lambda: files(tmp_path / "run" / "state"), "a recording by itself", 30)
            eventually(lambda: longest_lag(recorded(running), victim) >= 1.0, "the worker's lag is recorded")
        finally:
            os.kill(victim, signal.SIGCONT)
        assert path.parent.name == "recordings"
        found = read_recording(path)
        assert found.header.reason == "stall"
        assert found.header.pid == running.pid
        assert found.header.workers == 2
        drawn = running.command("record", "show", path)
        assert drawn.returncode == 0, drawn.stderr
        assert "stall" in drawn.stdout
        assert "loop lag of 1" in drawn.stdout
        document = json.loads(running.command("record", "show", path, "--json").stdout)
        assert document["header"]["reason"] == "stall"


def longest_lag(recording, pid):
    workers = [one for second in recording.seconds for one in second.workers if one.pid == pid]
    return max((one.lag_s for one in workers), default=0.0)


def test_recorder_directory(tmp_path):
    kept = tmp_path / "kept"
    with gateway(tmp_path, more=f'[recorder]\ndirectory = "{kept}"\n') as running:
        os.kill(worker_pids(running)[0], signal.SIGSTOP)
        eventually(lambda: files(kept), "a recording by itself", 30)
        (path, *_) = files(kept)
        assert kept.stat().st_mode & 0o777 == 0o700
        assert path.stat().st_mode & 0o777 == 0o600
        os.kill(worker_pids(running)[0], signal.SIGCONT)


def test_recorder_files_bounds_what_is_asked_for(tmp_path):
    kept = tmp_path / "kept"
    # On a machine that stands still for a second a recording is written by itself as well.
    with gateway(tmp_path, more=f'[recorder]\ndirectory = "{kept}"\nfiles = 2\n') as running:
        asked = [running.command("record").stdout.strip() for _ in range(3)]
        assert len(set(asked)) == 3
        assert len(files(kept)) == 2
        assert asked[0] not in map(str, files(kept))
        status, _, document = running.api("POST", "/record")
        assert status == 200
        assert len(files(kept)) == 2
        assert Path(document["path"]) in files(kept)


def test_recording_goes_on_when_control_is_killed_and_tells_of_it(tmp_path):
    with gateway(tmp_path, workers=1) as running:
        eventually(lambda: len(recorded(running).seconds) >= 3, "three seconds are kept")
        killed_s = time.time()
        victim = control_pid(running)
        os.kill(victim, signal.SIGKILL)
        eventually(lambda: control_pid(running) not in (None, victim), "another control")
        eventually(lambda: recorded(running).seconds[-1].unix_s > killed_s, "a second of the new control", 40)
        eventually(lambda: recorded(running).stacks, "a stack sample of the worker", 40)
        found = recorded(running)
        assert found.seconds[0].unix_s < killed_s, "what the dead one had kept is there"
        assert any(one.kind == "process_died" and one.who == "supervisor" for one in found.events)


def control_pid(running):
    for child in psutil.Process(running.pid).children():
        try:
            if "tidegate.process.control" in child.cmdline():
                return child.pid
        except psutil.NoSuchProcess:
            continue
    return None


def recorded(running):
    """What is kept now. Control answers late while it is replaced, never falsely."""
    done = eventually(lambda: (done := running.command("record")).returncode == 0 and done, "control answers", 40)
    return read_recording(Path(done.stdout.strip()))


def test_a_disk_that_takes_no_recording_is_told_to_who_asks(tmp_path):
    kept = tmp_path / "kept"
    kept.write_text("a file is in the way")
    with gateway(tmp_path, more=f'[recorder]\ndirectory = "{kept}"\n') as running:
        done = running.command("record")
        assert done.returncode == 1
        assert "no recording could be written: File exists" in done.stderr
