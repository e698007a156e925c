"""Saturation is arithmetic on a sample."""

import pytest
from tests.observe.samples import sample, worker

from tidegate.observe.saturation import SIGNALS, Held, SaturationBounds, saturation_of

BOUNDS = SaturationBounds(connections=1000, backlog=100)


def of(*workers, **changed):
    return saturation_of(sample(*workers, **changed), BOUNDS)


@pytest.mark.parametrize(
    ("changed", "signal", "value"),
    [
        ({"loop_lag_s": 0.25}, "loop_lag", 2.5),
        ({"queue_delay_s": 0.05}, "queue_delay", 0.5),
        ({"connections": 500}, "in_flight", 0.5),
        ({"connections": 500, "pool_share": 1.5}, "in_flight", 1.5),
        ({"queued": 80}, "backlog", 0.8),
        ({"shed_level": 0.3}, "shedding", 1.3),
    ],
)
def test_each_signal_is_a_value_over_its_bound_and_the_worst_one_counts(changed, signal, value):
    saturation = of(worker(connections=10), worker(1, **changed))
    assert (saturation.value, saturation.worst, saturation.signals[signal]) == (value, signal, value)
    assert [one.value for one in saturation.workers] == [0.01, value]
    assert set(saturation.signals) == set(SIGNALS)


def test_the_link_is_the_machines_and_nothing_where_its_speed_is_not_known():
    assert of(worker(), link_share=0.75).value == 0.75
    assert of(worker(), link_share=None).value == 0.0


def test_a_filter_that_sleeps_200_ms_at_a_time_saturates():
    assert of(worker(), worker(1, loop_lag_s=0.15, heartbeat_age_s=0.2)).value == 1.5


def test_one_stalled_worker_of_four_is_steered_around_and_shows_as_its_own_saturation_only():
    stalled = worker(3, loop_lag_s=5.0, heartbeat_age_s=5.05)
    saturation = of(worker(connections=200), worker(1), worker(2), stalled)
    assert saturation.value == 0.2
    assert saturation.workers[3].value == 50.0


def test_old_worker_that_drains_beside_a_new_one_does_not_make_the_gateway_full():
    saturation = of(worker(connections=100), worker(2, state="draining", connections=2000))
    assert (saturation.value, saturation.workers[1].value) == (0.1, 2.0)
    assert of(worker(2, state="draining", connections=2000)).value == 2.0


def test_when_all_stand_all_count():
    assert of(*(worker(at, loop_lag_s=5.0, heartbeat_age_s=5.05) for at in range(4))).value == 50.0


def test_who_is_dead_or_starts_is_not_full():
    saturation = of(worker(state="dead", loop_lag_s=9.0), worker(1, state="starting", connections=5000))
    assert (saturation.value, saturation.workers) == (0.0, ())


def test_unix_sockets_alone_have_no_backlog_share():
    assert saturation_of(sample(worker(queued=0)), SaturationBounds(connections=1, backlog=0)).value == 0.0


def test_a_peak_is_seen_by_who_looks_every_fifteen_seconds():
    held = Held()
    assert held.worst.value == 0.0
    for now_s in range(60):
        held.take(now_s, of(worker(loop_lag_s=0.3 if now_s == 20 else 0.01, connections=100)))
        seen = held.worst
        assert seen.value == (3.0 if 20 <= now_s <= 35 else 0.1)
        assert seen.workers[0].value == seen.value
    assert repr(held) == "<Held 0.1 of 16 samples>"


def test_who_is_gone_is_not_held():
    held = Held()
    held.take(0, of(worker(connections=900), worker(1, loop_lag_s=0.2)))
    held.take(1, of(worker(connections=100)))
    assert [(one.slot, one.value) for one in held.worst.workers] == [(0, 0.9)]
    assert held.worst.value == 2.0  # it happened, and who looks now is to know
