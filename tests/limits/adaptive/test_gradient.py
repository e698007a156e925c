"""Gradient: as the library has it, and without its probe."""

from tests.limits.adaptive.intervals import disagreements, interval, runs

from tidegate.limits.adaptive.algorithm import Why
from tidegate.limits.adaptive.gradient import Gradient, gradient_of


def test_it_agrees_with_the_library_sample_by_sample():
    seen = 0
    for params, window, samples in runs("gradient"):
        algorithm = Gradient(
            params["initial"],
            least=params["min"],
            most=params["max"],
            smoothing=params["smoothing"],
            tolerance=params["tolerance"],
            backoff=params["backoff"],
            rebase_after=None,
        )
        assert disagreements(algorithm, window, samples) == []
        seen += len(samples)
    assert seen == 1600


def test_gradient_is_bounded():
    assert gradient_of(50, 50) == 1.0
    assert gradient_of(50, 5000) == 0.5
    assert gradient_of(500, 50) == 1.0
    assert gradient_of(500, 50, most=2.0) == 2.0


def test_measuring_anew_forgets_the_least_and_refuses_nobody():
    algorithm = Gradient(100, rebase_after=3)
    for _ in range(3):
        algorithm.update(interval(latency_ms=50))
    before = algorithm.limit
    assert algorithm.update(interval(latency_ms=200)) is Why.SHORT_QUEUE
    assert algorithm.floor_ns == 200_000_000
    assert algorithm.limit >= before


def test_it_says_why():
    algorithm = Gradient(100)
    assert algorithm.update(interval()) is Why.SHORT_QUEUE
    assert algorithm.update(interval(latency_ms=500)) is Why.LONG_QUEUE
    assert algorithm.update(interval(drops=1)) is Why.DROPS
    assert algorithm.update(interval(in_flight=1)) is Why.APPLICATION_LIMITED
