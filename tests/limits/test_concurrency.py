"""One limit over several workers: permits, queue, priorities, shares that are lent and come back."""

import os
import random
import select

import pytest

from tidegate.limits.bell import LimitBell, WorkerBells
from tidegate.limits.concurrency import ConcurrencyLimit
from tidegate.memory.inflight import PermitTable
from tidegate.memory.region import Region

pytestmark = pytest.mark.sanitize

SLOTS = 4
LIMIT = 0xC0FFEE_0000_1234
MS = 1_000_000
ROW = 7


@pytest.fixture
def region():
    made = Region.create(SLOTS, 1, 1, inflight_blocks=1)
    yield made
    made.close()


@pytest.fixture
def limit(region):
    """The limit as a worker sees it."""

    def limit(slot, maximum=2, queue=0, **options):
        table = PermitTable(region.inflight(slot), 0)
        bell = LimitBell(WorkerBells(region.bells(), slot), ROW)
        options = {"queue_timeout_ns": 500 * MS, "target_ns": 20 * MS} | options
        return ConcurrencyLimit(table, LIMIT, bell, maximum=maximum, queue=queue, **options)

    return limit


def queued(limit, class_=0, now_ns=0):
    """The waiter, of which nobody else had to make way."""
    waiter, displaced = limit.enqueue("t", class_, 1, now_ns)
    assert displaced is None
    return waiter


def rung(region):
    ready, _, _ = select.select(region.bell_fds, [], [], 0)
    for fd in ready:
        os.eventfd_read(fd)
    return [region.bell_fds.index(fd) for fd in ready]


def test_without_a_queue_it_admits_or_refuses_at_once(region, limit):
    one, other = limit(0), limit(1)
    assert one.take() and other.take()
    assert not one.take() and not other.take()
    assert one.enqueue("t", 0, 1, 0) == (None, None)
    other.give_back()
    assert one.take()
    assert one.statistics(0) == (2, (2, 0, 0, 0), (0, 0, 0, 0), (0, 0, 0, 0), 0, 0, False)
    assert repr(one) == "<ConcurrencyLimit 2/2 in flight, 0 waiting>"


def test_who_releases_rings_the_worker_that_waits_and_its_first_is_served(region, limit):
    one, other = limit(0, queue=5), limit(1, queue=5)
    assert one.take() and one.take()
    first, second = queued(other, 0, 0), queued(other, 0, MS)
    assert not first.is_admitted
    assert other.on_bell(2 * MS) == []
    one.give_back()
    assert rung(region) == [1]
    assert other.on_bell(3 * MS) == [first]
    assert first.is_admitted and not second.is_admitted
    assert one.statistics(0).waiting == (1, 0, 0, 0)
    other.give_back()
    one.give_back()
    assert rung(region) == [1]
    assert other.on_bell(4 * MS) == [second]
    assert region.bells().waiting(ROW) == [], "nobody waits any more"
    assert other.statistics(0).in_flight == (1, 0, 0, 0)


def test_the_bound_of_the_queue_is_the_machines(limit):
    one, other = limit(0, 1, queue=3), limit(1, 1, queue=3)
    assert one.take()
    waiters = [queued(worker) for worker in (one, other, other)]
    assert None not in waiters
    assert one.enqueue("t", 0, 1, 0) == (None, None)
    assert other.leave(waiters[1])
    assert not other.leave(waiters[1])
    assert queued(one) is not None


def test_who_comes_later_does_not_overtake_one_who_waits_in_another_worker(region, limit):
    one, other = limit(0, 1, queue=5), limit(1, 1, queue=5)
    assert one.take()
    waiter = queued(other, 0, 0)
    one.give_back()
    assert not one.take(), "the permit is free, and it is meant for the other"
    late = queued(one, 0, MS)
    assert not late.is_admitted
    assert 1 in rung(region)
    assert other.on_bell(MS) == [waiter]
    assert one.on_bell(MS) == []
    other.give_back()
    assert rung(region) == [0]
    assert one.on_bell(2 * MS) == [late]


