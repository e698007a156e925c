"""One adaptive limit for all workers, whichever of them decides."""

import pytest

from tidegate.limits.adaptive.catalogue import ALGORITHMS, make
from tidegate.limits.adaptive.controller import Controller
from tidegate.limits.adaptive.shared import SharedLimit, remembered_of
from tidegate.limits.adaptive.tally import Tally, interval_of
from tidegate.memory.region import Region

S = 1_000_000_000
MS = 1_000_000


@pytest.fixture
def region():
    made = Region.create(3, 1, 1)
    yield made
    made.close()


@pytest.fixture
def worker(region):
    def worker(slot, name="queue_delay"):
        shared = region.adaptive(slot)
        shared.begin(9, S)
        return SharedLimit(shared, 9, lambda: Controller(make(name), floor=5, ceiling=1000))

    return worker


def busy_second(worker, second, latency_ns=10 * MS):
    """Fifty requests that ended in a second, as many under way as may be."""
    for n in range(50):
        started_ns = second * S + n * 10 * MS
        worker.shared.add(9, started_ns, latency_ns, worker.limit)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_workers_that_decide_in_turn_come_to_what_one_alone_comes_to(region, worker, name):
    workers = [worker(slot, name) for slot in range(3)]
    alone = Controller(make(name), floor=5, ceiling=1000)
    for second in range(1, 40):
        latency_ns = (10 if second < 20 else 60) * MS
        tally = Tally(second * S if second > 1 else S)
        for n in range(50):
            started_ns = second * S + n * 10 * MS
            if started_ns >= alone.changed_ns:
                tally.add(started_ns, latency_ns, alone.limit)
            workers[n % 3].shared.add(9, started_ns, latency_ns, workers[0].limit)
        now_ns = (second + 1) * S
        expected = alone.decide(tally.interval(now_ns))
        decisions = [one.turn(now_ns) for one in workers[second % 3 :] + workers[: second % 3]]
        assert [decision is not None for decision in decisions] == [True, False, False]
        assert decisions[0].limit == pytest.approx(expected.limit, abs=1), f"second {second}"
        assert {one.limit for one in workers} == {decisions[0].limit}
        alone.algorithm.limit = float(decisions[0].limit)


def test_a_worker_that_starts_late_uses_what_was_learned(worker):
    one = worker(0)
    for second in range(1, 6):
        busy_second(one, second)
        assert one.turn((second + 1) * S) is not None
    late = worker(1)
    learned = one.limit
    assert late.limit == learned > late.initial
    busy_second(late, 7)
    assert late.turn(8 * S).before == learned


def test_nothing_is_decided_before_the_interval_is_over(worker):
    one = worker(0)
    busy_second(one, 1)
    assert one.turn(2 * S - 1) is None
    assert one.turn(2 * S) is not None
    assert one.turn(9 * S) is None, "nothing was measured since"


def test_counts_of_the_machine_read_like_a_tally(region):
    cells, tally = region.adaptive(0), Tally(S)
    cells.begin(9, S)
    for n in range(30):
        sample = (S + n * MS, (3 + n) * MS, n + 1)
        cells.add(9, *sample, was_dropped=n % 7 == 0, waiting_ns=n * 100_000)
        tally.add(*sample, was_dropped=n % 7 == 0, waiting_ns=n * 100_000)
    taken = cells.take_turn(9, 3 * S, shortest_ns=0, interval_ns=0, samples_min=1, samples=1)
    assert interval_of(cells.gather(9, taken), 3 * S) == tally.interval(3 * S)


def test_it_shows_where_it_stands(worker):
    assert repr(worker(0)).startswith("<SharedLimit 100 in row 9>")


def test_what_is_remembered_says_where_the_limit_stands(worker):
    one = worker(0)
    assert remembered_of(one.shared, 9) is None
    busy_second(one, 1)
    decision = one.turn(2 * S)
    known = remembered_of(one.shared, 9)
    assert (known.decided_ns, known.stands.limit, known.stands.why) == (2 * S, decision.limit, decision.why)
    busy_second(one, 2)
    one.turn(3 * S)
    assert remembered_of(one.shared, 9).stands.decisions == 2


def test_what_nobody_understands_is_as_good_as_nothing(worker):
    one = worker(0)
    busy_second(one, 1)
    interval = one.shared.take_turn(9, 2 * S, shortest_ns=0, interval_ns=0, samples_min=1, samples=1)
    assert one.shared.publish(9, interval, 50, 0, b"of another program")
    assert remembered_of(one.shared, 9) is None
    busy_second(one, 2)
    assert one.turn(3 * S).before == 100


def test_an_interval_is_longer_than_answers_take(worker):
    one = worker(0)
    busy_second(one, 1, latency_ns=600 * MS)
    assert one.turn(2 * S) is not None
    busy_second(one, 2, latency_ns=600 * MS)
    assert one.turn(3 * S + 400 * MS) is None
    assert one.turn(4 * S) is not None
