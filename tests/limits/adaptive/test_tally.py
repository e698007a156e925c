"""Requests counted into an interval, by one worker and by several."""

import random

import pytest
from tests.limits.adaptive.intervals import MS, S

from tidegate.limits.adaptive.tally import Tally, quantile_ns
from tidegate.memory.histogram import BUCKETS, bucket_of


def counted(samples, tally=None):
    tally = tally or Tally()
    for started_ns, latency_ns, in_flight, more in samples:
        tally.add(started_ns, latency_ns, in_flight, **more)
    return tally


def samples(number, seed=1):
    chance = random.Random(seed)
    return [
        (chance.randrange(S), chance.randrange(40 * MS, 60 * MS), chance.randrange(1, 50), {}) for _ in range(number)
    ]


def test_interval_holds_what_was_counted():
    taken = [(10, 40 * MS, 3, {}), (5, 60 * MS, 9, {}), (20, 5 * S, 7, {"was_dropped": True})]
    interval = counted(taken).interval(10 * S)
    assert (interval.started_ns, interval.ended_ns, interval.count, interval.drops) == (5, 10 * S, 3, 1)
    assert interval.in_flight_max == 9
    assert interval.in_flight_mean == 19 / 3
    assert (interval.latency_min_ns, interval.latency_mean_ns) == (40 * MS, 50 * MS)
    assert interval.waiting_p90_ns is None


def test_duration_is_the_time_in_which_requests_ended():
    tally = Tally()
    tally.clear(2 * S)
    tally.add(2 * S, 800 * MS, 1)
    tally.add(2 * S, 900 * MS, 2)
    assert tally.interval(3 * S).duration_ns == 200 * MS


def test_slowest_tenth_is_known_to_a_few_percent():
    interval = counted(samples(5000)).interval(S)
    assert interval.latency_p90_ns == pytest.approx(58 * MS, rel=0.04)


def test_waiting_is_given_only_if_every_answer_has_it():
    with_it = {"waiting_ns": 5 * MS}
    assert counted([(0, MS, 1, with_it)] * 9).interval(S).waiting_p90_ns == pytest.approx(5 * MS, rel=0.13)
    assert counted([(0, MS, 1, with_it), (0, MS, 1, {})]).interval(S).waiting_p90_ns is None
    assert counted([(0, MS, 1, with_it), (0, MS, 1, {"was_dropped": True})]).interval(S).waiting_p90_ns is not None


def test_workers_together_are_one_machine():
    taken = samples(900)
    whole = counted(taken)
    parts = [counted(taken[:300]), counted(taken[300:900]), Tally()]
    merged = Tally()
    for part in parts:
        merged.merge(part)
    assert merged.interval(2 * S) == whole.interval(2 * S)


def test_cleared_it_is_empty():
    tally = counted(samples(10))
    tally.clear(7 * S)
    empty = tally.interval(8 * S)
    assert (empty.count, empty.latency_p90_ns, empty.in_flight_max, empty.started_ns) == (0, 0, 0, 8 * S)
    assert "0 requests" in repr(tally)


def test_quantile_lies_in_its_bucket():
    counts = [0] * BUCKETS
    assert quantile_ns(counts, 0.9) == 0
    counts[bucket_of(1000)] = 1
    assert 960_000 <= quantile_ns(counts, 0.9) <= 1_024_000
    counts = [0] * BUCKETS
    counts[0] = 10
    assert quantile_ns(counts, 0.5) == 500
    counts[BUCKETS - 1] = 1000
    assert 100 * S < quantile_ns(counts, 0.9) < 1000 * S