def test_there_is_room_for_who_comes_when_there_is_more_than_those_before_need(limit):
    one, other = limit(0, 3, queue=5), limit(1, 3, queue=5)
    assert all(one.take() for _ in range(3))
    assert not queued(other, 1, 0).is_admitted
    one.give_back()
    one.give_back()
    assert one.take(), "one of the two is enough for who waits"
    assert not one.take(2)
    assert one.take(0), "a more important class does not wait for a lesser one"


def test_the_most_important_class_is_served_first_on_the_machine(region, limit):
    one, low, high = limit(0, 1, queue=9), limit(1, 1, queue=9), limit(2, 1, queue=9)
    assert one.take(3)
    batch, live = queued(low, 2, 0), queued(high, 0, MS)
    one.give_back(3)
    assert rung(region) == [2]
    assert high.on_bell(2 * MS) == [live]
    assert low.on_bell(2 * MS) == []
    high.give_back(0)
    assert rung(region) == [1]
    assert low.on_bell(3 * MS) == [batch]


SHARES = (0.9, 0.1)


def test_a_share_that_nobody_wants_is_lent_and_comes_back_with_the_next_permits(region, limit):
    live, batch = (limit(slot, 10, queue=20, shares=SHARES) for slot in (0, 1))
    assert live.statistics(0).guaranteed == (9, 1, 0, 0)
    assert all(live.take(0) for _ in range(10)), "the tenth is lent"
    assert not live.take(0)
    waiting = [queued(batch, 1, 0), queued(batch, 1, 0)]
    more = queued(live, 0, 0)
    live.give_back(0)
    assert rung(region) == [1], "batch has a right to it, though live is more important"
    assert live.on_bell(MS) == []
    assert batch.on_bell(MS) == waiting[:1]
    live.give_back(0)
    assert rung(region) == [0]
    assert batch.on_bell(MS) == [], "its share is used, and live is within its own"
    assert live.on_bell(MS) == [more]
    assert live.statistics(0).in_flight == (9, 1, 0, 0)
    assert live.statistics(0).waiting == (0, 1, 0, 0)


def test_what_was_owed_to_one_who_leaves_may_be_lent_again(region, limit):
    live, batch = (limit(slot, 10, queue=20, shares=SHARES) for slot in (0, 1))
    assert all(live.take(0) for _ in range(10))
    gone, eager = queued(batch, 1, 0), queued(live, 0, 0)
    live.give_back(0)
    assert rung(region) == [1]
    assert live.on_bell(MS) == []
    assert batch.leave(gone)
    assert rung(region) == [0]
    assert live.on_bell(MS) == [eager]


def test_a_full_house_of_both_classes_settles_at_their_shares(limit):
    chance = random.Random(3)
    workers = [limit(slot, 20, queue=100, shares=SHARES) for slot in range(SLOTS)]
    held, displaced = [], []
    for now in range(4000):
        worker, class_ = chance.choice(workers), chance.randrange(2)
        if worker.take(class_):
            held.append((worker, class_))
        else:
            waiter, gone = worker.enqueue("t", class_, 1, now)
            displaced += [] if gone is None else [gone]
            if waiter is not None and waiter.is_admitted:
                held.append((worker, class_))
        if held and chance.random() < 0.4:
            one, freed = held.pop(chance.randrange(len(held)))
            one.give_back(freed)
        for one in workers:
            held += [(one, waiter.class_) for waiter in one.on_bell(now)]
        counts = workers[0].statistics(now).in_flight
        assert sum(counts) == len(held) <= 20
        if now > 1000:
            assert counts == (18, 2, 0, 0)
    assert sum(waiter.class_ == 1 for waiter in displaced) > 50, "batch would fill the queue otherwise"
    assert not any(waiter.is_admitted for waiter in displaced)
    waiting = workers[0].statistics(now).waiting
    assert waiting[0] >= 80 and waiting[1] >= 10
    assert sum(waiting) == sum(len(worker.room) for worker in workers) <= 100


