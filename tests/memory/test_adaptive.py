"""What adaptive limits measure: counted for the machine, one decides, and nobody who is late spoils it."""

import subprocess
import sys

import pytest

from tidegate.memory.adaptive import ROWS, STATE_MAX, Adaptive
from tidegate.memory.histogram import BUCKETS, bucket_of
from tidegate.memory.region import Region

pytestmark = pytest.mark.sanitize

S = 1_000_000_000
MS = 1_000_000
AT_ONCE = {"shortest_ns": 0, "interval_ns": 0, "samples_min": 1, "samples": 1}


@pytest.fixture
def region():
    made = Region.create(slots=3)
    yield made
    made.close()


@pytest.fixture
def workers(region):
    views = [region.adaptive(slot) for slot in range(3)]
    for view in views:
        view.begin(5, 10 * S)
    return views


def test_samples_of_all_workers_make_one_interval(workers):
    one, other, third = workers
    one.add(5, 11 * S, 8 * MS, 4)
    one.add(5, 11 * S + 5, 20 * MS, 9, waiting_ns=3 * MS)
    other.add(5, 10 * S + 7, 2 * MS, 3, waiting_ns=0)
    other.add(5, 12 * S, 500 * MS, 6, was_dropped=True)
    interval = third.take_turn(5, 13 * S, **AT_ONCE)
    counts = third.gather(5, interval)
    assert counts.began_ns == 10 * S
    assert (counts.ended, counts.drops) == (4, 1)
    assert (counts.in_flight_max, counts.in_flight_sum) == (9, 22)
    assert (counts.started_ns, counts.first_end_ns) == (10 * S + 7, 10 * S + 7 + 2 * MS)
    assert (counts.latency_min_ns, counts.latency_sum_ns) == (2 * MS, 30 * MS)
    assert {i: n for i, n in enumerate(counts.latencies) if n} == {bucket_of(us): 1 for us in (8000, 20000, 2000)}
    assert counts.waited == 2
    assert {i: n for i, n in enumerate(counts.waitings) if n} == {bucket_of(3000): 1, 0: 1}


@pytest.mark.parametrize("us", [0, 1, 7, 8, 9, 1000, 123_456, 2**27 - 1, 2**27, 2**40])
def test_times_fall_into_the_buckets_of_the_histogram(workers, us):
    workers[0].add(5, 11 * S, us * 1000, 1)
    counts = workers[0].gather(5, workers[0].take_turn(5, 12 * S, **AT_ONCE))
    assert counts.latencies.index(1) == bucket_of(us)
    assert len(counts.latencies) == len(counts.waitings) == BUCKETS


def test_one_worker_decides_and_only_when_the_interval_is_over(workers):
    bounds = {"shortest_ns": 100 * MS, "interval_ns": S, "samples_min": 3, "samples": 5}
    one, other, _ = workers
    for n in range(2):
        one.add(5, 10 * S, n + 1, 1)
    assert one.take_turn(5, 20 * S, **bounds) is None, "too few"
    other.add(5, 10 * S, 1, 1)
    assert one.take_turn(5, 10 * S + 999 * MS, **bounds) is None
    assert one.take_turn(5, 11 * S, **bounds) == 10 * S
    assert other.take_turn(5, 11 * S, **bounds) is None, "it was taken"
    for _ in range(5):
        other.add(5, 11 * S, 1, 1)
    assert one.take_turn(5, 11 * S + 99 * MS, **bounds) is None, "too short"
    second = other.take_turn(5, 11 * S + 100 * MS, **bounds)
    assert second == 11 * S | 1
    assert one.gather(5, second).ended == 5


def test_each_interval_begins_with_nothing(workers):
    one, other, _ = workers
    for n in range(1, 6):
        one.add(5, 10 * S, n, 1)
        if n % 2:
            other.add(5, 10 * S, n, 1)
        interval = one.take_turn(5, (10 + n) * S, **AT_ONCE)
        counts = one.gather(5, interval)
        assert (counts.ended, counts.latency_sum_ns) == ((2, 2 * n) if n % 2 else (1, n))


