"""Arrivals: as many as the rate says, as irregular as a Poisson process."""

import random
from itertools import pairwise

import pytest

from tidegate.lab.sim.arrivals import Arrivals
from tidegate.lab.sim.clock import SECOND_NS
from tidegate.lab.sim.scenario import RateChange, Stream


def times(stream, seconds, seed=1):
    arrivals, now_ns, found = Arrivals(stream, random.Random(seed)), 0, []
    while (at_ns := arrivals.next_after(now_ns, seconds * SECOND_NS)) is not None:
        assert at_ns > now_ns
        now_ns = at_ns
        found.append(at_ns / SECOND_NS)
    return found


def test_rate_and_irregularity_are_those_of_poisson():
    found = times(Stream(per_s=100), 100)
    assert len(found) == pytest.approx(10_000, rel=0.03)
    gaps = [later - earlier for earlier, later in pairwise(found)]
    mean = sum(gaps) / len(gaps)
    deviation = (sum((gap - mean) ** 2 for gap in gaps) / len(gaps)) ** 0.5
    assert deviation == pytest.approx(mean, rel=0.05)


def test_a_step_is_a_step():
    found = times(Stream(per_s=50, changes=(RateChange(20, 150),)), 40)
    assert sum(at < 20 for at in found) == pytest.approx(1000, rel=0.1)
    assert sum(at >= 20 for at in found) == pytest.approx(3000, rel=0.1)


def test_the_same_seed_brings_the_same_arrivals():
    stream = Stream(per_s=30, swing=0.9, day_s=5)
    assert times(stream, 10) == times(stream, 10) != times(stream, 10, seed=2)


def test_nobody_comes_at_no_rate():
    assert times(Stream(per_s=0), 10) == []
