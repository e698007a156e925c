"""Processes killed under load: what goes on, what follows them, and that nothing stays behind."""

import contextlib
import http.client
import http.server
import json
import os
import signal
import threading

import pytest
from benchmarks.ports import free_port
from tests.cli.command import tidegate
from tests.e2e.test_options import metrics
from tests.e2e.test_processes import ask, running
from tests.process.gateway import are_gone, eventually

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]


def written(path, upstream=""):
    slow = (
        f'[upstreams.slow]\nendpoints = ["{upstream}"]\n[[routes]]\nname = "slow"\npath = "/slow"\nupstream = "slow"\n'
    )
    file = path / "gateway.toml"
    file.write_text(
        f"""
[server]
workers = 2
admin = "127.0.0.1:{free_port()}"
state_dir = "state"
pid_file = "tidegate.pid"
drain_timeout = "2m"
[access_log]
path = "access.log"
[[listeners]]
bind = "127.0.0.1:{free_port()}"
[[listeners]]
bind = "unix:{path}/clients.sock"
[[routes]]
name = "hello"
path = "/hello"
respond = {{ body = "hello" }}
{slow if upstream else ""}
"""
    )
    return file


class Load:
    """Clients that ask again and again, each time over a connection of its own; every failure is kept."""

    def __init__(self, address, clients=3):
        self.address = address
        self.served = 0
        self.failures = []
        self._is_over = threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(clients)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        self.goes_on()
        return self

    def __exit__(self, *exc):
        self._is_over.set()
        for thread in self._threads:
            thread.join(30)

    def goes_on(self, more=30):
        wanted = self.served + more
        eventually(lambda: self.served >= wanted, "the load is served", 60.0)

    def _run(self):
        while not self._is_over.is_set():
            self._is_over.wait(0.01)  # a rate that leaves the machine to those that start
            try:
                answer = ask(self.address, "/hello")
                assert (answer[0], answer[2]) == (200, b"hello")
                self.served += 1
            except (OSError, http.client.HTTPException, AssertionError) as failure:
                self.failures.append(failure)


@contextlib.contextmanager
def slow_server():
    """A server that answers when it may: its address, what is set when a request is there, and what lets it answer."""
    is_asked, may_answer = threading.Event(), threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            is_asked.set()
            may_answer.wait(120)
            self.send_response(200)
            self.send_header("Content-Length", "4")
            self.end_headers()
            self.wfile.write(b"done")

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield "{}:{}".format(*server.server_address), is_asked, may_answer
        finally:
            may_answer.set()
            server.shutdown()
            thread.join()


def test_supervisor_killed_under_load_is_followed_at_once_by_a_clean_start(tmp_path):
    environment = {"TIDEGATE_RUNTIME_DIR": str(tmp_path / "run")}
    with slow_server() as (upstream, is_asked, may_answer):
        file = written(tmp_path, upstream)
        with running(tmp_path, "run", file) as killed, Load(killed.listener) as load:
            pids = [*killed.workers(), *killed.control()]
            slow = http.client.HTTPConnection(load.address, timeout=120)
            slow.request("GET", "/slow")
            assert is_asked.wait(30)
            os.kill(killed.pid, signal.SIGKILL)
            killed.wait()
            with running(tmp_path, "run", file) as gateway:
                failed = len(load.failures)
                load.goes_on()
                assert load.failures[failed:] == []
                # In between nobody listened; what had been accepted was answered.
                assert all(isinstance(one, ConnectionError) for one in load.failures)

                # Those of the first one finish what they have, out of the way.
                assert not are_gone(pids)
                assert json.loads(tidegate("status", "--json", environment=environment).stdout)["pid"] == gateway.pid
                assert [path.name for path in (tmp_path / "run").glob("*.sock")] == [f"{gateway.pid}.sock"]
                assert (tmp_path / "tidegate.pid").read_text() == f"{gateway.pid}\n"
                assert ask(gateway.admin, "/health/ready")[0] == 200
                may_answer.set()
                answer = slow.getresponse()
                assert (answer.status, answer.read()) == (200, b"done")
                slow.close()
                eventually(lambda: are_gone(pids), "they are gone", 60.0)
                assert '"target":"/slow"' in (tmp_path / "access.log").read_text()
                assert tidegate("stop", environment=environment).returncode == 0
                assert gateway.wait() == 0
    assert list((tmp_path / "run").glob("*.sock")) == []
    assert not (tmp_path / "tidegate.pid").exists()
    assert not (tmp_path / "clients.sock").exists()


HOLDING = """
import os
import time
from pathlib import Path

from tidegate import Filter


class Holds(Filter):
    def on_request(self, request):
        here = Path(os.environ["HOLDING"])
        (here / "held").touch()
        while not (here / "may-go-on").exists():
            time.sleep(0.01)
"""


def test_start_waits_for_the_address_that_a_held_worker_of_the_killed_one_has(tmp_path):
    (tmp_path / "holding.py").write_text(HOLDING)
    file = written(tmp_path)
    text = file.read_text().replace("workers = 2", 'workers = 2\nfilter_packages = ["holding"]')
    route = '[[routes]]\nname = "hold"\npath = "/hold"\nfilters = ["holds"]\nrespond = {}\n'
    file.write_text(f'{text}[filters.holds]\nclass = "holding:Holds"\n{route}')
    places = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {"PYTHONPATH": places, "HOLDING": str(tmp_path)}
    with running(tmp_path, "run", file, environment=environment) as killed:
        pids = [*killed.workers(), *killed.control()]
        client = http.client.HTTPConnection(killed.listener, timeout=120)
        client.request("GET", "/hold")
        eventually((tmp_path / "held").exists, "a loop is held")
        os.kill(killed.pid, signal.SIGKILL)
        killed.wait()
        with running(tmp_path, "run", file, environment=environment, waits=False) as gateway:
            gateway.hear(rf"yet: the gateway before \(pid {killed.pid}\) was killed, and a process of it still has")
            (tmp_path / "may-go-on").touch()
            gateway.wait_ready()
            assert sum("yet: the gateway before" in line for line in gateway.said) == 1
            assert client.getresponse().status == 200
            client.close()
            eventually(lambda: are_gone(pids), "they are gone", 60.0)


def test_control_killed_under_load_is_replaced_and_nobody_fails(tmp_path):
    with running(tmp_path, "run", written(tmp_path)) as gateway, Load(gateway.listener) as load:
        counted = 0.0
        for _ in range(2):
            (control,) = gateway.control()
            os.kill(control, signal.SIGKILL)
            eventually(lambda control=control: (new := gateway.control()) and new != [control], "it has a successor")

            def is_ready():
                with contextlib.suppress(OSError, http.client.HTTPException):
                    return ask(gateway.admin, "/health/ready")[0] == 200

            eventually(is_ready, "health is back")
            now = metrics(gateway)["tidegate_exchanges_started_total",]
            assert now >= counted
            counted = now
            load.goes_on()
        assert metrics(gateway)["tidegate_exchanges_started_total",] > counted
        assert load.failures == []
