import time

import pytest

from tidegate.config.listeners import Listener
from tidegate.config.schema import Gateway
from tidegate.config.server import Server
from tidegate.config.snapshot import Snapshot
from tidegate.memory.region import Region
from tidegate.memory.slot import SlotState
from tidegate.observe.metrics import Metrics
from tidegate.process.messages import Roster, WorkerStatus
from tidegate.process.view import GatewayView

STALLED_NS = 1_500_000_000


@pytest.fixture
def view():
    region = Region.create(2)
    snapshot = Snapshot.build(
        Gateway(server=Server(stall_out=STALLED_NS / 1e9), listeners=(Listener(bind="127.0.0.1:1"),))
    )
    yield GatewayView(
        snapshot=snapshot,
        region=region,
        generation=1,
        started_ns=time.monotonic_ns(),
        supervisor_pid=1,
        admin_address="127.0.0.1:2",
        ask_to_stop=lambda at_once: True,
        ask_to_upgrade=lambda asked: True,
        metrics=Metrics(region),
    )
    region.close()


def test_worker_is_what_its_mark_and_its_heartbeat_say(view):
    slot = view.region.slot(0)
    slot.claim(77, 1, 1_000)
    assert view.workers(1_000)[0].state == "starting"
    slot.state = SlotState.READY
    serving, empty = view.workers(1_000 + STALLED_NS)
    assert (serving.state, serving.is_serving, serving.mark.pid) == ("ready", True, 77)
    assert (empty.state, empty.is_serving) == ("empty", False)
    stalled = view.workers(1_001 + STALLED_NS)[0]
    assert (stalled.state, stalled.is_serving) == ("stalled", False)
    slot.heartbeat_ns = 1_001 + STALLED_NS
    assert view.workers(1_001 + STALLED_NS)[0].is_serving


def test_a_dead_worker_is_not_called_stalled(view):
    slot = view.region.slot(1)
    slot.claim(77, 1, 1_000)
    slot.state = SlotState.DEAD
    assert view.workers(10 * STALLED_NS)[1].state == "dead"


def test_what_the_supervisor_told_stands_beside_the_mark(view):
    assert view.workers()[1].told == WorkerStatus(slot=1)
    told = WorkerStatus(slot=1, restarts=3, last_death="killed by SIGSEGV")
    view.roster = Roster(workers=[told], is_draining=True)
    assert view.workers()[1].told == told
    assert view.is_draining


def test_without_a_supervisor_it_drains(view):
    assert not view.is_draining
    view.is_orphaned = True
    assert view.is_draining


def test_first_snapshot_counts_from_its_switch(view):
    assert not view.has_snapshot
    view.region.snapshot_number = 1
    assert view.has_snapshot
