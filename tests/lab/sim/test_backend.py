"""Servers and their queue."""

import random

import pytest

from tidegate.lab.sim.backend import Backend
from tidegate.lab.sim.clock import Clock
from tidegate.lab.sim.scenario import BackendChange, BackendPlan

MS = 1_000_000


def backend(clock, **plan):
    waits = []
    return Backend(BackendPlan(**plan), clock, random.Random(1), waits.append), waits


def test_more_than_there_are_servers_wait_in_order():
    clock = Clock()
    servers, waits = backend(clock, servers=2, latency_ms=10, spread=0)
    ends = []
    for at in range(5):
        servers.ask(lambda waited_ns, at=at: ends.append((at, waited_ns // MS, clock.now_ns // MS)))
    assert servers.waiting == 3
    assert repr(servers) == "<Backend 2/2 busy, 3 waiting>"
    clock.run(100 * MS)
    assert ends == [(0, 0, 10), (1, 0, 10), (2, 10, 20), (3, 10, 20), (4, 20, 30)]
    assert [wait // MS for wait in waits] == [0, 0, 10, 10, 20]


def test_what_begins_after_a_change_takes_the_new_time():
    clock = Clock()
    servers, _ = backend(clock, servers=1, latency_ms=600, spread=0, changes=(BackendChange(0.5, 100),))
    ends = []
    for _ in range(2):
        servers.ask(lambda waited_ns: ends.append(clock.now_ns // MS))
    clock.run(10_000 * MS)
    assert ends == [600, 700]


@pytest.mark.parametrize(
    ("law", "spread", "deviation"), [("uniform", 0.3, 0.3 / 3**0.5), ("exponential", 0, 1.0), ("lognormal", 0.5, 0.533)]
)
def test_laws_have_their_mean_and_spread(law, spread, deviation):
    clock = Clock()
    servers, _ = backend(clock, servers=20_000, latency_ms=100, law=law, spread=spread)
    taken = []
    for _ in range(20_000):
        servers.ask(lambda waited_ns: taken.append(clock.now_ns / MS))
    clock.run(10**14)
    mean = sum(taken) / len(taken)
    assert mean == pytest.approx(100, rel=0.03)
    assert (sum((one - mean) ** 2 for one in taken) / len(taken)) ** 0.5 == pytest.approx(100 * deviation, rel=0.06)
