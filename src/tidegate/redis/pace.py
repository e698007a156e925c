"""When to try again to connect: not at once, not in step with others, and not endlessly often.

The pause doubles from failure to failure, and what is slept is a random part of it between nothing and the whole ("full
jitter": Brooker, "Exponential Backoff And Jitter", 2015), so that the workers of a fleet do not come back in step.
Beside it stands a budget: a server that accepts and hangs up at once would otherwise be connected to as fast as it
hangs up.
"""

import random

__all__ = ["BUDGET", "FIRST_S", "LONGEST_S", "REFILL_S", "Pace"]

FIRST_S = 0.05
LONGEST_S = 2.0
BUDGET = 10
"""Attempts that may follow each other without a pause; one more becomes free every `REFILL_S`."""
REFILL_S = 1.0


class Pace:
    """How long to wait before the next attempt.

    Args:
        chance: Random numbers; seeded differently in each worker.
    """

    __slots__ = ("_chance", "_counted_s", "attempts", "budget", "failures")

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._counted_s = 0.0
        self.budget = float(BUDGET)
        self.failures = 0  # in a row
        self.attempts = 0

    def next_s(self, now_s: float) -> float:
        """Seconds until the next attempt, which is thereby spent."""
        self.budget = min(BUDGET, self.budget + (now_s - self._counted_s) / REFILL_S) if self.attempts else BUDGET
        self._counted_s = now_s
        self.budget -= 1
        self.attempts += 1
        pause_s = 0.0
        if self.failures:
            pause_s = self._chance.uniform(0, min(LONGEST_S, FIRST_S * 2 ** min(self.failures - 1, 16)))
        # In debt it waits until the debt is paid, and jitters that too.
        return pause_s + max(0.0, -self.budget) * REFILL_S * self._chance.uniform(1, 1.5)

    def failed(self) -> None:
        """The attempt came to nothing."""
        self.failures += 1

    def succeeded(self) -> None:
        """The attempt led to a server that serves. The budget is not given back: it may hang up again."""
        self.failures = 0

    def __repr__(self) -> str:
        return f"<Pace {self.failures} failures in a row, {self.budget:.1f} attempts in the budget>"
