"""A gateway that root starts and that goes on as another user, in all its processes and all its life."""

import contextlib
import json
import os
import re
import signal
import socket
from pathlib import Path

import psutil
import pytest
import trustme
from benchmarks.ports import free_port
from tests.cli.command import tidegate
from tests.e2e.test_processes import ask, running
from tests.process.gateway import eventually
from tests.process.other_user import interpreter, needs_root, nobody, open_path

__all__ = ["open_path"]

pytestmark = [pytest.mark.e2e, needs_root, pytest.mark.timeout(180)]


def low_port():
    """One that root alone may bind, where the machine makes that difference."""
    for port in range(1023, 511, -1):
        with contextlib.suppress(OSError), socket.socket() as one:
            one.bind(("127.0.0.1", port))
            return port
    raise AssertionError("every low port is taken")


def written(path, *, workers=1, server="", more=""):
    port = low_port()
    file = path / "gateway.toml"
    file.write_text(
        f"""
[server]
workers = {workers}
user = "nobody"
admin = "127.0.0.1:{free_port()}"
state_dir = "state"
pid_file = "tidegate.pid"
{server}
[error_log]
path = "logs/error.log"
[access_log]
path = "logs/access.log"
flush = "10ms"
[[listeners]]
bind = "127.0.0.1:{port}"
[[routes]]
name = "hello"
path = "/hello"
respond = {{ body = "hello" }}
{more}
"""
    )
    return file


def identity_of(pid):
    status = Path(f"/proc/{pid}/status").read_text()
    numbers = {
        name: re.search(rf"^{name}:\t(.*)$", status, re.MULTILINE)[1].split() for name in ("Uid", "Gid", "Groups")
    }
    return numbers, re.search(r"^CapEff:\t(\w+)$", status, re.MULTILINE)[1], re.search(r"NoNewPrivs:\t(\d)", status)[1]


def said(gateway):
    status, _, body = ask(gateway.listener, "/hello")
    return status, body


def assert_all_are_nobody(gateway, workers):
    user = nobody()
    children = psutil.Process(gateway.pid).children()
    assert len(children) in (workers + 1, workers + 2)  # control, and soon the spare one
    for pid in (gateway.pid, *(child.pid for child in children)):
        numbers, capabilities, no_new_privileges = identity_of(pid)
        assert numbers["Uid"] == [str(user.pw_uid)] * 4
        assert numbers["Gid"] == [str(user.pw_gid)] * 4
        assert set(map(int, numbers["Groups"])) == set(os.getgrouplist("nobody", user.pw_gid))
        assert int(capabilities, 16) == 0
        assert no_new_privileges == "1"


