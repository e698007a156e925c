"""What of the configuration concerns processes, files and sockets, in a gateway as people start it."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import re
import shutil
import signal
import socket
import stat
import subprocess
import threading
import time
from pathlib import Path
from typing import NamedTuple

import pytest
from benchmarks.ports import free_port
from prometheus_client.parser import text_string_to_metric_families
from tests.cli.command import tidegate
from tests.e2e.test_processes import ask, running
from tests.process.gateway import RunningSupervisor, eventually

pytestmark = pytest.mark.e2e

HELLO = '[[routes]]\nname = "hello"\nrespond = { body = "hello" }\n'


@contextlib.contextmanager
def gateway(tmp_path, text=HELLO, *, server="workers = 1", listener="", bind=None):
    """A gateway of this configuration; the admin address and the listener are filled in."""
    path = tmp_path / "gateway.toml"
    path.write_text(
        f'[server]\nadmin = "127.0.0.1:{free_port()}"\n{server}\n'
        f'[[listeners]]\nbind = "{bind or f"127.0.0.1:{free_port()}"}"\n{listener}\n{text}\n'
    )
    with running(tmp_path, "run", path) as supervisor:
        yield supervisor


def metrics(running_gateway):
    """Samples of /metrics by name and labels."""
    text = ask(running_gateway.admin, "/metrics")[2].decode()
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def status(running_gateway):
    return json.loads(ask(running_gateway.admin, "/status")[2])


def pipelined(address, count, target="/"):
    """``count`` requests on one connection in writes of a hundred; the answers' statuses."""
    with socket.create_connection(address, timeout=20) as sock:
        statuses = []
        buffer = b""
        while len(statuses) < count:
            turn = min(100, count - len(statuses))
            sock.sendall(f"GET {target} HTTP/1.1\r\nHost: a\r\n\r\n".encode() * turn)
            got = 0
            while got < turn:
                data = sock.recv(1 << 20)
                assert data, "closed"
                buffer += data
                found = re.findall(rb"HTTP/1\.1 (\d+) .*?\r\n\r\n", buffer, re.DOTALL)
                # A body ends before the next status line: answers are counted by their heads.
                got = len(found) if buffer.endswith((b"hello", b"}")) else 0
            statuses += [int(one) for one in found]
            buffer = b""
        return statuses


def test_workers_accept_all_of_them(tmp_path):
    with gateway(tmp_path, server="workers = 3") as running_gateway:
        assert len(running_gateway.workers()) == 3
        clients = [socket.create_connection(running_gateway.address, timeout=20) for _ in range(90)]
        try:
            for client in clients:
                client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert all(client.recv(1000).startswith(b"HTTP/1.1 200") for client in clients)
            shown = status(running_gateway)
            by_worker = [worker["connections"] for worker in shown["workers"]]
            assert (sum(by_worker), len(by_worker)) == (90, 3)
            assert min(by_worker) > 5, by_worker
            assert metrics(running_gateway)["tidegate_connections_open",] == 90
        finally:
            for client in clients:
                client.close()
        eventually(lambda: metrics(running_gateway)["tidegate_connections_open",] == 0, "all are counted out")


class Listening(NamedTuple):
    """A gateway with listeners of all kinds, and where its file says that they are."""

    gateway: RunningSupervisor
    admin: str
    port: str
    ipv6_port: int
    path: Path


@pytest.fixture(scope="module")
def listening(tmp_path_factory):
    place = tmp_path_factory.mktemp("listening")
    with socket.socket(socket.AF_INET6) as one:
        one.bind(("::1", 0))
        ipv6_port = one.getsockname()[1]
    admin, port, path = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}", place / "socket"
    (place / "gateway.toml").write_text(
        f'[server]\nadmin = "{admin}"\nworkers = "auto"\n'
        f'[[listeners]]\nbind = "{port}"\nbacklog = 33\n'
        f'[[listeners]]\nbind = "[::1]:{ipv6_port}"\n'
        f'[[listeners]]\nbind = "unix:{path}"\nmode = "0600"\nowner = "{owner().pw_name}"\nbacklog = 77\n{HELLO}'
    )
    with running(place, "run", place / "gateway.toml") as supervisor:
        yield Listening(supervisor, admin, port, ipv6_port, path)


def owner():
    """Whom a socket may be given: only root can give a file away."""
    return pwd.getpwnam("nobody") if os.getuid() == 0 else pwd.getpwuid(os.getuid())


