"""One scenario with one contender."""

from __future__ import annotations

import random

from tidegate.lab.sim.backend import Backend
from tidegate.lab.sim.clients import Clients
from tidegate.lab.sim.clock import SECOND_NS, Clock
from tidegate.lab.sim.contenders import contender
from tidegate.lab.sim.gate import Gate, Limit
from tidegate.lab.sim.outcome import Outcome
from tidegate.lab.sim.scenario import Scenario
from tidegate.limits.adaptive.controller import Controller

__all__ = ["play"]

LOOK_NS = SECOND_NS // 20


def play(scenario: Scenario, name: str = "queue_delay", *, limit: Limit | None = None) -> Outcome:
    """What comes of it.

    Args:
        scenario: What is played.
        name: The contender, one of ``CONTENDERS``; with ``limit``, what to call it.
        limit: A limit of one's own.
    """
    clock = Clock()
    outcome = Outcome(scenario, name)
    limit = contender(name, scenario) if limit is None else limit
    until_ns = scenario.seconds * SECOND_NS
    backend = Backend(
        scenario.backend,
        clock,
        random.Random(f"{scenario.seed} backend"),
        began=lambda waited_ns: outcome.waited(clock.now_ns, waited_ns),
    )
    classes = 1 + max(stream.priority for stream in scenario.streams)
    gate = Gate(scenario.gate, limit, backend, clock, classes=classes, reports_waiting=scenario.backend.reports_waiting)
    for at, stream in enumerate(scenario.streams):
        chance = tuple(random.Random(f"{scenario.seed} {at} {what}") for what in ("arrivals", "retries"))
        Clients(stream, gate, clock, chance=(chance[0], chance[1]), outcome=outcome, until_ns=until_ns).begin()

    def look() -> None:
        gate.turn()
        target_ns = limit.algorithm.target_ns if isinstance(limit, Controller) else 0
        outcome.looked(clock.now_ns, limit.limit, gate.in_flight, target_ns / 1e6)
        clock.after(LOOK_NS, look)

    look()
    # A little longer than anybody comes, so that those who came last are answered.
    clock.run(until_ns + int(scenario.gate.timeout_ms * 1e6))
    outcome.close()
    if isinstance(limit, Controller):
        outcome.statistics = limit.statistics()
    return outcome
