"""When the next request of a stream comes: a Poisson process whose rate steps, swings and bursts.

By thinning (Lewis and Shedler, 1979): candidates come at the greatest rate there will ever be, and each is kept with
the probability that the rate of its moment has to that.
"""

from __future__ import annotations

import random

from tidegate.lab.sim.clock import SECOND_NS
from tidegate.lab.sim.scenario import Stream

__all__ = ["Arrivals"]


class Arrivals:
    """The arrivals of one stream.

    Args:
        stream: Whose.
        chance: Where chance comes from.
    """

    def __init__(self, stream: Stream, chance: random.Random) -> None:
        self._stream = stream
        self._chance = chance
        self._greatest = stream.greatest_rate

    def next_after(self, now_ns: int, until_ns: int) -> int | None:
        """When the next one comes; None if that is not before ``until_ns``."""
        at_ns = now_ns
        while self._greatest > 0:
            at_ns += max(1, int(self._chance.expovariate(self._greatest) * SECOND_NS))
            if at_ns >= until_ns:
                break
            if self._chance.random() * self._greatest < self._stream.rate_at(at_ns / SECOND_NS):
                return at_ns
        return None
