"""Servers behind one queue, first come first served.

Whoever has given up is worked for all the same, as in most programs: that is how a backend can be busy and useless.
"""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Callable

from tidegate.lab.sim.clock import Clock
from tidegate.lab.sim.scenario import BackendPlan

__all__ = ["Backend"]

Done = Callable[[int], None]
"""Called with how long the request waited for a server, in ns."""


class Backend:
    """A queue with ``servers`` servers and a law of latency.

    Args:
        plan: What it is and how it changes.
        clock: The time.
        chance: Where chance comes from.
        began: Called with what a request waited when a server takes it.
    """

    def __init__(
        self, plan: BackendPlan, clock: Clock, chance: random.Random, began: Callable[[int], None] | None = None
    ) -> None:
        self._plan = plan
        self._clock = clock
        self._chance = chance
        self._began = began
        self._busy = 0
        self._waiting: deque[tuple[int, Done]] = deque()

    def __repr__(self) -> str:
        return f"<Backend {self._busy}/{self._plan.servers} busy, {len(self._waiting)} waiting>"

    @property
    def waiting(self) -> int:
        """How many wait for a server."""
        return len(self._waiting)

    def ask(self, done: Done) -> None:
        """One request; ``done`` is called when it is answered."""
        if self._busy < self._plan.servers:
            self._begin(self._clock.now_ns, done)
        else:
            self._waiting.append((self._clock.now_ns, done))

    def _begin(self, asked_ns: int, done: Done) -> None:
        self._busy += 1
        waited_ns = self._clock.now_ns - asked_ns
        if self._began is not None:
            self._began(waited_ns)
        self._clock.after(self._service_ns(), self._end, waited_ns, done)

    def _end(self, waited_ns: int, done: Done) -> None:
        self._busy -= 1
        if self._waiting:
            self._begin(*self._waiting.popleft())
        done(waited_ns)

    def _service_ns(self) -> int:
        plan = self._plan
        mean_ns = plan.latency_at(self._clock.now_s) * 1e6
        if plan.law == "exponential":
            return int(self._chance.expovariate(1.0 / mean_ns))
        if plan.law == "lognormal":
            # So that the mean is the mean: that of a lognormal law is exp(mu + sigma^2 / 2).
            return int(self._chance.lognormvariate(math.log(mean_ns) - plan.spread**2 / 2, plan.spread))
        return int(mean_ns * (1.0 + plan.spread * (2.0 * self._chance.random() - 1.0)))
