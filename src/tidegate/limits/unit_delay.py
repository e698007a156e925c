"""The delay of lua-resty ``limit.conn``: who is beyond a bound on concurrency waits instead of being refused.

Of requests that are open at once, the first ``max`` go at once, the next ``max`` wait one unit, the next two: a backend
that serves ``max`` at a time in one unit each would take them up then. The unit is learned: the mean of what it was and
of each latency that is told, as that library does it, so that it follows within a few requests.

How many may be open (``max`` + ``burst``) is the affair of whoever counts them.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class UnitDelay:
    """What one limit has learned; ``bound`` is ``max``, at least 1, ``unit_s`` what a unit is to begin with, in s."""

    bound: int
    unit_s: float

    def __post_init__(self) -> None:
        if self.bound < 1 or not self.unit_s >= 0:
            raise ValueError(f"expected a bound of 1 or more and a delay of 0 or more, got {self.bound}, {self.unit_s}")

    def delay_s(self, opened: int) -> float:
        """How long the latest waits of ``opened`` requests that are open, itself included."""
        return (opened - 1) // self.bound * self.unit_s

    def learn(self, latency_s: float) -> None:
        """Takes in how long a request took; what it had waited here is not part of it, or delays would feed delays."""
        self.unit_s = (self.unit_s + latency_s) / 2
