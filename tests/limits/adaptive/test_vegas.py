"""Vegas: as the library has it."""

from tests.limits.adaptive.intervals import disagreements, interval, runs

from tidegate.limits.adaptive.algorithm import Why
from tidegate.limits.adaptive.vegas import Vegas


def test_it_agrees_with_the_library_sample_by_sample():
    seen = 0
    for params, window, samples in runs("vegas"):
        algorithm = Vegas(params["initial"], most=params["max"], smoothing=params["smoothing"], rebase_factor=None)
        assert disagreements(algorithm, window, samples) == []
        seen += len(samples)
    assert seen == 1600


def test_measuring_anew_leaves_the_limit():
    algorithm = Vegas(4, rebase_factor=1.0)
    for _ in range(3):
        algorithm.update(interval(latency_ms=50, in_flight=1))
    assert algorithm.update(interval(latency_ms=800)) is Why.STEADY
    assert algorithm.floor_ns == 800_000_000
    assert algorithm.limit == 4


def test_it_says_why():
    algorithm = Vegas(100)
    assert algorithm.update(interval()) is Why.STEADY
    assert algorithm.update(interval()) is Why.SHORT_QUEUE
    assert algorithm.limit == 112
    assert algorithm.update(interval(latency_ms=52)) is Why.SHORT_QUEUE
    assert algorithm.limit == 114
    assert algorithm.update(interval(latency_ms=54)) is Why.STEADY
    assert algorithm.update(interval(latency_ms=500)) is Why.LONG_QUEUE
    assert algorithm.limit == 112
    assert algorithm.update(interval(drops=1)) is Why.DROPS
    assert algorithm.update(interval(in_flight=1)) is Why.APPLICATION_LIMITED
