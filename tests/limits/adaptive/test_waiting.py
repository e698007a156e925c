"""Waiting told from time in the upstream: jitter is none, a slower upstream is none, a queue is."""

import pytest
from tests.limits.adaptive.intervals import MS, S, interval

from tidegate.limits.adaptive.waiting import Waiting


def jittered(at_s, least_ms, most_ms, in_flight=30, **more):
    """Answers spread evenly between two times."""
    span_ms = most_ms - least_ms
    return interval(
        at_s,
        least_ms,
        in_flight,
        latency_mean_ns=int((least_ms + span_ms / 2) * MS),
        latency_p90_ns=int((least_ms + 0.9 * span_ms) * MS),
        **more,
    )


def test_spread_of_a_healthy_upstream_is_no_waiting():
    waiting = Waiting()
    for at in range(1, 100):
        waiting.take(jittered(at, 45, 55), 100)
        assert waiting.waiting_ns == 0
    waiting = Waiting()
    for at in range(1, 100):
        waiting.take(jittered(at, 5, 500), 100)
        assert waiting.waiting_ns == 0


def test_a_queue_moves_the_quickest_too_and_is_seen_in_full():
    waiting = Waiting()
    waiting.take(jittered(1, 45, 55), 100)
    waiting.take(jittered(2, 95, 105), 100)
    assert waiting.waiting_ns == 50 * MS
    assert waiting.floor_ns == 45 * MS


def test_target_is_a_share_of_an_unqueued_answer_and_at_least_5_ms():
    waiting = Waiting()
    waiting.take(jittered(1, 2, 4), 100)
    assert waiting.target_ns == 5 * MS
    waiting = Waiting()
    waiting.take(jittered(1, 40, 60), 100)
    assert waiting.target_ns == pytest.approx(0.5 * 58 * MS)


def test_what_is_measured_is_believed():
    waiting = Waiting()
    waiting.take(interval(1, 50, waiting_p90_ns=7 * MS), 100)
    assert waiting.waiting_ns == 7 * MS


def test_two_answers_have_no_spread():
    waiting = Waiting()
    waiting.take(jittered(1, 45, 95), 100)
    waiting.take(jittered(2, 45, 46, count=10), 100)
    assert waiting.unqueued_ns == 90 * MS


def test_a_cut_that_makes_nothing_quicker_shows_a_new_floor():
    waiting = Waiting()
    waiting.take(interval(1, 50, in_flight=5), 100)
    assert not waiting.take(interval(2, 800, in_flight=100), 100)
    assert waiting.take(interval(4, 800, in_flight=70), 70)
    assert waiting.floor_ns == 800 * MS
    assert waiting.waiting_ns == 0


def test_a_cut_that_makes_answers_quicker_in_proportion_leaves_the_floor():
    waiting = Waiting()
    waiting.take(interval(1, 50, in_flight=5), 100)
    waiting.take(interval(2, 500, in_flight=100), 100)
    assert not waiting.take(interval(3, 350, in_flight=70), 70)
    assert waiting.floor_ns == 50 * MS
    assert waiting.waiting_ns == 300 * MS


def test_a_cut_that_was_not_in_force_shows_nothing():
    waiting = Waiting()
    waiting.take(interval(1, 50, in_flight=5), 100)
    waiting.take(interval(2, 800, in_flight=80), 100)
    assert not waiting.take(interval(4, 800, in_flight=70), 70), "the queue was still being filled before the cut"
    waiting.take(interval(5, 800, in_flight=70), 70)
    assert not waiting.take(interval(6, 800, in_flight=30), 49), "less came than the limit allows"


def test_a_worker_that_stands_for_a_moment_does_not_hide_what_a_cut_shows():
    """Places that come free meanwhile are filled late, and whoever fills them finds few in flight."""
    waiting = Waiting()
    waiting.take(interval(1, 50, in_flight=5), 100)
    waiting.take(interval(2, 800, in_flight=70, in_flight_mean=67), 70)
    assert waiting.take(interval(4, 800, in_flight=49, in_flight_mean=46), 49)


def test_a_small_cut_shows_nothing():
    waiting = Waiting()
    waiting.take(interval(1, 50, in_flight=5), 100)
    waiting.take(interval(2, 800, in_flight=100), 100)
    assert not waiting.take(interval(3, 800, in_flight=90), 90)
    assert waiting.take(interval(4, 800, in_flight=80), 80), "two small ones are a large one"


def test_a_limit_that_cannot_fall_any_more_does_not_hang_on_an_old_floor():
    waiting = Waiting()
    waiting.take(interval(1, 50, in_flight=5), 10)
    known = [waiting.take(interval(at, 800, in_flight=10), 10) for at in range(2, 40)]
    assert known.index(True) == 31
    assert waiting.floor_ns == 800 * MS


def test_how_long_it_has_been_stuck_goes_on_in_another_worker():
    first, second = Waiting(), Waiting()
    first.take(interval(1, 50, in_flight=5), 10)
    for at in range(2, 20):
        first.take(interval(at, 800, in_flight=10), 10)
    second.restore(first.export(19 * S), 119 * S)
    known = [second.take(interval(at, 800, in_flight=10), 10) for at in range(120, 140)]
    assert known.index(True) == 13, "half a minute after the third second"


def test_nothing_answered_teaches_nothing():
    waiting = Waiting()
    waiting.take(interval(1, 50), 100)
    assert not waiting.take(interval(2, 0, count=5, drops=5), 100)
    assert waiting.floor_ns == 50 * MS


def test_it_goes_on_after_a_restart():
    before, after = Waiting(), Waiting()
    before.take(jittered(1, 45, 55, in_flight=5), 100)
    before.take(jittered(2, 800, 820, in_flight=100), 100)
    after.restore(before.export(2 * S), 1000 * S)
    assert (after.floor_ns, after.unqueued_ns) == (before.floor_ns, before.unqueued_ns)
    assert after.take(jittered(1002, 800, 820, in_flight=70), 70), "the cut before the restart is remembered"
