"""One worker's marks at a bell, which several waiting rooms share; the bells themselves are in tests/memory."""

import os
import select

import pytest

from tidegate.limits.bell import LimitBell, WorkerBells
from tidegate.limits.concurrency import ConcurrencyLimit
from tidegate.memory.inflight import PermitTable
from tidegate.memory.region import Region

pytestmark = pytest.mark.sanitize

MS = 1_000_000
ROW = 7
LIMIT = 0xC0FFEE_0000_1234


@pytest.fixture
def region():
    made = Region.create(3, 1, 1, inflight_blocks=1)
    yield made
    made.close()


def rung(region):
    ready, _, _ = select.select(region.bell_fds, [], [], 0)
    for fd in ready:
        os.eventfd_read(fd)
    return [region.bell_fds.index(fd) for fd in ready]


def room(region, worker, *, fingerprint=LIMIT, is_shared=False, maximum=1):
    table = PermitTable(region.inflight(worker.slot), 0)
    bell = LimitBell(worker, ROW, is_shared)
    options = {"queue": 5, "queue_timeout_ns": 500 * MS, "target_ns": 20 * MS}
    return ConcurrencyLimit(table, fingerprint, bell, maximum=maximum, **options)


def test_room_that_is_empty_leaves_the_mark_of_another_one_of_its_worker(region):
    """As when a reload has put a limit in the place of one at which somebody waits still."""
    worker, holder = WorkerBells(region.bells(), 1), WorkerBells(region.bells(), 0)
    before, after, holds = room(region, worker), room(region, worker), room(region, holder)
    assert holds.take()
    gone, _ = before.enqueue("t", 0, 1.0, 0)
    stays, _ = after.enqueue("t", 0, 1.0, 0)
    assert before.leave(gone)
    assert region.bells().waiting(ROW) == [(0, 1)], "somebody waits here still"
    holds.give_back()
    assert rung(region) == [1]
    assert worker.heard(ROW)
    assert after.on_bell(MS) == [stays]
    assert region.bells().waiting(ROW) == []


def test_who_hears_a_bell_finds_out_for_which_row_it_was_rung(region):
    worker, bells = WorkerBells(region.bells(), 1), region.bells()
    rooms = [ConcurrencyLimit(PermitTable(region.inflight(1), 0), LIMIT, LimitBell(worker, row), maximum=0, queue=5)
             for row in (1, 2)]  # fmt: skip
    for one in rooms:
        one.enqueue("t", 2, 1.0, 0)
    assert [worker.heard(row) for row in (1, 2)] == [False, False]
    assert bells.ring_next(2) == 1
    assert [worker.heard(row) for row in (1, 2)] == [False, True]
    assert not worker.heard(2), "it is told once"
    assert bells.ring_next(1) == 1
    rooms[0].enqueue("t", 2, 1.0, 0)  # marks it anew before anybody has looked
    assert bells.waiting(1) == [(2, 1)]
    assert worker.heard(1)


def test_where_keys_share_a_bell_everybody_is_rung(region):
    workers = [WorkerBells(region.bells(), slot) for slot in range(3)]
    one, other, third = (
        room(region, worker, fingerprint=(at + 1) << 20, is_shared=True) for at, worker in enumerate(workers)
    )
    assert one.take() and other.take() and third.take()
    first, second = other.enqueue("t", 0, 1.0, 0)[0], third.enqueue("t", 3, 1.0, 0)[0]
    third.give_back()
    assert rung(region) == [1, 2], "one of them waits for it, and it is not known which"
    assert other.on_bell(MS) == []
    assert third.on_bell(MS) == [second]
    other.give_back()
    assert rung(region) == [1]
    assert other.on_bell(MS) == [first]


def test_slot_that_is_not_there_has_no_bells(region):
    with pytest.raises(IndexError, match="slot 9"):
        WorkerBells(region.bells(), 9)
    with pytest.raises(IndexError, match="row 256"):
        LimitBell(WorkerBells(region.bells(), 0), 256)
