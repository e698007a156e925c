import os
import select
import sys

import pytest

from tidegate.memory.region import Region
from tidegate.memory.slot import SlotState
from tidegate.process.child import Child
from tidegate.process.place import Place, WorkerPlace


@pytest.fixture
def short():
    child = Child.start_program("short", [sys.executable, "-c", ""], [])
    select.select([child.pidfd], [], [], 20.0)
    child.reap()
    return child


def test_place_is_due_again_after_its_process_died(short):
    place = Place("demo")
    assert place.start_at_s == 0.0
    place.fill(short)
    assert place.start_at_s is None
    assert place.vacate("killed by SIGKILL") == 0.0
    assert place.start_at_s is not None
    assert place.child is None


def test_a_process_that_could_not_be_made_counts_as_dead_young():
    place = Place("demo")
    assert [place.vacate("no memory") for _ in range(3)] == [0.0, 0.1, 0.2]


def test_one_that_had_served_is_followed_at_once_and_one_that_had_not_is_waited_for(short):
    place = Place("demo")
    for _ in range(3):
        place.fill(short)
        place.begins_to_serve()
        assert place.ready_s is not None
        place.ready_s -= 0.6
        place.started_s -= 1.0
        assert place.vacate("killed by SIGKILL") == 0.0
    delays = []
    for _ in range(3):
        place.fill(short)
        assert place.ready_s is None
        delays.append(place.vacate("exited with code 1"))
    assert delays == [0.0, 0.1, 0.2]


def test_a_worker_that_drained_is_no_death(short):
    region = Region.create(1)
    place = WorkerPlace("worker 0", slot=region.slot(0), seat=0)
    place.fill(short)
    place.retire()
    assert (place.child, place.start_at_s, place.slot.state) == (None, None, SlotState.EMPTY)
    assert (place.status().restarts, place.status().last_death) == (0, "")
    os.close(region.fd)


def test_worker_place_lives_from_serving_to_death(short):
    region = Region.create(1)
    place = WorkerPlace("worker 0", slot=region.slot(0), seat=0)
    place.fill(short)
    assert not place.is_live
    place.is_listening = True
    assert place.is_live
    place.is_steered_out = True
    assert not place.is_live
    place.vacate("killed by SIGSEGV")
    assert place.slot.state is SlotState.DEAD
    assert not place.is_steered_out
    status = place.status()
    assert (status.slot, status.restarts, status.last_death) == (0, 1, "killed by SIGSEGV")
    os.close(region.fd)


def test_a_dead_worker_waits_for_nothing():
    region = Region.create(1)
    place = WorkerPlace("worker 0", slot=region.slot(0), seat=0)
    bells = region.bells()
    bells.begin_waiting(5, 0, 0)
    place.vacate("killed")
    assert bells.waiting(5) == []
    region.close()
