"""Control beside real workers: what it answers whatever they do, and what becomes of it."""

import contextlib
import http.client
import json
import os
import signal
import socket
import stat
import subprocess
import sys

import psutil
import pytest
from tests.process.gateway import are_gone, eventually, stop_signal, supervised

from tidegate.config.listeners import Listener
from tidegate.config.logs import AccessLog, ErrorLog
from tidegate.config.schema import Gateway
from tidegate.config.server import Server

pytestmark = pytest.mark.e2e


@pytest.fixture
def runtime_dir(tmp_path):
    return tmp_path / "run"


def ask(gateway, path, *, method="GET", host=None, timeout=60.0):
    """Status and decoded body."""
    connection = http.client.HTTPConnection(gateway.admin, timeout=timeout)
    try:
        connection.request(method, path, headers={"Host": host} if host else {})
        answer = connection.getresponse()
        content = answer.read()
        is_json = content and answer.headers.get_content_type() == "application/json"
        return answer.status, json.loads(content) if is_json else content
    finally:
        connection.close()


def test_health_and_status_of_a_gateway_that_is_well(runtime_dir):
    with supervised(workers=2, has_control=True, runtime_dir=runtime_dir) as gateway:
        gateway.wait_ready()
        assert ask(gateway, "/health/live") == (200, {"status": "live", "reasons": []})
        assert ask(gateway, "/health/ready") == (200, {"status": "ready", "reasons": []})
        assert ask(gateway, "/health/ready", method="HEAD") == (200, b"")
        _, status = ask(gateway, "/status")
        assert status["snapshot"]["number"] == 1
        assert status["generation"] == 1
        assert status["uptime_s"] > 0
        assert {worker["pid"] for worker in status["workers"]} == set(gateway.workers())
        assert b"tidegate_" in ask(gateway, "/metrics")[1]
        assert [worker["state"] for worker in status["workers"]] == ["ready", "ready"]


def test_health_answers_at_once_and_is_red_while_every_worker_is_stopped(runtime_dir):
    with supervised(workers=2, has_control=True, runtime_dir=runtime_dir) as gateway:
        gateway.wait_ready()
        for pid in gateway.workers():
            stop_signal(pid)
        _, body = eventually(
            lambda: (found := ask(gateway, "/health/ready", timeout=10.0))[0] == 503 and found, "readiness turns red"
        )
        assert "no worker serves: worker 0 is stalled for" in body["reasons"][0]
        assert ask(gateway, "/health/live", timeout=10.0)[0] == 200
        # The sample of the latest second may be from just after they were stopped.
        eventually(lambda: ask(gateway, "/status")[1]["saturation"] > 1, "it is more than full")
        os.kill(gateway.workers()[0], signal.SIGCONT)
        eventually(lambda: ask(gateway, "/health/ready")[0] == 200, "one worker is enough")


def test_health_answers_while_every_worker_is_blocked(runtime_dir):
    with supervised(workers=2, has_control=True, runtime_dir=runtime_dir) as gateway:
        gateway.wait_ready()
        with contextlib.ExitStack() as stack:
            held = {}

            def is_every_worker_held():
                client = stack.enter_context(gateway.connect())
                held[client.makefile("rb").readline().split()[0]] = client
                return len(held) == 2

            eventually(is_every_worker_held, "both workers get connections")
            for one in held.values():
                one.sendall(b"burn 20")
            eventually(lambda: ask(gateway, "/health/ready", timeout=10.0)[0] == 503, "the stall is seen")
            assert ask(gateway, "/health/live", timeout=10.0)[0] == 200


def test_readiness_is_red_while_draining(runtime_dir):
    with supervised(workers=1, has_control=True, runtime_dir=runtime_dir) as gateway:
        gateway.wait_ready()
        with gateway.connect() as held:
            held.makefile("rb").readline()
            gateway.signal(signal.SIGTERM)
            eventually(lambda: ask(gateway, "/health/ready")[0] == 503, "readiness turns red")
            assert "the gateway is draining" in ask(gateway, "/health/ready")[1]["reasons"]
            assert ask(gateway, "/status")[1]["state"] == "draining"


def test_killed_control_is_replaced_and_nobody_else_notices(runtime_dir):
    with supervised(workers=2, has_control=True, runtime_dir=runtime_dir) as gateway:
        gateway.wait_ready()
        workers = gateway.workers()
        (first,) = gateway.control()
        with gateway.connect() as held:
            held.makefile("rb").readline()
            os.kill(first, signal.SIGKILL)
            held.sendall(b"tide\n")
            assert held.recv(100) == b"tide\n"
            gateway.hear(r"control is gone \(killed by SIGKILL\); the next one starts now")
            # asked before the successor runs: answered by it
            assert ask(gateway, "/health/ready") == (200, {"status": "ready", "reasons": []})
            assert ask(gateway, "/status")[1]["workers"][0]["restarts"] == 0
        assert gateway.workers() == workers
        assert gateway.control() != [first]


