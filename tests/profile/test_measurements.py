import os
import signal
import threading

import pytest

from tidegate.process.failure import StartError
from tidegate.profile.measurements import HeapRow, allocated, ask, blocked, heap_rows
from tidegate.profile.stacks import Stacks

HELD = [{
    "stacks": [
        {"worker": 0, "calls": ["f", "g"], "held_ns": 2_000_000_000, "times": 4},
        {"worker": 1, "calls": ["f"], "held_ns": 500_000_000, "times": 1},
    ]
}]  # fmt: skip


def test_held_loops_are_stacks_in_seconds():
    assert blocked(HELD) == Stacks("seconds", {("worker 0", "f", "g"): 2.0, ("worker 1", "f"): 0.5})
    assert blocked(HELD, [1]).weights == {("worker 1", "f"): 0.5}
    before = Stacks("seconds", {("worker 0", "f", "g"): 1.5, ("worker 1", "f"): 0.5})
    assert blocked(HELD, before=before).weights == {("worker 0", "f", "g"): 0.5}


def test_allocations_stand_below_their_worker_and_errors_are_told():
    answers = [
        {"worker": 0, "pid": 5, "stacks": [[["a.py:1"], 2048, 3]], "live_bytes": 4096, "peak_bytes": 8192,
         "left_out_bytes": 10},
        {"worker": 1, "pid": 6, "error": "no worker is there"},
    ]  # fmt: skip
    stacks, notes = allocated(answers)
    root = "worker 0 (pid 5)"
    assert stacks == Stacks("bytes", {(root, "a.py:1"): 2048, (root, "(other stacks)"): 10})
    assert notes[0].startswith(f"{root}: 4.0 KiB") and notes[1] == "worker 1 (pid 6): no worker is there"


def test_objects_are_told_by_size_or_by_what_they_grew():
    now = {"a": (2, 100), "b": (5, 500), "c": (1, 10)}
    assert heap_rows({"before": None, "after": now}) == [
        HeapRow("b", 5, 500),
        HeapRow("a", 2, 100),
        HeapRow("c", 1, 10),
    ]
    before = {"a": (1, 50), "b": (5, 500), "d": (3, 70)}
    assert heap_rows({"before": before, "after": now}) == [
        HeapRow("d", 0, 0, -3, -70), HeapRow("a", 2, 100, 1, 50), HeapRow("c", 1, 10, 1, 10), HeapRow("b", 5, 500),
    ]  # fmt: skip


def test_ctrl_c_ends_it_and_what_there_is_is_answered():
    posted, ended = [], threading.Event()

    def post(target, body):
        posted.append((target, body))
        if target == "/profile/end":
            if len(posted) < 4:
                return {"ended": False}  # it does not know of the attempt yet
            ended.set()
            return {"ended": True}
        os.kill(os.getpid(), signal.SIGINT)
        assert ended.wait(60)
        return {"workers": [{"worker": 0}]}

    assert ask(post, "heap", [0], 5.0) == ([{"worker": 0}], True)
    (_, order), *_, (_, end) = posted
    assert len(posted) == 4
    assert (order["kind"], order["workers"], order["seconds"]) == ("heap", [0], 5.0)
    assert end == {"attempt": order["attempt"]} and order["attempt"]


def test_a_gateway_that_refuses_is_told():
    def post(target, body):
        raise StartError("refused")

    with pytest.raises(StartError, match="refused"):
        ask(post, "heap", [], 0.0)