def test_in_a_full_queue_the_least_important_makes_way_and_nobody_below_his_share(region, limit):
    one = limit(0, 1, queue=4)
    assert one.take()
    batch = [queued(one, class_) for class_ in (2, 3, 3)]
    normal = queued(one, 1)
    assert one.enqueue("t", 3, 1, 0) == (None, None)
    important, displaced = one.enqueue("t", 0, 1, 0)
    assert (important.class_, displaced) == (0, batch[2]), "the newest of the least important"
    assert [one.enqueue("t", 1, 1, 0)[1] for _ in range(3)] == [batch[1], batch[0], None]
    assert one.enqueue("t", 0, 1, 0)[1].class_ == 1
    assert one.statistics(0).waiting == (2, 2, 0, 0)
    assert not one.leave(displaced)
    assert normal in one.close()

    other = limit(1, 1, queue=4, shares=(0.5, 0, 0, 0.5))
    lowest = [queued(other, 3) for _ in range(4)]
    assert [other.enqueue("t", 0, 1, 0)[1] for _ in range(3)] == [lowest[3], lowest[2], None]
    other.close()
    highest = [queued(other, 0) for _ in range(4)]
    assert [other.enqueue("t", 3, 1, 0)[1] for _ in range(3)] == [highest[3], highest[2], None]


def test_who_waited_too_long_gives_his_place_back(region, limit):
    one, other = limit(0, 1, queue=2), limit(1, 1, queue=2)
    assert one.take()
    early = queued(other, 0, 0)
    late = queued(other, 0, 100 * MS)
    assert other.timed_out(499 * MS) == []
    assert other.timed_out(500 * MS) == [early]
    assert one.statistics(0).waiting == (1, 0, 0, 0)
    one.give_back()
    assert other.on_bell(550 * MS) == [late]
    assert other.timed_out(10**12) == []


def test_a_bell_that_is_not_used_is_rung_on(region, limit):
    one, other, third = (limit(slot, 1, queue=9) for slot in range(3))
    assert one.take()
    gone, next_one = queued(other, 0, 0), queued(third, 0, 0)
    one.give_back()
    heard = rung(region)
    assert len(heard) == 1
    gone, next_one, silent = (gone, third, next_one) if heard == [1] else (next_one, other, gone)
    assert (other if next_one is third else third).leave(gone)
    assert rung(region) == [2 if next_one is third else 1]
    assert next_one.on_bell(MS) == [silent]


def test_a_limit_that_rises_rings_who_waits_and_one_that_sinks_takes_nothing_away(region, limit):
    one, other = limit(0, 1, queue=5), limit(1, 1, queue=5)
    assert one.take()
    waiter = queued(other, 0, 0)
    one.maximum = 2
    assert rung(region) == [1]
    other.maximum = 2
    assert other.on_bell(MS) == [waiter]
    one.maximum = other.maximum = 1
    assert one.statistics(0).in_flight == (2, 0, 0, 0)
    one.give_back()
    assert not one.take()
    other.give_back()
    assert one.take()


def test_a_worker_that_dies_gives_back_permits_and_places(region, limit):
    dead, alive = limit(0, 3, queue=2), limit(1, 3, queue=2)
    assert all(dead.take() for _ in range(3))
    assert queued(dead) is not None
    waiter = queued(alive, 0, 0)
    assert alive.enqueue("t", 0, 1, 0) == (None, None)
    region.slot(0).give_back()
    assert rung(region) == [1]
    assert alive.on_bell(MS) == [waiter]
    assert alive.statistics(MS) == (3, (1, 0, 0, 0), (0, 0, 0, 0), (0, 0, 0, 0), 0, 0, False)
    assert alive.take() and alive.take() and not alive.take()


def test_a_limit_that_ends_sends_its_waiters_away_and_gives_its_rows_back(region, limit):
    one, other = limit(0, 1, queue=5), limit(1, 1, queue=5)
    assert one.take()
    waiting = [queued(one, class_) for class_ in (1, 0)]
    assert one.close() == waiting[::-1]
    assert region.bells().waiting(ROW) == []
    assert region.inflight().rows_in_use() == 1, "a permit is still held"
    one.give_back()
    assert other.take()
    other.give_back()
    other.close()
    assert region.inflight().rows_in_use() == 0
    assert one.take(), "a row that was given back is claimed anew"


