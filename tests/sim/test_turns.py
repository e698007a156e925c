"""One limit over all workers: each counts its own, and whoever's turn it is decides for the machine."""

import pytest

from tidegate.lab.sim.play import play
from tidegate.lab.sim.scenario import shipped
from tidegate.limits.adaptive.catalogue import ALGORITHMS, make
from tidegate.limits.adaptive.controller import Controller
from tidegate.limits.adaptive.tally import Tally

SLOW = shipped()["slow_backend"]


class Workers:
    """Four workers. What passes between them is tallies and the numbers of ``export``, as in shared memory."""

    def __init__(self, algorithm: str) -> None:
        self.tallies = [Tally() for _ in range(4)]
        self.controllers = [Controller(make(algorithm, initial=SLOW.initial_limit)) for _ in range(4)]
        self.limit = SLOW.initial_limit
        self.learned: dict[str, float] = {}
        self.decided_ns = self.changed_ns = self.turns = self.requests = 0

    def observe(self, started_ns: int, latency_ns: int, in_flight: int, **more: object) -> None:
        self.requests += 1
        if started_ns >= self.changed_ns:
            self.tallies[self.requests % 4].add(started_ns, latency_ns, in_flight, **more)

    def turn(self, now_ns: int) -> None:
        controller = self.controllers[self.turns % 4]
        if self.learned:
            controller.restore(self.learned, self.decided_ns)
        if not controller.is_over(now_ns - self.decided_ns, sum(tally.count for tally in self.tallies)):
            return
        machine = Tally(self.decided_ns)
        for tally in self.tallies:
            machine.merge(tally)
            tally.clear(now_ns)
        decision = controller.decide(machine.interval(now_ns))
        self.learned, self.decided_ns, self.turns = controller.export(now_ns), now_ns, self.turns + 1
        self.limit = decision.limit
        if decision.has_changed:
            self.changed_ns = now_ns


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_workers_that_decide_by_turns_decide_as_one(algorithm):
    workers = Workers(algorithm)
    many, one = play(SLOW, algorithm, limit=workers), play(SLOW, algorithm)
    assert workers.turns > 50
    assert many.goodput_share(30, 90) == pytest.approx(one.goodput_share(30, 90), abs=0.06)
    assert many.queue_delay_ms(45, 90) == pytest.approx(one.queue_delay_ms(45, 90), rel=0.1, abs=20)
