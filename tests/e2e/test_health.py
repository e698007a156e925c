"""Health, saturation and suspicion of a gateway as people start it, in the trouble they are for."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import textwrap
import threading
import time
from pathlib import Path

import pytest
from benchmarks.ports import free_port
from tests.e2e.test_options import gateway, metrics, status
from tests.e2e.test_processes import ask
from tests.plane.serving import OK, Serving
from tests.process.gateway import eventually, stop_signal, supervised

pytestmark = pytest.mark.e2e

OPERATE = (Path(__file__).parents[2] / "docs" / "operate.md").read_text()

FILTERS = '''
import os
import time
from pathlib import Path

from tidegate import Filter, Request, Response

if Path(os.environ["TROUBLE"]).exists():
    raise RuntimeError("the key server has no keys")


class Sleeps(Filter):
    """Blocks the loop when asked to."""

    def on_request(self, request: Request) -> Response | None:
        if request.path == "/sleep":
            time.sleep(0.2)
        return None
'''
SLEEPING = (
    '[filters.sleeps]\nclass = "sleeping:Sleeps"\n'
    '[[routes]]\nname = "all"\nfilters = ["sleeps"]\nrespond = { body = "done" }\n'
)


@pytest.fixture
def trouble(tmp_path, monkeypatch):
    """A package of filters; while the file exists that this gives, it cannot be imported."""
    (tmp_path / "sleeping.py").write_text(textwrap.dedent(FILTERS))
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}")
    monkeypatch.setenv("TROUBLE", str(tmp_path / "trouble"))
    return tmp_path / "trouble"


def ready(running_gateway):
    """Status and reasons."""
    code, _, content = ask(running_gateway.admin, "/health/ready")
    return code, json.loads(content)["reasons"]


def test_workers_that_die_as_they_start_make_it_red_with_the_reason_and_it_recovers(tmp_path, trouble):
    server = 'workers = 2\nfilter_packages = ["sleeping"]'
    with gateway(tmp_path, SLEEPING, server=server) as running_gateway:
        assert ready(running_gateway) == (200, [])
        trouble.touch()
        for pid in running_gateway.workers():
            os.kill(pid, signal.SIGKILL)

        def says_why():
            code, reasons = ready(running_gateway)
            text = " ".join(reasons)
            return code == 503 and text.count("the key server has no keys") == 2 and text

        assert eventually(says_why, "readiness is red and says why").startswith("no worker serves: worker 0 is ")
        assert ask(running_gateway.admin, "/health/live")[0] == 200
        eventually(
            lambda: max(one["restarts"] for one in status(running_gateway)["workers"]) >= 3, "they are tried again"
        )
        trouble.unlink()
        eventually(lambda: ready(running_gateway) == (200, []), "green again")
        assert ask(running_gateway.listener, "/")[2] == b"done"


def test_filter_that_blocks_saturates_its_worker_and_health_stays_true(tmp_path, trouble):
    server = 'workers = 2\nfilter_packages = ["sleeping"]'
    with gateway(tmp_path, SLEEPING, server=server) as running_gateway:
        assert metrics(running_gateway)["tidegate_saturation",] < 100
        over = threading.Event()

        def block():
            with contextlib.suppress(OSError):
                while not over.is_set():
                    ask(running_gateway.listener, "/sleep")

        thread = threading.Thread(target=block)
        thread.start()
        try:
            eventually(lambda: status(running_gateway)["saturation"] > 1, "it is over its bound")
            found = metrics(running_gateway)
            assert found["tidegate_saturation",] > 1
            assert found["tidegate_saturation_signal", ("signal", "loop_lag")] > 1
            assert max(found["tidegate_worker_saturation", ("worker", str(at))] for at in range(2)) > 1
            assert ready(running_gateway) == (200, [])
        finally:
            over.set()
            thread.join()


def test_every_metric_that_the_manual_tells_an_autoscaler_of_is_there(tmp_path):
    with gateway(tmp_path) as running_gateway:

        def served():
            names = {name for name, *_ in metrics(running_gateway)}
            return "tidegate_worker_saturation" in names and names

        names = eventually(served, "a second has been taken")
    told = set(
        re.findall(r"\btidegate_[a-z_]+[a-z]\b", OPERATE.partition("## Saturation")[2].partition("## It may be")[0])
    )
    assert len(told) > 12
    # Missing where this machine does not know them, nothing was shed, or nothing went to an upstream.
    unknown = {"tidegate_link_share", "tidegate_link_speed_bytes_per_second", "tidegate_descriptors_share"}
    unknown.add("tidegate_shed_total")
    upstream = {name for name in told if name.startswith("tidegate_upstream_")}
    assert told - names <= unknown | upstream
    assert {"tidegate_saturation", "tidegate_saturation_signal"} <= told & names


def test_when_unrelated_upstreams_fail_at_once_the_gateway_suspects_itself(tmp_path):
    with contextlib.ExitStack() as stack:
        # Ports that are taken and refuse.
        taken = [stack.enter_context(socket.socket()) for _ in range(4)]
        for one in taken:
            one.bind(("127.0.0.1", 0))
        a, b, c, d = (f'"127.0.0.1:{one.getsockname()[1]}"' for one in taken)
        text = (
            f'[upstreams.orders]\nendpoints = [{a}, {b}]\nbalance = "round_robin"\n'
            f'[upstreams.store]\nendpoints = [{c}, {d}]\nbalance = "round_robin"\n'
            '[[routes]]\nname = "orders"\npath = "/orders"\nupstream = "orders"\n'
            '[[routes]]\nname = "store"\npath = "/store"\nupstream = "store"\n'
            f'[error_log]\npath = "{tmp_path}/errors"\n'
        )
        running_gateway = stack.enter_context(gateway(tmp_path, text))
        over = threading.Event()

        def fail():
            while not over.wait(0.005):
                for target in ("/orders", "/store"):
                    ask(running_gateway.listener, target)

        thread = threading.Thread(target=fail)
        thread.start()
        try:
            eventually(lambda: metrics(running_gateway)["tidegate_suspects_itself",] == 1, "it suspects itself")
            assert status(running_gateway)["suspects_itself"] is True
        finally:
            over.set()
            thread.join()
        said = (tmp_path / "errors").read_text()
        assert "kind=suspects_itself" in said
        assert "4 of 5 peers failed within a second (orders 2/2, store 2/2)" in said  # the fifth is the client
        eventually(lambda: metrics(running_gateway)["tidegate_suspects_itself",] == 0, "and no longer")
        eventually(lambda: "kind=suspects_itself_no_more" in (tmp_path / "errors").read_text(), "which is said")
        assert (tmp_path / "errors").read_text().count("kind=suspects_itself ") == 1


def test_readiness_is_red_as_soon_as_the_supervisor_is_gone(tmp_path):
    with supervised(workers=1, has_control=True, runtime_dir=tmp_path / "run", drain_timeout=60.0) as echo:
        echo.wait_ready()
        with echo.connect() as held:
            held.makefile("rb").readline()
            os.kill(echo.pid, signal.SIGKILL)
            echo.wait()
            code, reasons = eventually(lambda: (found := ready(echo))[0] == 503 and found, "red")
            assert (code, reasons[0]) == (503, "the supervisor is gone: the workers drain")


def test_control_that_was_stopped_does_not_answer_with_what_it_knew(tmp_path):
    with supervised(workers=1, has_control=True, runtime_dir=tmp_path / "run", drain_timeout=60.0) as echo:
        echo.wait_ready()
        with echo.connect() as held:
            held.makefile("rb").readline()
            assert ready(echo)[0] == 200
            (control,) = echo.control()
            stop_signal(control)
            echo.signal(signal.SIGTERM)
            host, _, port = echo.listener.rpartition(":")

            def refuses():
                # The worker has closed its sockets: it drains, and the supervisor has told control before.
                try:
                    with socket.create_connection((host, int(port)), timeout=1) as late:
                        return late.recv(1) == b""
                except TimeoutError:
                    return False
                except ConnectionError:
                    return True

            eventually(refuses, "the gateway drains")
            with socket.create_connection(echo.admin.rsplit(":", 1), timeout=20) as asking:
                asking.sendall(b"GET /health/ready HTTP/1.1\r\nHost: localhost\r\n\r\n")
                os.kill(control, signal.SIGCONT)
                assert asking.recv(4096).startswith(b"HTTP/1.1 503 ")


def test_start_under_more_load_than_it_can_bear_sheds_the_excess_and_stays_ready(tmp_path):
    port = free_port()
    seen: list[int] = []
    over = threading.Event()

    def load():
        while not over.wait(0.02):  # six hundred a second, also while nobody listens yet
            with contextlib.suppress(OSError, http.client.HTTPException):
                seen.append(ask(f"127.0.0.1:{port}", "/")[0])

    def slow(peer, *_):
        time.sleep(0.05)
        peer.send(OK)

    threads = [threading.Thread(target=load) for _ in range(12)]
    for thread in threads:
        thread.start()
    try:
        with Serving(slow) as server:
            text = (
                f'[upstreams.slow]\nendpoints = ["{server.address}"]\n'
                'pool = { max = 2, wait = 2, wait_timeout = "100ms" }\n[[routes]]\nname = "all"\nupstream = "slow"\n'
            )
            with gateway(tmp_path, text, bind=f"127.0.0.1:{port}") as running_gateway:
                states = []

                def shed_and_served():
                    states.append(ready(running_gateway)[0])
                    return seen.count(503) >= 100 and seen.count(200) >= 50

                eventually(shed_and_served, "the excess is refused and the rest is served")
                eventually(
                    lambda: status(running_gateway)["saturation_signals"]["in_flight"] >= 1, "it is full, and says so"
                )
                assert set(states) == {200}
                assert set(seen) == {200, 503}
                over.set()
    finally:
        over.set()
        for thread in threads:
            thread.join()