def test_restart_of_a_worker_is_told(runtime_dir):
    with supervised(workers=1, has_control=True, runtime_dir=runtime_dir) as gateway:
        gateway.wait_ready()
        os.kill(gateway.workers()[0], signal.SIGKILL)

        def told():
            (worker,) = ask(gateway, "/status")[1]["workers"]
            return worker["restarts"] == 1 and worker["state"] == "ready" and worker

        assert eventually(told, "the restart is told")["last_death"] == "killed by SIGKILL"


def test_control_ends_when_the_supervisor_is_killed(runtime_dir):
    with supervised(workers=1, has_control=True, runtime_dir=runtime_dir) as gateway:
        gateway.wait_ready()
        pids = [*gateway.control(), *gateway.workers()]
        gateway.process.kill()
        gateway.wait()
        eventually(lambda: are_gone(pids), "no orphan is left")


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example:9900", "127.0.0.1.evil.example"])
def test_other_peoples_names_are_not_served(runtime_dir, host):
    with supervised(workers=1, has_control=True, runtime_dir=runtime_dir) as gateway:
        gateway.wait_ready()
        assert ask(gateway, "/status", host=host)[0] == 421
        assert ask(gateway, "/status", host="localhost:1")[0] == 200


def test_tcp_only_reads(runtime_dir):
    with supervised(workers=1, has_control=True, runtime_dir=runtime_dir) as gateway:
        gateway.wait_ready()
        assert ask(gateway, "/stop", method="POST")[0] == 403
        assert ask(gateway, "/config", method="PUT")[0] == 403
        assert ask(gateway, "/status", method="POST")[0] == 405
        assert gateway.process.poll() is None


def test_command_socket_is_for_its_user_alone_and_goes_with_the_gateway(runtime_dir):
    with supervised(workers=1, has_control=True, runtime_dir=runtime_dir) as gateway:
        gateway.wait_ready()
        path = runtime_dir / f"{gateway.pid}.sock"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(runtime_dir.stat().st_mode) == 0o700
        gateway.signal(signal.SIGTERM)
        assert gateway.wait() == 0
    assert not path.exists()


def test_admin_port_in_use_is_one_line(runtime_dir):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        admin = f"127.0.0.1:{taken.getsockname()[1]}"
        settings = Gateway(server=Server(workers=1, admin=admin), listeners=(Listener(bind="127.0.0.1:0"),))
        with supervised(gateway=settings, has_control=True, runtime_dir=runtime_dir) as gateway:
            assert gateway.wait() == 1
            (line,) = gateway.complaints()
            assert line.startswith(f"tidegate: cannot listen on {admin}: another program")


@pytest.mark.parametrize("which", ["access", "error"])
def test_log_that_cannot_be_opened_is_one_line(runtime_dir, which):
    path = "/no/such/directory/the.log"
    settings = Gateway(
        server=Server(workers=1, admin="127.0.0.1:0"),
        listeners=(Listener(bind="127.0.0.1:0"),),
        **{f"{which}_log": (AccessLog if which == "access" else ErrorLog)(path=path)},
    )
    with supervised(gateway=settings, has_control=True, runtime_dir=runtime_dir) as gateway:
        assert gateway.wait() == 1
        (line,) = gateway.complaints()
        assert line == f"tidegate: the {which} log {path} cannot be opened: No such file or directory"


def test_logs_are_opened_anew_on_sigusr1(runtime_dir, tmp_path):
    error_log = tmp_path / "error.log"
    access_log = tmp_path / "access.log"
    settings = Gateway(
        server=Server(workers=1, admin="127.0.0.1:0"),
        listeners=(Listener(bind="127.0.0.1:0"),),
        access_log=AccessLog(path=str(access_log)),
        error_log=ErrorLog(path=str(error_log)),
    )
    with supervised(gateway=settings, has_control=True, runtime_dir=runtime_dir) as gateway:
        gateway.wait_ready()
        for path in (access_log, error_log):
            path.rename(path.with_suffix(".old"))
        gateway.signal(signal.SIGUSR1)
        eventually(lambda: access_log.exists() and error_log.exists(), "both are opened anew")

        def holds_old(pid):
            return any(".old" in one.path for one in psutil.Process(pid).open_files())

        everybody = [gateway.pid, *gateway.workers(), *gateway.control()]
        eventually(lambda: not any(holds_old(pid) for pid in everybody), "nobody holds the old files")


def test_control_loads_what_workers_must_not():
    look = "import sys, tidegate.process.control; print('uvicorn' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n", "the web framework is loaded when control runs, not by who imports its types"
