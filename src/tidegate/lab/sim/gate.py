"""The gateway: permits up to a limit, a queue by class, and the limit under test.

A permit is held while the upstream works, and only then; waiting for it is no part of a sample. When the queue is
full a request of a higher class takes the place of the last one of the lowest. What waits is served class by class.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol

from tidegate.lab.sim.backend import Backend
from tidegate.lab.sim.clock import Clock, Event
from tidegate.lab.sim.scenario import GatePlan

__all__ = ["Gate", "Limit", "Verdict"]

Verdict = Callable[[str], None]
"""Called once, with "served", "refused" or "timed_out"."""


class Limit(Protocol):
    """What the gate asks: a controller, or a number that stays."""

    @property
    def limit(self) -> int:
        """How many may be in flight."""

    def observe(
        self,
        started_ns: int,
        latency_ns: int,
        in_flight: int,
        *,
        was_dropped: bool = False,
        waiting_ns: int | None = None,
    ) -> None:
        """One request that ended."""

    def turn(self, now_ns: int) -> object:
        """The moment to decide, if an interval is over."""


class _Waiter:
    """A request that waits for a permit."""

    __slots__ = ("leave", "verdict")

    def __init__(self, verdict: Verdict) -> None:
        self.verdict = verdict
        self.leave: Event | None = None


class Gate:
    """Admits, queues and refuses.

    Args:
        plan: Queue and deadlines.
        limit: How many may be in flight.
        backend: Where they go.
        clock: The time.
        classes: How many there are; 0 is served first.
        reports_waiting: Whether the backend says how long it kept a request waiting.
    """

    def __init__(
        self, plan: GatePlan, limit: Limit, backend: Backend, clock: Clock, *, classes: int, reports_waiting: bool
    ) -> None:
        self._plan = plan
        self._limit = limit
        self._backend = backend
        self._clock = clock
        self._reports_waiting = reports_waiting
        self._queues: list[deque[_Waiter]] = [deque() for _ in range(classes)]
        self.in_flight = 0

    def __repr__(self) -> str:
        return f"<Gate {self.in_flight}/{self._limit.limit} in flight, {self.waiting} waiting>"

    @property
    def waiting(self) -> int:
        """How many wait for a permit."""
        return sum(len(queue) for queue in self._queues)

    def ask(self, priority: int, verdict: Verdict) -> None:
        """One request of a class."""
        if self.in_flight < self._limit.limit and not self.waiting:
            self._send(verdict)
            return
        if self.waiting >= self._plan.queue and not self._displace(priority):
            verdict("refused")
            return
        waiter = _Waiter(verdict)
        waiter.leave = self._clock.after(int(self._plan.queue_timeout_ms * 1e6), self._give_up, priority, waiter)
        self._queues[priority].append(waiter)

    def turn(self) -> None:
        """Lets the limit decide, and those in who fit."""
        self._limit.turn(self._clock.now_ns)
        while self.in_flight < self._limit.limit:
            waiter = next((queue.popleft() for queue in self._queues if queue), None)
            if waiter is None:
                break
            if waiter.leave:
                waiter.leave.cancel()
            self._send(waiter.verdict)

    def _displace(self, priority: int) -> bool:
        """Refuses the last of the lowest class below ``priority``; False when there is none."""
        for lower in range(len(self._queues) - 1, priority, -1):
            if self._queues[lower]:
                waiter = self._queues[lower].pop()
                if waiter.leave:
                    waiter.leave.cancel()
                waiter.verdict("refused")
                return True
        return False

    def _give_up(self, priority: int, waiter: _Waiter) -> None:
        self._queues[priority].remove(waiter)
        waiter.verdict("refused")

    def _send(self, verdict: Verdict) -> None:
        self.in_flight += 1
        started_ns, in_flight, is_open = self._clock.now_ns, self.in_flight, True

        def end(*, was_dropped: bool, waiting_ns: int | None) -> None:
            nonlocal is_open
            if not is_open:
                return
            is_open = False
            deadline.cancel()
            self.in_flight -= 1
            latency_ns = self._clock.now_ns - started_ns
            self._limit.observe(started_ns, latency_ns, in_flight, was_dropped=was_dropped, waiting_ns=waiting_ns)
            verdict("timed_out" if was_dropped else "served")
            self.turn()

        def answered(waited_ns: int) -> None:
            end(was_dropped=False, waiting_ns=waited_ns if self._reports_waiting else None)

        def late() -> None:
            end(was_dropped=True, waiting_ns=None)

        deadline = self._clock.after(int(self._plan.timeout_ms * 1e6), late)
        self._backend.ask(answered)
