import pytest

from tidegate.admin.health import reasons_not_ready
from tidegate.memory.slot import SlotState, SlotStatistics
from tidegate.process.messages import WorkerStatus
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