def test_every_process_is_the_user_and_commands_of_root_still_work(open_path):
    python, environment = interpreter()
    environment = {**environment, "TIDEGATE_RUNTIME_DIR": str(open_path / "run")}

    def command(*arguments):
        done = tidegate(*arguments, python=python, environment=environment, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout

    logs = open_path / "logs"
    logs.mkdir()
    os.chown(logs, nobody().pw_uid, nobody().pw_gid)
    file = written(open_path, workers=2)
    with running(open_path, "run", file, python=python, environment=environment) as gateway:
        error_log = logs / "error.log"
        assert_all_are_nobody(gateway, workers=2)
        assert "kind=root_given_up" in error_log.read_text()
        assert said(gateway) == (200, b"hello")

        # logs that were moved away are opened anew by who may not be root any more
        for log in logs.iterdir():
            log.rename(log.with_suffix(".1"))
        gateway.signal(signal.SIGUSR1)
        eventually(lambda: (logs / "access.log").exists() and error_log.exists(), "the logs are there again")
        assert ask(gateway.listener, "/hello")[0] == 200
        eventually(lambda: "/hello" in (logs / "access.log").read_text(), "lines come to the new file")

        # a successor, another configuration, another program
        victim = gateway.workers()[0]
        os.kill(victim, signal.SIGKILL)
        eventually(lambda: victim not in gateway.workers() and len(gateway.workers()) == 2, "it has a successor")
        eventually(lambda: "process_died" in error_log.read_text(), "the new error log is written")
        assert_all_are_nobody(gateway, workers=2)
        file.write_text(file.read_text().replace('body = "hello"', 'body = "again"'))
        assert "configuration 2 is active" in command("reload")
        assert said(gateway) == (200, b"again")
        old = set(gateway.workers())
        assert "generation 2 serves" in command("upgrade")
        eventually(
            lambda: old.isdisjoint(child.pid for child in psutil.Process(gateway.pid).children()),
            "the old generation is gone",
        )
        assert_all_are_nobody(gateway, workers=2)
        assert said(gateway) == (200, b"again")

        # state and recordings are written by the user, for the user
        recording = Path(command("record").strip())
        assert json.loads((open_path / "state" / "history" / "000002.json").read_text())["number"] == 2
        for path in (recording, *(open_path / "state").rglob("*"), *logs.iterdir()):
            assert path.owner() == "nobody"
        assert json.loads(command("status", "--json"))["generation"] == 2
        assert "stopped" in command("stop")
        assert gateway.wait() == 0
    assert list((open_path / "run").iterdir()) == []

    # what the first one left behind is in nobody's way, the pid file that it could not remove neither
    file.write_text(file.read_text().replace("workers = 2", "workers = 1"))
    with running(open_path, "run", file, python=python, environment=environment) as gateway:
        assert (open_path / "tidegate.pid").read_text() == f"{gateway.pid}\n"
        assert said(gateway) == (200, b"again")
        again = tidegate("run", file, python=python, environment=environment)
        assert again.returncode == 1
        assert f"another gateway (pid {gateway.pid}) keeps its state in" in again.stderr


def test_state_and_logs_that_root_has_left_are_given_to_the_user(open_path):
    python, environment = interpreter()
    (open_path / "logs").mkdir()
    file = written(open_path)
    text = file.read_text()
    file.write_text(text.replace('user = "nobody"\n', ""))
    with running(open_path, "run", file, python=python, environment=environment) as gateway:
        eventually((open_path / "state" / "history" / "000001.json").exists, "the state is written")
        assert identity_of(gateway.pid)[0]["Uid"] == ["0"] * 4
        gateway.signal(signal.SIGTERM)
        assert gateway.wait() == 0
    file.write_text(text)
    with running(open_path, "run", file, python=python, environment=environment) as gateway:
        assert_all_are_nobody(gateway, workers=1)
        eventually((open_path / "state" / "history" / "000002.json").exists, "the state is written")
        for path in (open_path / "state", *(open_path / "state").rglob("*"), *(open_path / "logs").iterdir()):
            assert path.owner() == "nobody"


def test_group_may_be_another_one(open_path):
    python, environment = interpreter()
    (open_path / "logs").mkdir()
    file = written(open_path, server="group = 12345")
    with running(open_path, "run", file, python=python, environment=environment) as gateway:
        for pid in (gateway.pid, *gateway.workers(), *gateway.control()):
            numbers, *_ = identity_of(pid)
            assert numbers["Gid"] == ["12345"] * 4
            assert "12345" in numbers["Groups"]
            assert "0" not in numbers["Groups"]


def test_file_that_the_user_may_not_read_is_named(open_path):
    python, environment = interpreter()
    environment = {**environment, "TIDEGATE_RUNTIME_DIR": str(open_path / "run")}
    (open_path / "logs").mkdir()
    page = open_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(str(page))
    page.chmod(0o600)
    upstream = '[upstreams.a]\nendpoints = ["127.0.0.1:9"]\ntls = { ca = "ca.pem" }\n'
    upstream += '[[routes]]\nname = "a"\npath = "/a"\nupstream = "a"\n'
    done = tidegate("run", written(open_path, more=upstream), python=python, environment=environment)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        f"tidegate: user nobody may not read {page} (give it to a group of that user)"
    )


def test_who_is_not_root_cannot_become_somebody_else(open_path):
    python, environment = interpreter()
    user = nobody()
    (open_path / "logs").mkdir()
    file = written(open_path).rename(open_path / "other.toml")
    file.write_text(file.read_text().replace('user = "nobody"', 'user = "daemon"').replace("logs/", "/tmp/none-"))
    environment = {**environment, "TIDEGATE_RUNTIME_DIR": str(open_path / "run")}
    as_nobody = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": [], "cwd": "/"}
    assert tidegate("check", file, python=python, environment=environment, **as_nobody).returncode == 0
    done = tidegate("run", file, python=python, environment=environment, **as_nobody)
    assert done.returncode == 1
    assert done.stderr == (
        "tidegate: cannot become user daemon, as the gateway was not started by root (start it as root, or as that "
        "user with its group, or take server.user out)\n"
    )