def test_workers_auto_is_one_for_each_core(listening):
    assert len(listening.gateway.workers()) == len(os.sched_getaffinity(0))


def test_admin_is_where_it_is_said_to_be(listening):
    assert ask(listening.admin, "/health/ready")[0] == 200


def test_filter_packages_are_the_only_ones(tmp_path):
    (tmp_path / "gateway.toml").write_text(
        '[[listeners]]\nbind = "127.0.0.1:0"\n[filters.f]\nclass = "tests.plane.option_filters:Appends"\n'
        '[[routes]]\nname = "a"\nfilters = ["f"]\nrespond = {}\n'
    )
    done = tidegate("check", tmp_path / "gateway.toml")
    assert done.returncode == 3
    assert 'put "tests" into server.filter_packages' in done.stdout + done.stderr


def test_drain_timeout_cuts_what_is_left(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as upstream:
        text = (
            f'[upstreams.a]\nendpoints = ["127.0.0.1:{upstream.getsockname()[1]}"]\n'
            '[[routes]]\nname = "a"\nupstream = "a"\n'
        )
        server = 'workers = 1\ndrain_timeout = "500ms"'
        with gateway(tmp_path, text, server=server) as running_gateway, running_gateway.connect() as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            with upstream.accept()[0] as asked:
                assert asked.recv(1000).startswith(b"GET / ")
                began = time.monotonic()
                running_gateway.signal(signal.SIGTERM)
                with contextlib.suppress(ConnectionError):
                    assert client.recv(1000) == b""
                assert 0.4 < time.monotonic() - began < 5
                assert running_gateway.wait() == 0


def test_unix_listener_has_its_mode_owner_and_backlog(listening):
    shown = listening.path.stat()
    assert (stat.S_IMODE(shown.st_mode), shown.st_uid) == (0o600, owner().pw_uid)
    assert queue_of("-lx", str(listening.path)) == 77
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(listening.path))
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.recv(1000).endswith(b"hello")


def queue_of(flags, name):
    """How many connections the kernel lets wait at the listening socket ``name``."""
    if shutil.which("ss") is None:
        pytest.skip("ss is not installed (Debian: iproute2)")
    for line in subprocess.run(["ss", f"{flags}nH"], capture_output=True, text=True, check=True).stdout.splitlines():
        words = line.split()
        if name in words:
            return int(words[words.index("LISTEN") + 2])
    raise AssertionError(f"nobody listens on {name}")


def test_backlog_of_a_port(listening):
    assert queue_of("-lt", listening.port) == 33


def test_bind_may_be_ipv6(listening):
    with socket.create_connection(("::1", listening.ipv6_port), timeout=20) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.recv(1000).endswith(b"hello")


# -- logs --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "pattern"),
    [
        ("", r'\{"ts":"[^"]+","request_id":.*"status":200,.*\}'),
        ('fields = ["status", "target", "client"]', r'\{"status":200,"target":"/x\?y","client":"127.0.0.1"\}'),
        ('format = "combined"', r'127\.0\.0\.1 - - \[.*\] "GET /x\?y HTTP/1\.1" 200 5 "-" "-"'),
        ('format = "{client} {method} {target} {status}"', r"127\.0\.0\.1 GET /x\?y 200"),
    ],
)
def test_access_log_path_format_and_fields(tmp_path, settings, pattern):
    text = f'{HELLO}[access_log]\npath = "logs/access"\n{settings}\nflush = "10ms"\n'
    (tmp_path / "logs").mkdir()
    with gateway(tmp_path, text) as running_gateway:
        assert pipelined(running_gateway.address, 1, "/x?y") == [200]
        line = eventually((tmp_path / "logs" / "access").read_text, "it is written")
        assert re.fullmatch(pattern + "\n", line), line


def test_access_log_flush_is_how_long_a_line_waits(tmp_path):
    for flush, is_soon in (("10ms", True), ("30s", False)):
        text = f'{HELLO}[access_log]\npath = "{tmp_path}/{flush}"\nflush = "{flush}"\n'
        with gateway(tmp_path, text) as running_gateway:
            assert pipelined(running_gateway.address, 1) == [200]
            file = tmp_path / flush
            if is_soon:
                eventually(file.read_text, "it is written")
            else:
                time.sleep(1.5)  # there is nothing to wait for
                assert file.read_text() == ""
                running_gateway.signal(signal.SIGTERM)
                assert running_gateway.wait() == 0
                assert file.read_text().count("\n") == 1


