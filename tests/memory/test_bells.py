"""Bells: who waits, who is rung, and what is left behind."""

import os
import select

import pytest

from tidegate.memory.bells import RANKS, ROWS, Bells
from tidegate.memory.region import Region

pytestmark = pytest.mark.sanitize

SLOTS = 70  # more than one word of a mask


@pytest.fixture
def region():
    made = Region.create(slots=SLOTS, log_bytes=1, series=1)
    yield made
    made.close()


def rung(region):
    """The slots whose bell was rung since the last look."""
    ready, _, _ = select.select(region.bell_fds, [], [], 0)
    for fd in ready:
        os.eventfd_read(fd)
    return [region.bell_fds.index(fd) for fd in ready]


def test_nobody_is_rung_when_nobody_waits(region):
    assert region.bells().ring_next(0) is None
    assert rung(region) == []


def test_one_who_waits_is_rung_once_for_each_mark(region):
    bells, elsewhere = region.bells(), Bells(Region.attach(region.fd).mapping)
    elsewhere.begin_waiting(3, 1, 69)
    assert bells.waiting(3) == [(1, 69)]
    assert bells.ring_next(2) is None, "that is another thing"
    assert bells.ring_next(3) == 69
    assert rung(region) == [69]
    assert bells.ring_next(3) is None
    assert rung(region) == []
    assert not elsewhere.end_waiting(3, 1, 69), "it was rung"
    elsewhere.begin_waiting(3, 1, 69)
    assert elsewhere.end_waiting(3, 1, 69), "nobody rang"
    assert bells.waiting(3) == []


def test_slots_are_rung_in_turn(region):
    bells = region.bells()
    waiting = [0, 5, 63, 64, 69]
    for _ in range(3):
        for slot in waiting:
            bells.begin_waiting(9, 0, slot)
        order = [bells.ring_next(9) for _ in waiting]
        begin = waiting.index(order[0])
        assert order == waiting[begin:] + waiting[:begin]
        assert bells.ring_next(9) is None
    for slot in waiting:
        bells.begin_waiting(9, 0, slot)
    first = bells.ring_next(9)
    bells.begin_waiting(9, 0, first)  # waits again at once
    assert bells.ring_next(9) != first, "the others come first"


def test_what_is_important_is_rung_first(region):
    bells = region.bells()
    for rank in (3, 0, 2, 0):
        bells.begin_waiting(0, rank, 10 + rank)
    bells.begin_waiting(0, 0, 66)
    assert bells.waiting(0) == [(0, 10), (0, 66), (2, 12), (3, 13)]
    assert {bells.ring_next(0), bells.ring_next(0)} == {10, 66}
    assert [bells.ring_next(0), bells.ring_next(0), bells.ring_next(0)] == [12, 13, None]


def test_the_dead_wait_for_nothing(region):
    bells = region.bells()
    for row in (0, 1, ROWS - 1):
        for rank in range(RANKS):
            for slot in (4, 68):
                bells.begin_waiting(row, rank, slot)
    bells.forget(4)
    for row in (0, 1, ROWS - 1):
        assert bells.waiting(row) == [(rank, 68) for rank in range(RANKS)]


def test_a_bell_that_cannot_be_rung_is_a_bell_that_was_lost(region):
    bells = Bells(region.mapping)
    bells.begin_waiting(0, 0, 1)
    assert bells.ring_next(0) == 1
    assert rung(region) == []


def test_a_full_bell_is_rung_all_the_same(region):
    bells = region.bells()
    os.eventfd_write(region.bell_fds[2], 2**64 - 2)
    bells.begin_waiting(0, 0, 2)
    assert bells.ring_next(0) == 2
    assert rung(region) == [2]


def test_rows_ranks_and_slots_that_do_not_exist_are_refused(region):
    bells = region.bells()
    for row, rank, slot in [(ROWS, 0, 0), (0, RANKS, 0), (0, 0, SLOTS)]:
        with pytest.raises(IndexError, match=f"row {row}, rank {rank}, slot {slot}"):
            bells.begin_waiting(row, rank, slot)
        with pytest.raises(IndexError):
            bells.end_waiting(row, rank, slot)
    with pytest.raises(IndexError):
        bells.ring_next(ROWS)
    with pytest.raises(IndexError):
        bells.forget(SLOTS)
    with pytest.raises(ValueError, match="eventfd for each of 70 slots, got 1"):
        Bells(region.mapping, region.bell_fds[:1])
