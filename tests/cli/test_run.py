"""What keeps a gateway from starting: one line and an exit code. What it does then is in tests/e2e."""

import os
import socket
import subprocess
import sys

from benchmarks.ports import free_port
from tests.cli.command import configuration, tidegate
from tests.process.other_user import needs_root, nobody

from tidegate.config.snapshot import Origin
from tidegate.process import state_directory
from tidegate.process.history import Entry, History


def test_invalid_configuration_is_3_with_its_findings(tmp_path):
    path = tmp_path / "gateway.toml"
    path.write_text("[[listeners]]\nbind = 17\n")
    done = tidegate("run", path)
    assert done.returncode == 3
    assert f"{path}:2" in done.stderr
    assert done.stdout == ""


def test_missing_file_is_3_in_one_line(tmp_path):
    done = tidegate("run", tmp_path / "absent.toml")
    assert done.returncode == 3
    assert "absent.toml: cannot be read: No such file or directory" in done.stderr
    assert "Traceback" not in done.stderr


def test_bad_certificate_is_3_and_named(tmp_path):
    (tmp_path / "cert.pem").write_text("not a certificate")
    (tmp_path / "key.pem").write_text("not a key")
    path = tmp_path / "gateway.toml"
    tls = 'tls = { certificates = [{ cert = "cert.pem", key = "key.pem" }] }'
    path.write_text(configuration(free_port(), free_port()).replace("[[routes]]", f"{tls}\n\n[[routes]]"))
    done = tidegate("run", path)
    assert done.returncode == 3
    assert "cert.pem" in done.stderr
    assert "Traceback" not in done.stderr


def test_port_in_use_is_1_in_one_line(tmp_path):
    path = tmp_path / "gateway.toml"
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        path.write_text(configuration(port, free_port()))
        done = tidegate("run", path, environment={"TIDEGATE_RUNTIME_DIR": str(tmp_path / "run")})
    assert done.returncode == 1
    assert done.stderr == (
        f"tidegate: cannot listen on 127.0.0.1:{port}: another program listens there already "
        "(stop it, or choose another address)\n"
    )


@needs_root
def test_port_without_permission_is_1_in_one_line(tmp_path):
    look = """
import ctypes, encodings.idna, os, sys
from pathlib import Path
if int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text()) <= 80:
    ctypes.CDLL(None).unshare(0x40000000)  # a network of its own, with its own rule
    Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").write_text("1024")
from tidegate.process.failure import StartError
from tidegate.process.listeners import ListenerGroup
from tidegate.config.listeners import Listener
os.setgroups([]); os.setgid(65534); os.setuid(65534)
try:
    ListenerGroup.open(Listener(bind="0.0.0.0:80"), 2)
except StartError as failure:
    print(failure)
"""
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert done.stdout == (
        "cannot listen on 0.0.0.0:80: no permission (ports below 1024 need root or the capability "
        "CAP_NET_BIND_SERVICE)\n"
    )


def test_runtime_directory_of_somebody_else_is_1_in_one_line(tmp_path):
    path = tmp_path / "gateway.toml"
    path.write_text(configuration(free_port(), free_port()))
    (tmp_path / "run").mkdir(mode=0o777)
    (tmp_path / "run").chmod(0o777)
    done = tidegate("run", path, environment={"TIDEGATE_RUNTIME_DIR": str(tmp_path / "run")})
    assert done.returncode == 1
    assert "is open to other users" in done.stderr
    assert done.stderr.count("\n") == 1


@needs_root
def test_root_starts_with_no_configuration_that_another_user_may_have_written(tmp_path, monkeypatch):
    monkeypatch.setenv("TIDEGATE_STATE_DIR", str(tmp_path / "states"))
    path = tmp_path / "gateway.toml"
    path.write_text("[[listeners]]\nbind = 17\n")
    history = History(state_directory.for_file(path))
    invalid = "[[listeners]]\nbind = 18\n"
    history.add(Entry(number=4, etag="4", origin=Origin(kind="api", directory=str(tmp_path)), text=invalid))

    of_root = tidegate("run", "--last-good", path)
    assert of_root.returncode == 3
    assert "configuration 4:2" in of_root.stderr
    assert f"to start with it: tidegate run --last-good {path}\n" in tidegate("run", path).stderr

    way = f"read {history.directory}/last-good.toml, and put it in place of {path}\n"
    for his in (history.directory / "history", history.directory):
        os.chown(his, nobody().pw_uid, nobody().pw_gid)
        done = tidegate("run", "--last-good", path)
        assert done.returncode == 1
        assert done.stderr == (
            f"tidegate: {history.directory} is not root's, so that another user may have written what is there, and a "
            f"configuration says what root does; to start with the last good one: {way}"
        )
        assert f"to start with it: {way}" in tidegate("run", path).stderr
        os.chown(his, 0, 0)
