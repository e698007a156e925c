import time

import pytest

from tidegate.admin.status import status_document, worker_saturation
from tidegate.config.listeners import Listener
from tidegate.config.schema import Gateway
from tidegate.config.server import Server
from tidegate.config.snapshot import Snapshot
from tidegate.config.upstreams import Endpoint, Upstream
from tidegate.memory.region import Region
from tidegate.memory.slot import SlotState
from tidegate.observe.metrics import Metrics
from tidegate.process.view import GatewayView


@pytest.fixture
def view():
    region = Region.create(2)
    gateway = Gateway(
        server=Server(max_connections=2000),
        listeners=(Listener(bind="127.0.0.1:1"),),
        upstreams={"orders": Upstream(endpoints=(Endpoint(address="10.0.0.5:9001", weight=2),))},
    )
    yield GatewayView(
        snapshot=Snapshot.build(gateway),
        region=region,
        generation=1,
        started_ns=time.monotonic_ns(),
        supervisor_pid=41,
        admin_address="127.0.0.1:2",
        ask_to_stop=lambda at_once: True,
        metrics=Metrics(region),
    )
    region.close()


def test_everything_known_is_in_it(view):
    slot = view.region.slot(1)
    slot.claim(77, 1, time.monotonic_ns())
    slot.state = SlotState.READY
    meters = slot.take_meters()
    meters.set("connections_open", 500)
    meters.set("exchanges_open", 3)
    meters.count("exchanges_started", 10)
    meters.record_exchange(meters.series_index("upstream", "orders"), 200, 1_000_000)
    document = status_document(view)
    worker = document["workers"][1]
    assert (worker["index"], worker["pid"], worker["state"]) == (1, 77, "ready")
    assert (worker["connections"], worker["exchanges"], worker["exchanges_total"]) == (500, 3, 10)
    assert worker["saturation"] == 0.5
    assert document["saturation"] == 0.5
    assert document["snapshot"]["number"] == 0
    assert document["snapshot"]["etag"] == view.snapshot.etag
    assert document["snapshot"]["last_reload"] is None
    (upstream,) = document["upstreams"]
    assert upstream["name"] == "orders"
    assert upstream["endpoints"] == [{"address": "10.0.0.5:9001", "weight": 2}]
    assert upstream["exchanges_total"] == 1


def test_a_late_loop_saturates_its_worker(view):
    (worker, _) = view.workers()
    assert worker_saturation(worker, lag_ns=250_000_000, connections=0, connections_max=10) == 2.5


def test_a_loop_that_stands_is_late_since_its_last_heartbeat(view):
    slot = view.region.slot(0)
    slot.claim(77, 1, 1)
    slot.state = SlotState.READY
    worker = view.workers(5_000_000_001)[0]
    assert worker_saturation(worker, lag_ns=0, connections=0, connections_max=10) == 50.0
