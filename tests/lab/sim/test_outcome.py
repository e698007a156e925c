"""What is read off an outcome."""

import pytest

from tidegate.lab.sim.clock import SECOND_NS
from tidegate.lab.sim.outcome import Outcome, share_at
from tidegate.lab.sim.scenario import BackendPlan, Scenario, Stream

MS = 1_000_000


def outcome(seconds=10, **more):
    scenario = Scenario(
        title="t",
        lesson="l",
        seconds=seconds,
        streams=(Stream(name="a", per_s=10), Stream(name="b", per_s=10, priority=1)),
        backend=BackendPlan(servers=1, latency_ms=100),
        fixed_limit=5,
        **more,
    )
    return Outcome(scenario, "told")


def test_goodput_is_of_what_could_be_done():
    one = outcome()
    for second in range(10):
        for _ in range(9):
            one.served("a", second * SECOND_NS, second * SECOND_NS)
    assert one.goodput_share(0, 10) == pytest.approx(0.9), "20 are asked for, one server does 10"
    assert "90.0%" in repr(one)


def test_served_is_told_by_when_they_came_and_by_stream():
    one = outcome()
    for _ in range(4):
        one.came("a", 0)
        one.came("b", 5 * SECOND_NS)
    one.served("a", 0, 8 * SECOND_NS)
    one.cached("b", 5 * SECOND_NS)
    one.cached("b", 5 * SECOND_NS)
    assert one.served_share() == pytest.approx(3 / 8)
    assert one.served_share(0, 1) == pytest.approx(1 / 4)
    assert one.served_share(stream="b") == pytest.approx(1 / 2)
    assert one.served_share(7, 8) == 1.0, "nobody came"


def test_recovery_is_some_seconds_on_end():
    one = outcome()
    for second in range(10):
        one.came("a", second * SECOND_NS)
        if second in {2, 3, 5, 6, 7, 8}:
            one.served("a", second * SECOND_NS, second * SECOND_NS)
    assert one.recovered_s(0) == 5
    assert one.recovered_s(5) == 0
    assert one.recovered_s(8) is None


def test_queue_delay_of_a_second_is_that_of_its_slowest_tenth():
    one = outcome()
    for wait in range(100):
        one.waited(3 * SECOND_NS, wait * MS)
    one.close()
    assert one.seconds[3].queue_delay_ms == 90
    assert one.seconds[4].queue_delay_ms == 0


def test_summary_is_of_the_time_of_trouble():
    one = outcome(trouble=(2, 4))
    for second in range(10):
        one.looked(second * SECOND_NS, 10 + second, 3, 25.0)
        one.failed("refused", second * SECOND_NS)
        one.came("a", second * SECOND_NS)
    one.failed("timed_out", 3 * SECOND_NS)
    one.tried(99 * SECOND_NS)
    one.close()
    summary = one.summary()
    assert (summary.refused, summary.timed_out) == (2, 1)
    assert (summary.limit_least, summary.limit_most, summary.target_ms) == (12, 13, 25.0)
    assert summary.served == {"a": 0.0}
    assert summary.recovered_s is None


def test_share_at():
    assert share_at([], 0.9) == 0.0
    assert share_at([3, 1, 2], 0.5) == 2
    assert share_at([3, 1, 2], 1.0) == 3
