"""A worker slot and its mark."""

import select

import pytest

from tidegate.memory.inflight import PermitTable
from tidegate.memory.region import Region
from tidegate.memory.slot import Slot, SlotState


@pytest.fixture
def slot():
    region = Region.create(slots=2)
    yield region.slot(1)
    region.close()


def test_new_slot_is_empty(slot):
    assert slot.statistics() == (1, 0, SlotState.EMPTY, 0, 0, 0, 0)


def test_claim_begins_a_life_and_forgets_the_last_ones(slot):
    slot.claim(100, 1, 5)
    slot.state, slot.prepared, slot.heartbeat_ns = SlotState.READY, 8, 50
    slot.state = SlotState.DEAD
    slot.claim(200, 2, 90)
    assert slot.statistics() == (1, 200, SlotState.STARTING, 2, 0, 90, 90)


def test_each_field_is_seen_through_another_view(slot):
    other = Slot(slot.mapping, 1)
    fields = ("pid", "generation", "prepared", "heartbeat_ns", "started_ns", "queued", "suspected_until_ns")
    for at, name in enumerate(fields, 1):
        setattr(slot, name, at)
        assert getattr(other, name) == at
    for state in SlotState:
        slot.state = state
        assert other.state is state
    assert [getattr(other, name) for name in fields] == [1, 2, 3, 4, 5, 6, 7]


def test_it_shows_who_is_in_it(slot):
    slot.claim(4711, 1, 0)
    assert repr(slot) == "<Slot 1 starting pid=4711 prepared=0>"


def test_what_the_dead_held_is_given_back_and_who_waits_for_it_is_told():
    region = Region.create(slots=4, inflight_blocks=2)
    dead, alive = (PermitTable(region.inflight(slot), 0, 2) for slot in (1, 2))
    assert all(dead.take(5, 200) is not None for _ in range(200))
    assert alive.take(5, 200) is None
    bells = region.bells()
    for slot in (1, 2, 3):
        bells.begin_waiting(9, 0, slot)
    region.slot(1).give_back()
    assert alive.counts(5) == (0, 0, 0, 0)
    rung = select.select(region.bell_fds, [], [], 0)[0]
    assert [region.bell_fds.index(fd) for fd in rung] == [2, 3]
    assert bells.waiting(9) == []
    bells.begin_waiting(9, 0, 2)
    region.slot(0).give_back()
    assert bells.waiting(9) == [(0, 2)], "it held nothing, so nobody is told"
    region.close()