def test_a_hundred_thousand_random_comings_and_goings_end_at_zero(region, limit):
    chance = random.Random(11)
    workers = [limit(slot, 7, queue=9, shares=(0.5, 0.2)) for slot in range(SLOTS)]
    held, waiting = [], []
    for now in range(100_000):
        worker, class_ = chance.choice(workers), chance.randrange(4)
        what = chance.random()
        if what < 0.5:
            if worker.take(class_):
                held.append((worker, class_))
            elif (waiter := worker.enqueue(chance.choice("ab"), class_, 1, now * MS)[0]) is not None:
                (held if waiter.is_admitted else waiting).append((worker, class_ if waiter.is_admitted else waiter))
        elif what < 0.8 and held:
            one, freed = held.pop(chance.randrange(len(held)))
            one.give_back(freed)
        elif what < 0.9 and waiting:
            one, waiter = waiting.pop(chance.randrange(len(waiting)))
            one.leave(waiter)
        elif what < 0.95:
            worker.timed_out(now * MS)
        else:
            held += [(worker, waiter.class_) for waiter in worker.on_bell(now * MS)]
    for one, class_ in held:
        one.give_back(class_)
    for worker in workers:
        while admitted := worker.on_bell(now * MS):
            for waiter in admitted:
                worker.give_back(waiter.class_)
    statistics = workers[0].statistics(now * MS)
    assert (statistics.in_flight, statistics.waiting) == ((0, 0, 0, 0), (0, 0, 0, 0))
    assert region.bells().waiting(ROW) == []


def test_what_makes_no_sense_is_refused(region, limit):
    for shares in [(0.6, 0.5), (-0.1,), (0.1,) * 5]:
        with pytest.raises(ValueError, match="shares"):
            limit(0, shares=shares)
    with pytest.raises(IndexError, match="no class 4"):
        limit(0).take(4)
    with pytest.raises(IndexError, match="slot 9"):
        WorkerBells(region.bells(), 9)


def test_one_count_has_several_bounds_and_the_higher_one_passes_who_waits(region, limit):
    one, other = (limit(slot, 1, queue=5, more=(2,)) for slot in (0, 1))
    assert one.take()
    free = queued(other)
    gold, _ = one.enqueue("t", 0, 1, 0, 1)
    assert not gold.is_admitted, "it leaves room for who came before, as if he could take it"
    assert rung(region), "there is room for somebody who waits"
    assert one.on_bell(MS) == [gold]
    assert gold.row >= 0
    assert other.on_bell(MS) == []
    one.give_back()
    one.give_back()
    assert other.on_bell(MS) == [free]
    with pytest.raises(IndexError, match="no bound 2"):
        one.enqueue("t", 0, 1, 0, 2)


def test_rows_of_a_key_are_freed_with_its_last_permit_and_waiter(region, limit):
    one, other = (limit(slot, 1, queue=5, frees_rows=True) for slot in (0, 1))
    assert one.take()
    waiter = queued(other)
    assert region.inflight().rows_in_use() == 2
    one.give_back()
    assert other.on_bell(MS) == [waiter]
    assert other.close() == []
    assert region.inflight().rows_in_use() == 1
    other.give_back()
    assert region.inflight().rows_in_use() == 0


def test_rows_of_a_key_heal_when_a_worker_dies_that_held_and_waited(region, limit):
    dead, alive = (limit(slot, 1, queue=2, frees_rows=True) for slot in (0, 1))
    assert dead.take()
    assert queued(dead) is not None
    waiter = queued(alive)
    assert alive.enqueue("t", 0, 1, 0) == (None, None)
    region.slot(0).give_back()
    assert rung(region) == [1]
    assert alive.on_bell(MS) == [waiter]
    assert alive.close() == []
    alive.give_back()
    assert region.inflight().rows_in_use() == 0
