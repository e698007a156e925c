"""The pid file, of gateways that run, were killed, are upgraded and stop."""

import contextlib
import os
import signal
import subprocess
import sys

import pytest
from tests.process.gateway import supervised
from tests.process.upgradable import upgradable

from tidegate.config.listeners import Listener
from tidegate.config.schema import Gateway
from tidegate.config.server import Server
from tidegate.process import pid_file
from tidegate.process.failure import StartError


@contextlib.contextmanager
def with_pid_file(path):
    server = Server(workers=1, admin="127.0.0.1:0", pid_file=str(path))
    with supervised(gateway=Gateway(server=server, listeners=(Listener(bind="127.0.0.1:0"),))) as gateway:
        yield gateway


def test_it_is_there_while_the_gateway_runs(tmp_path):
    path = tmp_path / "tidegate.pid"
    with with_pid_file(path) as gateway:
        gateway.wait_ready()
        assert path.read_text() == f"{gateway.pid}\n"
        refusal = f"tidegate: another gateway (pid {gateway.pid}) has the pid file {path} "
        refusal += "(stop it, or give this one another server.pid_file)"
        with with_pid_file(path) as second:
            assert second.wait() == 1
            assert second.complaints() == [refusal]
        assert path.read_text() == f"{gateway.pid}\n"
        gateway.signal(signal.SIGTERM)
        assert gateway.wait() == 0
    assert list(tmp_path.iterdir()) == []


def test_one_that_was_left_behind_is_replaced(tmp_path):
    path = tmp_path / "tidegate.pid"
    with with_pid_file(path) as killed:
        killed.wait_ready()
        killed.signal(signal.SIGKILL)
        killed.wait()
        assert path.read_text() == f"{killed.pid}\n"
        with with_pid_file(path) as gateway:
            gateway.wait_ready()
            assert path.read_text() == f"{gateway.pid}\n"


@pytest.mark.e2e
def test_it_stays_right_through_an_upgrade(tmp_path):
    path = tmp_path / "tidegate.pid"
    with upgradable(tmp_path, pid_file=str(path)) as it:
        assert it.upgrade()["phase"] == "done"
        assert path.read_text() == f"{it.gateway.pid}\n"
        it.gateway.signal(signal.SIGTERM)
        assert it.gateway.wait() == 0
        assert not path.exists()


def test_pid_that_is_another_programs_now_is_no_obstacle(tmp_path):
    path = tmp_path / "tidegate.pid"
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        path.write_text(f"{other.pid}\n")
        pid_file.look(path)
        pid_file.write(path)
        other.communicate(b"\n")
    assert path.read_text() == f"{os.getpid()}\n"
    pid_file.remove(path)
    assert not path.exists()


def test_what_is_not_ours_is_left_alone(tmp_path):
    path = tmp_path / "notes"
    path.write_text("buy milk\n")
    with pytest.raises(StartError, match="notes is not a pid file"):
        pid_file.look(path)
    path.write_text("1\n")
    pid_file.remove(path)
    assert path.read_text() == "1\n"


def test_link_that_somebody_has_laid_for_it_is_not_followed(tmp_path):
    precious = tmp_path / "precious"
    precious.write_text("precious")
    (tmp_path / f".a.pid.{os.getpid()}").symlink_to(precious)
    pid_file.write(tmp_path / "a.pid")
    assert precious.read_text() == "precious"
    assert not (tmp_path / "a.pid").is_symlink()
    assert (tmp_path / "a.pid").read_text() == f"{os.getpid()}\n"
    assert len(list(tmp_path.iterdir())) == 2


def test_place_that_cannot_be_written_is_said(tmp_path):
    with pytest.raises(StartError, match=r"absent/a.pid cannot be written: No such file or directory"):
        pid_file.write(tmp_path / "absent" / "a.pid")
