import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tidegate.process import runtime_directory, state_directory
from tidegate.process.failure import StartError


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for name in ("TIDEGATE_STATE_DIR", "STATE_DIRECTORY", "TIDEGATE_RUNTIME_DIR", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("os.geteuid", lambda: 0)


def test_each_file_has_its_own():
    one, other = state_directory.for_file("/etc/a/gateway.toml"), state_directory.for_file("/etc/b/gateway.toml")
    assert one != other
    assert one.parent == other.parent == Path("/var/lib/tidegate")
    assert one.name.startswith("gateway-")


@pytest.mark.parametrize(
    ("variable", "value", "parent"),
    [
        ("TIDEGATE_STATE_DIR", "/srv/state", "/srv/state"),
        ("STATE_DIRECTORY", "/var/lib/gate:/var/lib/other", "/var/lib/gate"),
        ("TIDEGATE_RUNTIME_DIR", "/tmp/run", "/tmp/run/state"),
    ],
)
def test_environment_says_another_place(monkeypatch, variable, value, parent):
    monkeypatch.setenv(variable, value)
    assert state_directory.for_file("gateway.toml").parent == Path(parent)


def test_user_has_it_at_home(monkeypatch):
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setenv("XDG_STATE_HOME", "/home/ann/state")
    assert state_directory.for_file("gateway.toml").parent == Path("/home/ann/state/tidegate")


def test_stays_where_it_is_when_the_user_is_another_one(monkeypatch):
    monkeypatch.setenv("TIDEGATE_STATE_DIR", "")  # so that it is taken back after the test
    of_root = state_directory.for_file("/etc/gateway.toml")
    state_directory.stay()
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert state_directory.for_file("/etc/gateway.toml") == of_root


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('[server]\nstate_dir = "/srv/x"  # here\nbroken', "/srv/x"),
        ("server:\n  state_dir: state\n", "/etc/state"),
        ("[server\nworkers = 1\n", None),
    ],
)
def test_is_found_in_what_cannot_be_read(text, found):
    assert state_directory.named_in(text, "/etc/gateway.toml") == (None if found is None else Path(found))


def test_is_closed_to_others(tmp_path, monkeypatch):
    monkeypatch.undo()
    directory = tmp_path / "a" / "state"
    state_directory.prepare(directory)
    state_directory.prepare(directory)
    assert directory.stat().st_mode & 0o777 == 0o700
    directory.chmod(0o750)
    with pytest.raises(StartError, match="open to other users"):
        state_directory.prepare(directory)
    (tmp_path / "file").touch()
    with pytest.raises(StartError, match="is a file"):
        state_directory.prepare(tmp_path / "file")


def test_what_is_made_above_it_is_closed_as_well(tmp_path, monkeypatch):
    monkeypatch.setattr("os.geteuid", lambda: tmp_path.stat().st_uid)
    runtime = tmp_path / "run"
    state_directory.prepare(runtime / "state" / "gateway")
    runtime_directory.prepare(runtime)


def test_one_claims_it_and_the_next_hears_who(tmp_path, monkeypatch):
    monkeypatch.undo()
    fd = state_directory.claim(tmp_path / "state")
    try:
        with pytest.raises(
            StartError, match=rf"another gateway \(pid {os.getpid()}\) keeps its state in .*/state already"
        ):
            state_directory.claim(tmp_path / "state")
        assert not os.get_inheritable(fd)  # or a worker would keep it for a supervisor that is dead
    finally:
        os.close(fd)
    os.close(state_directory.claim(tmp_path / "state"))


def test_claim_ends_with_who_had_it(tmp_path, monkeypatch):
    monkeypatch.undo()
    code = "import sys; from pathlib import Path; from tidegate.process import state_directory\n"
    code += "assert state_directory.claim(Path(sys.argv[1])) >= 0; print('claimed', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code, tmp_path / "state"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout.readline() == b"claimed\n"
        with pytest.raises(StartError, match=f"pid {other.pid}"):
            state_directory.claim(tmp_path / "state")
        other.send_signal(signal.SIGKILL)
        other.wait()
    os.close(state_directory.claim(tmp_path / "state"))


def test_directory_that_cannot_be_had_keeps_nobody_from_serving(tmp_path, monkeypatch):
    monkeypatch.undo()
    (tmp_path / "file").touch()
    assert state_directory.claim(tmp_path / "file") == -1


def test_one_that_was_killed_is_known_and_one_that_ended_is_not(tmp_path, monkeypatch):
    monkeypatch.undo()
    place = tmp_path / "state"
    assert (state_directory.last_holder(place), state_directory.claimed_at_ns(place)) == (None, 0)
    killed = state_directory.claim(place)
    first_ns = state_directory.claimed_at_ns(place)
    os.close(killed)
    assert state_directory.last_holder(place) == os.getpid()
    os.utime(place / "lock", ns=(1, first_ns - 10**9))
    state_directory.release(state_directory.claim(place))
    assert state_directory.last_holder(place) is None
    assert state_directory.claimed_at_ns(place) >= first_ns
    state_directory.release(-1)


def test_full_disk_hides_nobody_who_was_killed(tmp_path, monkeypatch):
    monkeypatch.undo()
    place = tmp_path / "state"
    state_directory.release(state_directory.claim(place))
    write = os.pwrite

    def full(fd, content, at):
        if os.fstat(fd).st_size == 0:  # it would take a block, and there is none
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(fd, content, at)

    monkeypatch.setattr("os.pwrite", full)
    os.close(state_directory.claim(place))  # as when it is killed
    assert state_directory.last_holder(place) == os.getpid()
    state_directory.release(state_directory.claim(place), 4211)
    assert state_directory.last_holder(place) == 4211
    state_directory.release(state_directory.claim(place))
    assert state_directory.last_holder(place) is None


def test_claim_that_could_not_be_written_is_seen_by_those_before(tmp_path, monkeypatch):
    monkeypatch.undo()
    place = tmp_path / "state"
    state_directory.release(state_directory.claim(place))
    os.utime(place / "lock", ns=(1, 10**9))

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.pwrite", full)
    os.close(state_directory.claim(place))
    assert state_directory.claimed_at_ns(place) > 10**9
