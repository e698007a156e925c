"""Clients: open loop, patience, and trying again."""

import random

import msgspec
import pytest

from tidegate.lab.sim.clients import Clients
from tidegate.lab.sim.clock import SECOND_NS, Clock
from tidegate.lab.sim.outcome import Outcome
from tidegate.lab.sim.scenario import Stream, shipped

MS = 1_000_000


class Gateway:
    """Answers every attempt as it is told to, after a while."""

    def __init__(self, clock, verdict, after_ms=0):
        self.clock, self.verdict, self.after_ms = clock, verdict, after_ms
        self.asked_ns = []

    def ask(self, priority, verdict):
        self.asked_ns.append(self.clock.now_ns)
        self.clock.after(self.after_ms * MS, verdict, self.verdict)


def played(verdict, after_ms=0, seconds=10, **stream):
    clock = Clock()
    given = Stream(**{"per_s": 20, **stream})
    scenario = msgspec.structs.replace(shipped()["cache"], seconds=seconds, streams=(given,))
    outcome = Outcome(scenario, "told")
    gate = Gateway(clock, verdict, after_ms)
    chance = (random.Random(1), random.Random(2))
    Clients(given, gate, clock, chance=chance, outcome=outcome, until_ns=seconds * SECOND_NS).begin()
    clock.run(2 * seconds * SECOND_NS)
    return outcome, gate


def test_they_come_whether_or_not_they_are_answered():
    slow, _ = played("served", after_ms=9_000)
    quick, _ = played("served")
    assert [one.came for one in slow.seconds] == [one.came for one in quick.seconds]
    assert sum(one.came for one in quick.seconds) == pytest.approx(200, rel=0.2)
    assert quick.served_share() == 1.0


def test_refused_they_try_again_later_and_later():
    outcome, gate = played("refused", per_s=0.2, retries=3, retry_after_ms=100, seconds=20)
    came = sum(one.came for one in outcome.seconds)
    assert came > 0
    assert len(gate.asked_ns) == 4 * came
    gaps = [(later - earlier) / MS for earlier, later in zip(gate.asked_ns[:3], gate.asked_ns[1:4], strict=True)]
    for gap, longest in zip(gaps, (100, 200, 400), strict=True):
        assert longest / 2 <= gap <= longest
    assert outcome.served_share() == 0.0


def test_an_answer_that_nobody_waits_for_is_no_success():
    outcome, _ = played("served", after_ms=300, patience_ms=200)
    assert outcome.served_share() == 0.0
    assert sum(one.timed_out for one in outcome.seconds) > 100


def test_what_the_cache_has_asks_nobody():
    outcome, gate = played("refused", cached_share=0.9, seconds=50)
    came = sum(one.came for one in outcome.seconds)
    assert len(gate.asked_ns) == pytest.approx(0.1 * came, rel=0.3)
    assert outcome.served_share() == pytest.approx(0.9, abs=0.03)
