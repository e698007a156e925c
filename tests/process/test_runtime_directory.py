import os
import socket
import stat
import subprocess
import sys

import pytest

from tidegate.process import runtime_directory
from tidegate.process.failure import StartError


def test_directory_is_made_for_its_user_alone(tmp_path):
    place = tmp_path / "run" / "tidegate"
    runtime_directory.prepare(place)
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    runtime_directory.prepare(place)


def test_directory_open_to_others_is_refused(tmp_path):
    place = tmp_path / "tidegate"
    place.mkdir()
    place.chmod(0o755)
    with pytest.raises(StartError, match="open to other users"):
        runtime_directory.prepare(place)


def test_link_is_refused(tmp_path):
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "tidegate").symlink_to(tmp_path / "real")
    with pytest.raises(StartError, match="is a link"):
        runtime_directory.prepare(tmp_path / "tidegate")


def test_directory_of_another_user_is_said_to_be_that(tmp_path, monkeypatch):
    place = tmp_path / "tidegate"
    runtime_directory.prepare(place)
    monkeypatch.setattr(os, "geteuid", lambda: place.stat().st_uid + 1)
    with pytest.raises(StartError, match="belongs to another user"):
        runtime_directory.prepare(place)


def test_file_in_the_way_is_named(tmp_path):
    (tmp_path / "tidegate").write_text("")
    with pytest.raises(StartError, match="cannot make the runtime directory"):
        runtime_directory.prepare(tmp_path / "tidegate")


def test_running_gateways_are_found_and_leftovers_removed(tmp_path):
    with socket.socket(socket.AF_UNIX) as live, socket.socket(socket.AF_UNIX) as dead:
        live.bind(str(runtime_directory.socket_path(tmp_path, 41)))
        live.listen()
        dead.bind(str(runtime_directory.socket_path(tmp_path, 42)))
        assert runtime_directory.find_running(tmp_path) == [41]
    assert not (tmp_path / "42.sock").exists()
    assert runtime_directory.find_running(tmp_path / "absent") == []


def test_socket_of_a_gateway_that_starts_is_no_leftover(tmp_path):
    # Its command line is what tells a supervisor.
    code = [sys.executable, "-c", "print(flush=True); input()", "tidegate.process.supervisor"]
    with subprocess.Popen(code, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as starting:
        starting.stdout.readline()
        path = runtime_directory.socket_path(tmp_path, starting.pid)
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(str(path))
            assert runtime_directory.find_running(tmp_path) == []
            assert path.exists()
            starting.communicate(b"\n")
            assert runtime_directory.find_running(tmp_path) == []
            assert not path.exists()


def test_place_is_chosen_by_the_environment(monkeypatch):
    monkeypatch.setenv("TIDEGATE_RUNTIME_DIR", "/somewhere")
    assert str(runtime_directory.default()) == "/somewhere"
    monkeypatch.delenv("TIDEGATE_RUNTIME_DIR")
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/1000")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert str(runtime_directory.default()) == "/run/user/1000/tidegate"
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert str(runtime_directory.default()) == "/run/tidegate"
