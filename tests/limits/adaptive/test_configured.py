"""What the configuration says of an adaptive limit is what its controller does."""

import pytest
from tests.limits.adaptive.intervals import MS, S, interval

from tidegate.config.adaptive import Adaptive, Windowed
from tidegate.limits.adaptive.algorithm import Why
from tidegate.limits.adaptive.catalogue import ALGORITHMS
from tidegate.limits.adaptive.configured import configured


@pytest.mark.parametrize("name", ALGORITHMS)
def test_algorithm_is_the_one_that_is_named(name):
    controller = configured(Adaptive(algorithm=name))
    assert controller.algorithm.name == name
    assert type(controller.algorithm) is ALGORITHMS[name]


def test_floor_ceiling_and_initial_bound_it():
    assert configured(Adaptive(initial=70)).limit == 70
    assert configured(Adaptive(floor=200)).limit == 200
    controller = configured(Adaptive(floor=30, ceiling=40))
    assert controller.limit == 40
    for at in range(1, 20):
        controller.decide(interval(at, 50 * at, in_flight=40, drops=50))
    assert controller.limit == 30


def test_intervals_are_as_long_as_is_said():
    controller = configured(Adaptive(interval=3.0, samples=50, samples_min=5))
    assert controller.bounds() == {
        "shortest_ns": 100 * MS,
        "interval_ns": 3 * S,
        "samples_min": 5,
        "samples": 50,
    }


def test_target_its_share_and_the_window():
    controller = configured(Adaptive(target=0.02, target_share=2.0, window=3.0))
    controller.decide(interval(1, 5))
    assert controller.statistics().target_ns == 20 * MS
    controller.decide(interval(10, 50, in_flight=1))
    assert controller.statistics().floor_ns == 50 * MS, "what was three seconds ago is forgotten"
    assert controller.statistics().target_ns == 100 * MS


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (Adaptive(algorithm="gradient", initial=100, smoothing=1.0), 60),
        (Adaptive(algorithm="gradient", initial=100, smoothing=0.5), 80),
        (Adaptive(algorithm="gradient", initial=100, smoothing=1.0, tolerance=4.0), 110),
        (Adaptive(algorithm="gradient2", initial=100, smoothing=1.0, tolerance=4.0), 104),
    ],
)
def test_smoothing_and_tolerance_of_the_gradients(settings, expected):
    controller = configured(settings)
    controller.algorithm.update(interval(1, 10, in_flight=1))
    controller.algorithm.update(interval(2, 40, in_flight=100))
    assert int(controller.limit) == expected


def test_backoff_and_what_is_slow():
    controller = configured(Adaptive(algorithm="aimd", initial=100, backoff=0.5, slow=0.2))
    assert controller.decide(interval(1, 199)).limit == 101
    assert controller.decide(interval(2, 201)).why is Why.DROPS
    assert controller.limit == 50


def test_windows_decorate_the_algorithm():
    windowed = Windowed(shortest=2.0, longest=3.0, samples=250, percentile=0.9)
    controller = configured(Adaptive(algorithm="aimd", initial=100, slow=0.05, windowed=windowed))
    whys = [controller.decide(interval(at, latency)).why for at, latency in ((1, 10), (2, 10), (3, 10), (4, 60))]
    assert whys == [Why.NO_SAMPLES, Why.STEADY, Why.STEADY, Why.DROPS], "the slowest tenth stands for a window"
    assert configured(Adaptive(windowed=Windowed())).algorithm.name == "windowed"


def test_a_bound_is_suggested_where_that_is_asked_for():
    for suggest in (True, False):
        controller = configured(Adaptive(suggest=suggest))
        controller.decide(interval(1, 50, in_flight=80))
        assert (controller.statistics().suggested is not None) is suggest
