import asyncio
import json
import time

import pytest
from tests.admin.views import view_of

from tidegate.admin.health import HealthAnswers, reasons_not_ready
from tidegate.memory.region import Region
from tidegate.memory.slot import SlotState, SlotStatistics
from tidegate.process.messages import Roster, WorkerStatus
from tidegate.process.view import WorkerView


def worker(slot, state, age_s=0.01, last_death=""):
    mark = SlotStatistics(slot, 100 + slot, state, 1, 1, 1, 1)
    return WorkerView(mark, WorkerStatus(slot=slot, last_death=last_death), int(age_s * 1e9))


def test_one_worker_that_gets_on_is_enough():
    workers = [worker(0, SlotState.DEAD), worker(1, SlotState.READY), worker(2, SlotState.READY, age_s=60)]
    assert reasons_not_ready(workers, has_snapshot=True, is_draining=False) == []


def test_each_reason_is_given():
    reasons = reasons_not_ready([worker(0, SlotState.STARTING)], has_snapshot=False, is_draining=True)
    assert reasons == [
        "no configuration is active yet",
        "the gateway is draining",
        "no worker serves: worker 0 is starting",
    ]


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (worker(0, SlotState.READY, age_s=3.21), "worker 0 is stalled for 3.2 s"),
        (worker(1, SlotState.DEAD, last_death="killed by SIGSEGV"), "worker 1 is dead (killed by SIGSEGV)"),
        (worker(2, SlotState.DRAINING), "worker 2 is draining"),
    ],
)
def test_a_worker_that_does_not_serve_is_described(one, words):
    assert reasons_not_ready([one], has_snapshot=True, is_draining=False) == [f"no worker serves: {words}"]


def test_without_a_supervisor_or_before_it_spoke_it_is_not_ready():
    serving = [worker(0, SlotState.READY)]
    assert reasons_not_ready(serving, has_snapshot=True, is_draining=False, has_roster=False) == [
        "the supervisor has not said yet who serves"
    ]
    assert reasons_not_ready(serving, has_snapshot=True, is_draining=True, is_orphaned=True, has_roster=False) == [
        "the supervisor is gone: the workers drain"
    ]


@pytest.fixture
def view():
    region = Region.create(1)
    region.snapshot_number = 1
    slot = region.slot(0)
    slot.claim(77, 1, time.monotonic_ns())
    slot.state = SlotState.READY
    yield view_of(region, roster=Roster(workers=[WorkerStatus(slot=0)], is_draining=False))
    region.close()


def ask(view, path, method="GET"):
    """Status, document and whether it came to the application behind."""
    sent, passed_on = [], []

    async def behind(scope, receive, send):
        passed_on.append(scope["path"])

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": method, "path": path, "headers": []}
    asyncio.run(HealthAnswers(behind, view)(scope, None, send))
    if passed_on:
        return passed_on
    start, body = sent
    assert dict(start["headers"])[b"cache-control"] == b"no-store"
    size = int(dict(start["headers"])[b"content-length"])
    if method == "HEAD":
        assert body["body"] == b"" and size > 0
        return start["status"]
    assert len(body["body"]) == size
    return start["status"], json.loads(body["body"])


def test_probes_are_answered_before_the_application(view):
    assert ask(view, "/health/live") == (200, {"status": "live", "reasons": []})
    assert ask(view, "/health/ready") == (200, {"status": "ready", "reasons": []})
    assert ask(view, "/health/ready", "HEAD") == 200
    view.region.slot(0).state = SlotState.DEAD
    status, document = ask(view, "/health/ready")
    assert (status, document["status"]) == (503, "not ready")
    assert document["reasons"] == ["no worker serves: worker 0 is dead"]
    assert ask(view, "/health/ready", "HEAD") == 503


def test_everything_else_goes_to_the_application(view):
    assert ask(view, "/status") == ["/status"]
    assert ask(view, "/health/ready", "POST") == ["/health/ready"]
    assert ask(view, "/health/ready/") == ["/health/ready/"]


def test_what_the_supervisor_said_while_control_was_stopped_is_heard_first(view):
    def hear():
        view.roster = Roster(workers=[WorkerStatus(slot=0)], is_draining=True)

    view.hear = hear
    assert ask(view, "/health/ready") == (503, {"status": "not ready", "reasons": ["the gateway is draining"]})
