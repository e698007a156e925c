"""AIMD: as the library has it."""

from tests.limits.adaptive.intervals import MS, disagreements, interval, runs

from tidegate.limits.adaptive.aimd import Aimd
from tidegate.limits.adaptive.algorithm import Why


def test_it_agrees_with_the_library_sample_by_sample():
    seen = 0
    for params, window, samples in runs("aimd"):
        algorithm = Aimd(
            params["initial"],
            least=params["min"],
            most=params["max"],
            backoff=params["backoff"],
            timeout_ns=params["timeout_ms"] * MS,
        )
        assert disagreements(algorithm, window, samples) == []
        seen += len(samples)
    assert seen == 1600


def test_it_says_why():
    algorithm = Aimd(100, timeout_ns=1000 * MS)
    assert algorithm.update(interval()) is Why.SHORT_QUEUE
    assert algorithm.update(interval(latency_ms=1001)) is Why.DROPS
    assert algorithm.update(interval(drops=1)) is Why.DROPS
    assert algorithm.update(interval(in_flight=1)) is Why.APPLICATION_LIMITED
    assert algorithm.limit == 81
