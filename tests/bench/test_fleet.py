"""The processes of a load together: one beginning, one sum, and nothing left running."""

import os
import signal
from pathlib import Path

import msgspec
import pytest
from tests.bench.driving import order_for
from tests.plane.harness import REFUSING, until
from tests.plane.serving import Serving, answering

from tidegate.bench.fleet import Fleet
from tidegate.bench.measured import merge
from tidegate.process.failure import StartError


def orders_for(address, parts=2, **changes):
    order = order_for(address, **changes)
    return [msgspec.structs.replace(order, part=part, parts=parts) for part in range(parts)]


def are_gone(pids):
    return not any(Path(f"/proc/{pid}").exists() for pid in pids)


def test_processes_send_one_schedule_together():
    seen = []
    short = {"stretches": [(0.5, 100.0, 100.0)], "seconds": 0.5}
    with Serving(answering()) as server, Fleet(orders_for(server.address, **short)) as fleet:
        assert fleet.ready() == (4, None)
        fleet.go()
        found = fleet.results(seen.append)
        pids = fleet.pids
    assert fleet.failures == []
    whole = merge(found)
    assert (whole.due, whole.processes, whole.connections) == (50, 2, 4)
    assert sum(second.due for second in seen) == 50
    assert are_gone(pids)


def test_stopped_it_tells_what_there_is():
    with Serving(answering()) as server, Fleet(orders_for(server.address)) as fleet:
        fleet.ready()
        fleet.go()
        told = []

        def on_second(counts):
            told.append(counts)
            if len(told) == 1:
                fleet.stop()

        found = fleet.results(on_second)
    assert len(found) == 2
    assert all(one.is_stopped for one in found)


def test_a_process_that_is_killed_is_told_and_the_others_go_on():
    with Serving(answering()) as server, Fleet(orders_for(server.address)) as fleet:
        fleet.ready()
        fleet.go()
        os.kill(fleet.pids[0], signal.SIGKILL)

        def on_second(_):
            if fleet.failures:
                fleet.stop()

        found = fleet.results(on_second)
    assert len(found) == 1
    assert fleet.failures == [f"process {fleet.pids[0]} of the load was killed by signal 9"]


def test_nobody_there_is_an_error_with_its_kind():
    with Fleet(orders_for(REFUSING)) as fleet, pytest.raises(StartError, match="connection_refused"):
        fleet.ready()
    assert are_gone(fleet.pids)


def test_a_process_that_cannot_begin_is_an_error_with_its_words():
    wrong = orders_for("127.0.0.1:1", stretches=[(0.0, 1.0, 1.0)])
    with Fleet(wrong) as fleet, pytest.raises(StartError, match="a stretch has a length"):
        fleet.ready()


def test_left_without_a_word_they_end():
    with Serving(answering()) as server:
        with Fleet(orders_for(server.address)) as fleet:
            fleet.ready()
            assert "Fleet of 2" in repr(fleet)
        until(lambda: are_gone(fleet.pids), "gone")
