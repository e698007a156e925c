"""Gradient2: as the library has it."""

from tests.limits.adaptive.intervals import disagreements, interval, runs

from tidegate.limits.adaptive.algorithm import Why
from tidegate.limits.adaptive.gradient2 import Gradient2


def test_it_agrees_with_the_library_sample_by_sample():
    seen = 0
    for params, window, samples in runs("gradient2"):
        algorithm = Gradient2(
            params["initial"],
            least=params["min"],
            most=params["max"],
            smoothing=params["smoothing"],
            queue=params["queue"],
            long_window=params["long_window"],
            tolerance=params["tolerance"],
        )
        assert disagreements(algorithm, window, samples) == []
        seen += len(samples)
    assert seen == 1600


def test_it_says_why():
    algorithm = Gradient2(100)
    assert algorithm.update(interval()) is Why.SHORT_QUEUE
    assert algorithm.update(interval(latency_ms=5000)) is Why.LONG_QUEUE
    assert algorithm.update(interval(in_flight=1)) is Why.APPLICATION_LIMITED
    assert algorithm.update(interval(latency_ms=0, count=3, drops=3)) is Why.NO_SAMPLES


def test_queue_that_stays_is_taken_for_normal():
    """Its known weakness, and the reason why it is not the default."""
    algorithm = Gradient2(100, long_window=20)
    for at in range(30):
        algorithm.update(interval(at + 1, 50, in_flight=10))
    for at in range(200):
        algorithm.update(interval(at + 31, 500, in_flight=10_000))
    assert algorithm.limit > 200