def test_access_log_off_writes_nothing(tmp_path):
    with gateway(tmp_path, f'{HELLO}[access_log]\npath = "off"\n') as running_gateway:
        assert pipelined(running_gateway.address, 10) == [200] * 10
        assert status(running_gateway)["access_log"] is None
        running_gateway.signal(signal.SIGTERM)
        assert running_gateway.wait() == 0
    assert (tmp_path / "stdout").read_text() == ""


def test_access_log_buffer_is_what_a_standing_writer_costs_and_what_does_not_fit_is_counted(tmp_path):
    for size, fits in (("64KiB", False), ("1MiB", True)):
        text = f'{HELLO}[access_log]\npath = "{tmp_path}/{size}"\nbuffer = "{size}"\n'
        with gateway(tmp_path, text) as running_gateway:
            (control,) = running_gateway.control()
            os.kill(control, signal.SIGSTOP)
            try:
                assert pipelined(running_gateway.address, 1000) == [200] * 1000
            finally:
                os.kill(control, signal.SIGCONT)
            lost = metrics(running_gateway)["tidegate_log_lines_lost_total",]
            assert (lost == 0) == fits
            running_gateway.signal(signal.SIGTERM)
            assert running_gateway.wait() == 0
        assert (tmp_path / size).read_text().count("\n") == 1000 - lost


def test_logs_are_reopened_under_load_and_no_line_is_lost(tmp_path):
    text = f'{HELLO}[access_log]\npath = "{tmp_path}/access"\nflush = "10ms"\nbuffer = "8MiB"\n'
    with gateway(tmp_path, text, server="workers = 2") as running_gateway:
        asked = [0, 0]
        enough = threading.Event()

        def load(index):
            while not enough.wait(0.02):
                asked[index] += len(pipelined(running_gateway.address, 500))

        threads = [threading.Thread(target=load, args=(index,)) for index in range(2)]
        for thread in threads:
            thread.start()
        try:
            for turn in range(5):
                before = list(asked)
                eventually(lambda before=before: min(asked) > max(before), "more is asked")
                (tmp_path / "access").rename(tmp_path / f"access.{turn}")
                running_gateway.signal(signal.SIGUSR1)
                eventually((tmp_path / "access").exists, "it is opened anew")
        finally:
            enough.set()
            for thread in threads:
                thread.join(30)
        running_gateway.signal(signal.SIGTERM)
        assert running_gateway.wait() == 0
    files = [tmp_path / "access", *(tmp_path / f"access.{turn}" for turn in range(5))]
    lines = [line for file in files for line in file.read_text().splitlines()]
    assert len(lines) == sum(asked) > 0
    assert all(json.loads(line)["status"] == 200 for line in lines)
    assert len({json.loads(line)["request_id"] for line in lines}) == len(lines)


def test_failed_connects_write_a_line_a_second_and_block_nobody(tmp_path):
    port = free_port()
    text = (
        f'[upstreams.a]\nendpoints = ["127.0.0.1:{port}"]\n[[routes]]\nname = "a"\nupstream = "a"\n'
        f'[access_log]\npath = "off"\n[error_log]\npath = "{tmp_path}/errors"\n'
    )
    with gateway(tmp_path, text, server="workers = 2") as running_gateway:
        began = time.monotonic()
        count = 0
        while time.monotonic() < began + 3:
            answers = pipelined(running_gateway.address, 500)
            assert set(answers) == {502}
            count += len(answers)
            time.sleep(0.05)  # thousands of lines a second, and the processors are for others as well
        took_s = time.monotonic() - began
        longest = max(timed(ask, running_gateway.listener, "/")[0] for _ in range(20))
        assert longest < 0.5
        count += 20
        running_gateway.signal(signal.SIGTERM)
        assert running_gateway.wait() == 0
    said = [
        line for line in (tmp_path / "errors").read_text().splitlines() if "kind=upstream_connection_refused" in line
    ]
    assert count > 1000
    # The first, one a second, and what each of two workers held when it ended. In ten minutes that is under 700 lines.
    assert 2 <= len(said) <= took_s + 5
    assert sum(int((re.search(r" count=(\d+)", line) or [0, 1])[1]) for line in said) == count
    assert all(f"endpoint=127.0.0.1:{port}" in line and "worker=" in line for line in said)


