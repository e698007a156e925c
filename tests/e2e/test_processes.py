"""`tidegate run` and `tidegate quickstart` as people start them: real data plane, real demo server, real signals."""

import contextlib
import http.client
import json
import os
import pty
import shutil
import signal
import socket
import subprocess
import sys
import threading

import psutil
import pytest
from benchmarks.ports import free_port
from tests.cli.command import configuration, tidegate
from tests.process.gateway import RunningSupervisor, are_gone, eventually
from websockets.sync.client import connect

pytestmark = pytest.mark.e2e


# A session of its own with the terminal that is its standard input, as a shell in a new window has it.
IN_A_TERMINAL = (
    "import fcntl, os, signal, sys, termios\n"
    "os.setsid()\n"
    "fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"
    "if sys.argv[1] == 'nohup': signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
    "os.execv(sys.executable, [sys.executable, *sys.argv[2:]])"
)


@contextlib.contextmanager
def running(
    tmp_path, *arguments, before=(), stdin=subprocess.DEVNULL, python=sys.executable, environment=None, waits=True
):
    """A gateway from the command line, to its end; ready unless it is not waited for."""
    with (tmp_path / "stdout").open("wb") as stdout:
        process = subprocess.Popen(
            [python, *before, "-m", "tidegate", *map(str, arguments)],
            stdin=stdin,
            stdout=stdout,
            stderr=subprocess.PIPE,
            env={**os.environ, "TIDEGATE_RUNTIME_DIR": str(tmp_path / "run"), **(environment or {})},
        )
    gateway = RunningSupervisor(process)
    below = []
    try:
        yield gateway.wait_ready() if waits else gateway
    finally:
        with contextlib.suppress(psutil.Error):
            below = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        for child in below:
            with contextlib.suppress(psutil.Error):
                child.kill()
        process.wait()
        gateway.close()


@contextlib.contextmanager
def quickstart(tmp_path, **replacements):
    from tidegate.cli.quickstart import BUNDLED

    text = BUNDLED.read_text().replace('level = "warning"', 'level = "info"')
    for old, new in replacements.items():
        text = text.replace(old, new)
    path = tmp_path / "quickstart.toml"
    path.write_text(text)
    ports = ["--port", free_port(), "--admin-port", free_port(), "--upstream-port", free_port()]
    with running(tmp_path, "quickstart", *ports, path) as gateway:
        yield gateway


