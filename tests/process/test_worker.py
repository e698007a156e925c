"""What a worker process is made of, and what it costs."""

import subprocess
import sys

import psutil
import pytest
from tests.process.gateway import supervised

FORBIDDEN = ["pydantic", "fastapi", "starlette", "uvicorn", "typer", "rich"]
LOOK = "import sys, tidegate.process.worker; print(*sorted({name.partition('.')[0] for name in sys.modules}))"


def test_nothing_a_worker_imports_is_for_people():
    loaded = subprocess.run([sys.executable, "-c", LOOK], capture_output=True, text=True, check=True).stdout.split()
    assert "uvloop" in loaded
    assert not set(FORBIDDEN) & set(loaded)


# Objects of exchanges that wait, 4,000 of them and then 8,000; and one that was there before the worker served.
COLLECTED = """
import gc, tidegate.process.worker as worker
before = []
worker.settle_collector()
runs = []
gc.callbacks.append(lambda phase, info: runs.append(info["generation"]))
waiting = [[] for _ in range(4000)]
few = len(runs)
waiting += [[] for _ in range(4000)]
print(few, len(runs) > 0, any(one is before for one in gc.get_objects()))
"""


def test_collector_leaves_some_hundred_waiting_exchanges_alone_and_the_snapshot_for_ever():
    said = subprocess.run([sys.executable, "-c", COLLECTED], capture_output=True, text=True, check=True).stdout
    assert said.split() == ["0", "True", "False"]


@pytest.mark.e2e
def test_idle_worker_is_small():
    with supervised(workers=1) as gateway:
        gateway.wait_ready()
        (pid,) = gateway.workers()
        assert psutil.Process(pid).memory_info().rss < 40 << 20


@pytest.mark.e2e
def test_worker_holds_no_descriptor_that_is_not_its_own():
    with supervised(workers=2) as gateway:
        gateway.wait_ready()
        for pid in gateway.workers():
            listening = [one for one in psutil.Process(pid).net_connections("tcp") if one.status == "LISTEN"]
            assert len(listening) == 1, "a worker has the socket of its own slot only"
