"""Requests that come whether or not the last was answered, give up, and try again."""

from __future__ import annotations

import random
from collections.abc import Callable

from tidegate.lab.sim.arrivals import Arrivals
from tidegate.lab.sim.clock import Clock
from tidegate.lab.sim.gate import Gate
from tidegate.lab.sim.outcome import Outcome
from tidegate.lab.sim.scenario import Stream

__all__ = ["Clients"]


class Clients:
    """Those who send one stream.

    Args:
        stream: What they send.
        gate: Whom they ask.
        clock: The time.
        chance: Where chance comes from: one generator for arrivals, one for the rest, so that a contender which makes
            more of them try again meets no other arrivals.
        outcome: Where it is written down.
        until_ns: When nobody comes any more.
    """

    def __init__(
        self,
        stream: Stream,
        gate: Gate,
        clock: Clock,
        *,
        chance: tuple[random.Random, random.Random],
        outcome: Outcome,
        until_ns: int,
    ) -> None:
        self._stream = stream
        self._gate = gate
        self._clock = clock
        self._arrivals = Arrivals(stream, chance[0])
        self._chance = chance[1]
        self._outcome = outcome
        self._until_ns = until_ns

    def begin(self) -> None:
        """The first of them is on its way."""
        at_ns = self._arrivals.next_after(self._clock.now_ns, self._until_ns)
        if at_ns is not None:
            self._clock.after(at_ns - self._clock.now_ns, self._come)

    def _come(self) -> None:
        self.begin()
        self._outcome.came(self._stream.name, self._clock.now_ns)
        # Drawn for everyone, so that the draws of two contenders stay in step.
        if self._chance.random() < self._stream.cached_share:
            self._outcome.cached(self._stream.name, self._clock.now_ns)
            return
        self._try(self._clock.now_ns, self._stream.retries, self._stream.retry_after_ms)

    def _try(self, came_ns: int, retries: int, after_ms: float) -> None:
        self._outcome.tried(self._clock.now_ns)
        self._gate.ask(self._stream.priority, self._verdict(came_ns, retries, after_ms))

    def _verdict(self, came_ns: int, retries: int, after_ms: float) -> Callable[[str], None]:
        tried_ns = self._clock.now_ns

        def take(verdict: str) -> None:
            now_ns = self._clock.now_ns
            is_late = now_ns - tried_ns > self._stream.patience_ms * 1e6
            if verdict == "served" and not is_late:
                self._outcome.served(self._stream.name, came_ns, now_ns)
                return
            self._outcome.failed(verdict, now_ns)
            if retries > 0 and now_ns < self._until_ns:
                delay_ms = after_ms * (0.5 + 0.5 * self._chance.random())
                self._clock.after(int(delay_ms * 1e6), self._try, came_ns, retries - 1, after_ms * 2)

        return take