def ask(address, target, *, method="GET", body=None, headers=None):
    connection = http.client.HTTPConnection(address, timeout=20)
    try:
        connection.request(method, target, body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def access_log(tmp_path):
    return [json.loads(line) for line in (tmp_path / "stdout").read_text().splitlines()]


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed (Debian: curl)")
def test_quickstart_prints_three_lines_worth_trying_and_they_work(tmp_path):
    with quickstart(tmp_path) as gateway:
        gateway.hear("configuration: .*quickstart.toml")
        commands = [gateway.hear(r"^    (curl .*)")[1] for _ in range(3)]
        answers = [subprocess.run([*one.split(), "-s"], capture_output=True, check=True).stdout for one in commands]
        assert b"HTTP/1.1 200 OK" in answers[0] and answers[0].endswith(b"Hello from behind the gate.\n")
        assert answers[1].count(b"data: tide ") == 5
        assert answers[2] == b"tide"
        for target in ("/", "/stream?ms=1", "/headers", "/slow?ms=1"):
            assert ask(gateway.listener, target)[0] == 200, target
        status, headers, _ = ask(gateway.listener, "/old/hello?a=b")
        assert (status, headers["Location"]) == (308, "/hello?a=b")
        with connect(f"ws://{gateway.listener}/ws") as websocket:
            websocket.send("high tide")
            assert websocket.recv(timeout=60) == "high tide"
        gateway.signal(signal.SIGINT)
        assert gateway.wait() == 0
    assert [line["status"] for line in access_log(tmp_path) if line.get("target") == "/hello"] == [200]


def test_quickstart_says_when_no_upstream_leads_to_its_server(tmp_path):
    with quickstart(tmp_path, **{'endpoints = ["127.0.0.1:9901"]': 'endpoints = ["127.0.0.1:1"]'}) as gateway:
        gateway.hear("note: the demo server listens on 127.0.0.1:[0-9]+, and no upstream of this file leads there")
        gateway.signal(signal.SIGINT)
        assert gateway.wait() == 0


def test_gateway_without_upstreams_runs_from_its_file(tmp_path):
    path = tmp_path / "gateway.toml"
    path.write_text(configuration(free_port(), free_port()))
    with running(tmp_path, "run", path) as gateway:
        assert ask(gateway.listener, "/hello")[2] == b"hello\n"
        assert ask(gateway.admin, "/health/ready")[0] == 200
        assert b"tidegate_" in ask(gateway.admin, "/metrics")[2]
        assert psutil.Process(gateway.pid).cmdline()[-2] == "tidegate.process.supervisor"
        gateway.signal(signal.SIGTERM)
        assert gateway.wait() == 0


def test_drain_completes_what_is_in_flight_and_says_close(tmp_path):
    with quickstart(tmp_path) as gateway:
        idle = http.client.HTTPConnection(gateway.listener, timeout=20)
        idle.request("GET", "/hello")
        idle.getresponse().read()
        slow = http.client.HTTPConnection(gateway.listener, timeout=20)
        slow.request("GET", "/slow?ms=1000")
        streaming = http.client.HTTPConnection(gateway.listener, timeout=20)
        streaming.request("GET", "/stream?pieces=4&ms=300")
        stream = streaming.getresponse()
        assert stream.readline() == b"piece 0\n"
        gateway.signal(signal.SIGTERM)
        gateway.hear("kind=draining")

        def is_refused():
            try:
                socket.create_connection(gateway.address, timeout=20).close()
            except ConnectionRefusedError:
                return True
            return False

        eventually(is_refused, "nobody listens")
        idle.request("GET", "/hello")
        last = idle.getresponse()
        assert (last.status, last.getheader("Connection")) == (200, "close")
        answer = slow.getresponse()
        assert (answer.status, answer.read()) == (200, b"That took 1000 ms.\n")
        assert stream.read().endswith(b"piece 3\n")
        # Its answer had begun before the drain and could not say close: the client may keep it until the deadline.
        streaming.close()
        assert gateway.wait() == 0
        idle.close()
        slow.close()


def test_second_signal_cuts_what_is_in_flight(tmp_path):
    with quickstart(tmp_path) as gateway:
        slow = http.client.HTTPConnection(gateway.listener, timeout=20)
        slow.request("GET", "/stream?pieces=1000&ms=1000")
        assert slow.getresponse().readline() == b"piece 0\n"
        pids = [*gateway.workers(), *gateway.control(), *gateway.children("tidegate.cli.demo_upstream")]
        assert len(pids) >= 3
        gateway.signal(signal.SIGTERM)
        gateway.hear("kind=draining")
        gateway.signal(signal.SIGTERM)
        assert gateway.wait(10) == 0
        assert are_gone(pids)
        slow.close()


@pytest.mark.parametrize("start", ["plain", "nohup"])
def test_gateway_ends_with_its_terminal_unless_told_otherwise(tmp_path, start):
    path = tmp_path / "gateway.toml"
    path.write_text(configuration(free_port(), free_port()))
    master, slave = pty.openpty()
    with running(tmp_path, "run", path, before=["-c", IN_A_TERMINAL, start], stdin=slave) as gateway:
        os.close(slave)
        os.close(master)
        if start == "nohup":
            gateway.signal(signal.SIGHUP)
            gateway.hear("kind=reloaded by=SIGHUP .*nothing has changed")
            assert ask(gateway.listener, "/hello")[0] == 200
        else:
            assert gateway.wait() == 0


def test_closed_standard_descriptors_are_no_obstacle(tmp_path):
    port = free_port()
    path = tmp_path / "gateway.toml"
    path.write_text(configuration(port, free_port()) + '[access_log]\npath = "off"\n')
    run = f"exec {sys.executable} -m tidegate run {path} <&- >&- 2>&-"
    environment = {"TIDEGATE_RUNTIME_DIR": str(tmp_path / "run")}
    process = subprocess.Popen(["/bin/sh", "-c", run], env={**os.environ, **environment})
    try:
        eventually(lambda: answers(f"127.0.0.1:{port}"), "it serves")
        assert tidegate("stop", environment=environment).returncode == 0
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()


def answers(address):
    try:
        return ask(address, "/hello")[0] == 200
    except OSError:
        return False


def test_killed_worker_fails_only_its_own_connections(tmp_path):
    with quickstart(tmp_path, **{'workers = "auto"': "workers = 2"}) as gateway:
        served = threading.Event()
        should_end = threading.Event()
        failures = []
        counts = [0] * 3

        def load(index):
            while not should_end.wait(0.005):
                try:
                    # a connection for each request: one that waits in a queue must not be lost
                    assert ask(gateway.listener, "/hello")[0] == 200
                    counts[index] += 1
                    if min(counts) > 30:
                        served.set()
                except (OSError, http.client.HTTPException) as error:
                    failures.append(error)

        threads = [threading.Thread(target=load, args=(index,)) for index in range(len(counts))]
        for thread in threads:
            thread.start()
        try:
            for round_number in range(4):
                assert served.wait(30)
                victim = gateway.workers()[round_number % 2]
                os.kill(victim, signal.SIGKILL)
                eventually(lambda victim=victim: victim not in gateway.workers(), "it is gone")
                eventually(lambda: len(gateway.workers()) == 2, "its successor runs")
                counts[:] = [0] * len(counts)
                served.clear()
                assert served.wait(30)
        finally:
            should_end.set()
            for thread in threads:
                thread.join(30)
        # Each client has one request at a time: a kill can cost each of them at most the one it was serving.
        assert len(failures) <= 4 * len(threads)


def test_idle_worker_is_at_most_40_mb(tmp_path):
    with quickstart(tmp_path) as gateway:
        for pid in gateway.workers():
            assert psutil.Process(pid).memory_info().rss <= 40 << 20


def test_supervisor_killed_leaves_no_orphan(tmp_path):
    with quickstart(tmp_path) as gateway:
        assert ask(gateway.listener, "/hello")[0] == 200
        pids = [*gateway.workers(), *gateway.control(), *gateway.children("tidegate.cli.demo_upstream")]
        gateway.process.kill()
        gateway.wait()
        eventually(lambda: are_gone(pids), "no orphan is left")


def test_command_line_finds_it_and_stops_it(tmp_path):
    environment = {"TIDEGATE_RUNTIME_DIR": str(tmp_path / "run")}
    with quickstart(tmp_path) as gateway:
        ask(gateway.listener, "/hello")
        document = json.loads(tidegate("status", "--json", environment=environment).stdout)
        assert document["upstreams"][0]["exchanges_total"] == 1
        assert sum(worker["exchanges_total"] for worker in document["workers"]) == 1
        assert tidegate("stop", environment=environment).returncode == 0
        assert gateway.wait(5) == 0


def test_second_gateway_on_the_same_port_is_refused(tmp_path):
    port = free_port()
    (tmp_path / "one.toml").write_text(configuration(port, free_port()))
    (tmp_path / "two.toml").write_text(configuration(port, free_port()))
    with running(tmp_path, "run", tmp_path / "one.toml"):
        done = tidegate("run", tmp_path / "two.toml", environment={"TIDEGATE_RUNTIME_DIR": str(tmp_path / "run2")})
        assert done.returncode == 1
        assert f"cannot listen on 127.0.0.1:{port}: another program listens there already" in done.stderr