def timed(function, *arguments):
    began = time.monotonic()
    result = function(*arguments)
    return time.monotonic() - began, result


def test_error_log_level(tmp_path):
    for level, is_said in (("info", True), ("error", False)):
        text = (
            f'[upstreams.a]\nendpoints = ["127.0.0.1:{free_port()}"]\n[[routes]]\nname = "a"\nupstream = "a"\n'
            f'[error_log]\npath = "{tmp_path}/{level}"\nlevel = "{level}"\n'
        )
        with gateway(tmp_path, text) as running_gateway:
            assert ask(running_gateway.listener, "/")[0] == 502
            running_gateway.signal(signal.SIGTERM)
            assert running_gateway.wait() == 0
        assert ("kind=upstream_connection_refused" in (tmp_path / level).read_text()) == is_said


# -- metrics -----------------------------------------------------------------------------------------------------------


def test_metrics_after_traffic(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=serve_forever, args=(listening,), daemon=True).start()
        text = (
            f'[upstreams.a]\nendpoints = ["127.0.0.1:{listening.getsockname()[1]}"]\n'
            f'[[routes]]\nname = "proxied"\npath = "/p"\nupstream = "a"\n{HELLO}'
        )
        with gateway(tmp_path, text) as running_gateway:
            assert pipelined(running_gateway.address, 10, "/p") == [200] * 10
            assert pipelined(running_gateway.address, 5) == [200] * 5
            eventually(lambda: metrics(running_gateway)["tidegate_upstream_connections_open",] == 1, "one is open")
            found = metrics(running_gateway)
            assert found["tidegate_exchanges_started_total",] == 15
            assert found["tidegate_exchange_path_total", ("cause", "dial"), ("path", "async")] == 1
            assert found["tidegate_exchange_path_total", ("cause", ""), ("path", "sync")] == 14
            assert found["tidegate_exchanges_total", ("class", "2xx"), ("route", "proxied")] == 10
            assert found["tidegate_exchange_duration_seconds_count", ("route", "hello")] == 5
            assert found["tidegate_upstream_exchanges_total", ("class", "2xx"), ("upstream", "a")] == 10
            assert found["tidegate_upstream_dials_total",] == 1
            assert found["tidegate_upstream_reuses_total",] == 9
            assert found["tidegate_gc_collections_total", ("worker", "0")] > 0
            assert found["tidegate_gc_pause_max_seconds", ("worker", "0")] >= 0  # it may have had none since it serves
            assert found["tidegate_connections_accepted_total",] == 2


def serve_forever(listening):
    """Answers every request of every connection, one connection at a time."""
    with contextlib.suppress(OSError):
        while True:
            with listening.accept()[0] as sock, contextlib.suppress(OSError):
                while data := sock.recv(65536):
                    sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello" * data.count(b"\r\n\r\n"))


def test_metrics_series_bounds_the_histograms_and_the_rest_is_other(tmp_path):
    routes = "".join(f'[[routes]]\nname = "r{i}"\npath = "/{i}"\nrespond = {{ body = "hello" }}\n' for i in range(40))
    with gateway(tmp_path, f"{routes}[metrics]\nseries = 16\n") as running_gateway:
        for i in range(40):
            assert pipelined(running_gateway.address, 1, f"/{i}") == [200]
        found = metrics(running_gateway)
        counted = {
            labels[1][1]: value for (name, *labels), value in found.items() if name == "tidegate_exchanges_total"
        }
        assert counted["other"] > 20
        assert sum(value for (name, *labels), value in found.items() if name == "tidegate_exchanges_total") == 40
        assert found["tidegate_metrics_series_refused_total",] > 20


def test_gauges_are_right_after_a_worker_was_killed(tmp_path):
    with gateway(tmp_path, server="workers = 1") as running_gateway:
        with running_gateway.connect() as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert client.recv(1000)
            assert metrics(running_gateway)["tidegate_connections_open",] == 1
            (victim,) = running_gateway.workers()
            os.kill(victim, signal.SIGKILL)
            eventually(lambda: running_gateway.workers() not in ([], [victim]), "its successor runs")
            assert pipelined(running_gateway.address, 3) == [200] * 3
            eventually(lambda: metrics(running_gateway)["tidegate_exchanges_open",] == 0, "none is under way")
            assert metrics(running_gateway)["tidegate_exchanges_started_total",] == 4
        eventually(lambda: metrics(running_gateway)["tidegate_connections_open",] == 0, "nobody is connected")