def test_requests_from_before_a_change_teach_nothing(workers):
    one, other, _ = workers
    one.add(5, 10 * S, 1, 1)
    interval = one.take_turn(5, 11 * S, **AT_ONCE)
    assert one.publish(5, interval, 20, 11 * S, b"")
    other.add(5, 11 * S - 1, 5, 1)
    other.add(5, 11 * S, 7, 1)
    counts = other.gather(5, other.take_turn(5, 12 * S, **AT_ONCE))
    assert (counts.ended, counts.latency_sum_ns) == (1, 7)


def test_the_limit_is_one_for_all_and_a_late_decision_changes_nothing(workers):
    one, other, third = workers
    assert (one.learned(5), one.remembered(5)) == (0, b"")
    intervals = []
    for n in range(1, 4):
        one.add(5, 10 * S, 1, 1)
        intervals.append(one.take_turn(5, (10 + n) * S, **AT_ONCE))
    assert one.publish(5, intervals[0], 100, 0, b"first")
    assert other.publish(5, intervals[2], 120, 0, b"third")
    assert not one.publish(5, intervals[1], 7, 0, b"second")
    assert (third.learned(5), third.remembered(5)) == (120, b"third")
    assert third.learned(4) == 0, "that is another limit"


def test_a_decision_that_was_cut_short_leaves_the_one_before(region, workers):
    one = workers[0]
    intervals = []
    for n in range(1, 3):
        one.add(5, 10 * S, 1, 1)
        intervals.append(one.take_turn(5, (10 + n) * S, **AT_ONCE))
    assert one.publish(5, intervals[0], 50, 0, b"whole")
    assert one.publish(5, intervals[1], 60, 0, b"cut short")
    assert one.remembered(5) == b"cut short"
    section = region.mapping.layout.sections["adaptive"]
    words = [i for i in range(section.size // 8) if region.mapping.load_word("adaptive", 0, i) == intervals[1]]
    for at in words:
        if region.mapping.load_word("adaptive", 0, at + 1) == len(b"cut short"):
            region.mapping.store_word("adaptive", 0, at + 3, 0)
    assert one.remembered(5) == b"whole"


def test_processes_that_take_turns_count_no_sample_twice_and_lose_few(region, workers):
    code = (
        "import sys; from tidegate.memory.region import Region\n"
        "mine = Region.attach(int(sys.argv[1])).adaptive(int(sys.argv[2])); counted = 0\n"
        "sys.stdout.write('.'); sys.stdout.flush(); sys.stdin.read(1)\n"
        "bounds = dict(shortest_ns=0, interval_ns=0, samples_min=20, samples=1)\n"
        "for n in range(20000):\n"
        "    mine.add(5, 11_000_000_000 + n, 1000, 1)\n"
        "    taken = mine.take_turn(5, 12_000_000_000 + 1000 * n + int(sys.argv[2]) * 2, **bounds)\n"
        "    counted += mine.gather(5, taken).ended if taken is not None else 0\n"
        "print(counted)\n"
    )
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(region.fd), str(slot)],
            pass_fds=[region.fd],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for slot in (0, 1)
    ]
    for one in started:
        assert one.stdout.read(1) == b"."
    counted = sum(int(one.communicate(b"x", timeout=60)[0]) for one in started)
    # Intervals are microseconds here: of one whose counter is held up for two more, what others measured is lost.
    assert 20_000 <= counted <= 40_000


def test_what_does_not_fit_is_refused(region, workers):
    one = workers[0]
    for call in (lambda: one.add(ROWS, 0, 0, 0), lambda: one.learned(ROWS), lambda: one.gather(ROWS, 1)):
        with pytest.raises(IndexError, match=f"no limit {ROWS}"):
            call()
    for limit, state in [(0, b""), (1 << 24, b""), (5, bytes(STATE_MAX + 1))]:
        with pytest.raises(ValueError, match="24 bits"):
            one.publish(5, 2, limit, 0, state)
    with pytest.raises(IndexError, match="no slot 3"):
        Adaptive(region.mapping, 3)
