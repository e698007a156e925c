"""`tidegate upgrade` as people run it: the real data plane, plain requests and WebSockets through it."""

import re
import signal

import pytest
from tests.cli.command import tidegate
from tests.e2e.test_processes import ask, quickstart
from tests.process.gateway import eventually
from websockets.sync.client import connect

pytestmark = pytest.mark.e2e


def total(gateway, metric):
    text = ask(gateway.admin, "/metrics")[2].decode()
    return sum(float(value) for value in re.findall(rf"^{metric}(?:{{[^}}]*}})? (\S+)$", text, re.MULTILINE))


def test_websocket_and_counters_live_through_an_upgrade(tmp_path):
    with quickstart(tmp_path, **{'drain_timeout = "3s"': 'drain_timeout = "60s"'}) as gateway:
        for _ in range(20):
            assert ask(gateway.listener, "/hello")[0] == 200
        before = total(gateway, "tidegate_exchanges_total")
        assert before >= 20
        with connect(f"ws://{gateway.listener}/ws") as held:
            held.send("before")
            assert held.recv(timeout=20) == "before"
            environment = {"TIDEGATE_RUNTIME_DIR": str(tmp_path / "run")}
            done = tidegate("upgrade", environment=environment, timeout=90)
            assert done.returncode == 0, done.stderr
            held.send("after")
            assert held.recv(timeout=20) == "after"
            shown = tidegate("status", environment=environment).stdout
            assert "generation 2" in shown
            assert re.search(r"draining \(generation 1, \d+ s left\)", shown), shown
            for _ in range(20):
                assert ask(gateway.listener, "/hello")[0] == 200
            eventually(
                lambda: total(gateway, "tidegate_exchanges_total") >= before + 20, "both generations are counted"
            )
        # The demo server is a child as well: it is adopted, and ends with the gateway.
        gateway.signal(signal.SIGTERM)
        assert gateway.wait(60) == 0
