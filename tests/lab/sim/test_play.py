"""A scenario played: the same seed, the same outcome; every request has one end."""

import msgspec
import pytest

from tidegate.lab.sim.contenders import FixedLimit
from tidegate.lab.sim.play import play
from tidegate.lab.sim.scenario import BackendPlan, Scenario, Stream

SHORT = Scenario(
    title="t",
    lesson="l",
    seconds=8,
    streams=(Stream(per_s=60, retries=1), Stream(name="low", per_s=60, priority=1)),
    backend=BackendPlan(servers=4, latency_ms=50, law="exponential"),
    fixed_limit=6,
)


def test_it_repeats_to_the_last_figure():
    first, second = play(SHORT), play(SHORT)
    assert first.seconds == second.seconds
    assert first.summary() == second.summary()
    other = play(msgspec.structs.replace(SHORT, seed=2))
    assert other.seconds != first.seconds


@pytest.mark.parametrize("name", ["queue_delay", "fixed", "none"])
def test_contenders_meet_the_same_arrivals(name):
    assert [one.came for one in play(SHORT, name).seconds] == [one.came for one in play(SHORT, "aimd").seconds]


def test_a_limit_of_ones_own_is_kept_to():
    outcome = play(SHORT, "mine", limit=FixedLimit(3))
    assert outcome.contender == "mine"
    assert {one.limit for one in outcome.seconds} == {3}
    assert max(one.in_flight for one in outcome.seconds) == 3
    assert outcome.statistics is None


def test_every_attempt_ends_once():
    outcome = play(SHORT, "fixed")
    tried = sum(one.tried for one in outcome.seconds)
    ended = sum(one.served + one.refused + one.timed_out for one in outcome.seconds)
    assert 0 <= tried - ended <= 26, "but for those that were in flight or queued at the end"
    assert sum(one.refused for one in outcome.seconds) > 0


def test_an_adaptive_limit_tells_where_it_stands():
    assert play(SHORT).statistics.decisions > 3
