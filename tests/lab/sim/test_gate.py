"""Permits, the queue by class, and what a sample is."""

import random

from tidegate.lab.sim.backend import Backend
from tidegate.lab.sim.clock import Clock
from tidegate.lab.sim.contenders import FixedLimit
from tidegate.lab.sim.gate import Gate
from tidegate.lab.sim.scenario import BackendPlan, GatePlan

MS = 1_000_000


class Witness(FixedLimit):
    """A limit that keeps what it is told."""

    def __init__(self, limit):
        super().__init__(limit)
        self.samples = []

    def observe(self, started_ns, latency_ns, in_flight, **more):
        self.samples.append((started_ns // MS, latency_ns // MS, in_flight, more["was_dropped"], more["waiting_ns"]))


def gateway(limit, servers=100, latency_ms=100, reports_waiting=False, **plan):
    clock = Clock()
    backend = Backend(BackendPlan(servers=servers, latency_ms=latency_ms, spread=0), clock, random.Random(1))
    gate = Gate(GatePlan(**plan), limit, backend, clock, classes=3, reports_waiting=reports_waiting)
    verdicts = []

    def ask(name, priority=0):
        gate.ask(priority, lambda verdict: verdicts.append((name, verdict, clock.now_ns // MS)))

    return clock, gate, ask, verdicts


def test_no_more_than_the_limit_are_in_flight():
    clock, gate, ask, verdicts = gateway(FixedLimit(2), queue=1, queue_timeout_ms=500)
    for name in "abcd":
        ask(name)
    assert gate.in_flight == 2
    assert repr(gate) == "<Gate 2/2 in flight, 1 waiting>"
    clock.run(1000 * MS)
    assert verdicts == [("d", "refused", 0), ("a", "served", 100), ("b", "served", 100), ("c", "served", 200)]
    assert gate.in_flight == gate.waiting == 0


def test_who_waits_too_long_is_refused():
    clock, _, ask, verdicts = gateway(FixedLimit(1), queue_timeout_ms=50)
    ask("a")
    ask("b")
    clock.run(1000 * MS)
    assert verdicts == [("b", "refused", 50), ("a", "served", 100)]


def test_higher_classes_are_served_first_and_take_the_place_of_lower():
    clock, _, ask, verdicts = gateway(FixedLimit(1), queue=2, queue_timeout_ms=1000)
    ask("first", 2)
    ask("low", 2)
    ask("lower", 2)
    ask("high", 0)
    ask("middle", 1)
    ask("late", 2)
    clock.run(1000 * MS)
    assert [(name, verdict) for name, verdict, _ in verdicts] == [
        ("lower", "refused"),
        ("low", "refused"),
        ("late", "refused"),
        ("first", "served"),
        ("high", "served"),
        ("middle", "served"),
    ]


def test_a_sample_holds_upstream_time_and_no_waiting_for_a_permit():
    limit = Witness(1)
    clock, _, ask, _ = gateway(limit, queue_timeout_ms=1000)
    ask("a")
    ask("b")
    clock.run(1000 * MS)
    assert limit.samples == [(0, 100, 1, False, None), (100, 100, 1, False, None)]


def test_what_takes_too_long_is_a_drop_and_counted_once():
    limit = Witness(5)
    clock, gate, ask, verdicts = gateway(limit, latency_ms=300, timeout_ms=200)
    ask("a")
    clock.run(1000 * MS)
    assert verdicts == [("a", "timed_out", 200)]
    assert limit.samples == [(0, 200, 1, True, None)]
    assert gate.in_flight == 0


def test_a_backend_may_report_how_long_it_kept_a_request_waiting():
    limit = Witness(5)
    clock, _, ask, _ = gateway(limit, servers=1, reports_waiting=True)
    ask("a")
    ask("b")
    clock.run(1000 * MS)
    assert [sample[-1] for sample in limit.samples] == [0, 100 * MS]


def test_a_limit_that_rose_lets_in_who_waits():
    limit = FixedLimit(1)
    clock, gate, ask, _ = gateway(limit, queue_timeout_ms=1000)
    ask("a")
    ask("b")
    clock.run(10 * MS)
    limit.limit = 2
    gate.turn()
    assert gate.in_flight == 2
