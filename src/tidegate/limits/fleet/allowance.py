"""What a fleet allows a key, as arithmetic: how much a node borrows at a time, and how far the fleet can overshoot.

Let r be the rate a second and b the burst of a limit, H ``HORIZON_S``, L ``memory.leases.LEASE_MS`` in seconds, N the
number of nodes. The store's bucket holds

    K = max(b + 1, r H)

credits and fills at r: GCRA, as `limits.rate`. It never lends more than K + r t in t seconds, whatever nodes do. A
credit is used at most L after it was lent. So in any W seconds the fleet lets in at most

    K + r (W + L)

requests. Where the store has lost what it was told in its last D seconds (a fail-over before the replica had heard of
it), once more at most K + r D, and K where it has forgotten a key altogether: a new bucket is full and not fuller. With
r = 1000/s, b = 0 and W = 60 s that is 2 % above r W; in the long run it is r, as each credit is used once.

Of a quota the store lends Q in a window and no more. What was lent in the last L of a window may be used in the next,
so that a window sees at most Q and what was lent at its border. What a store has forgotten of a window is told to it
again by those who have it, each with its next question; what was lent in between was lent twice.

Of C permits to be under way the store lends C and no more, and counts what a node has under way beyond what it was
lent as lent. So there are at most C under way, but for nodes that the store does not know of: one that was not heard
for ``memory.grants.FORGOTTEN_MS`` and has not ended what it began, and, where the store has forgotten all, everybody
until he asks again.
"""

import math
from dataclasses import dataclass
from typing import Final

__all__ = [
    "HORIZON_S",
    "LEASE_S",
    "OWED_FAILURES",
    "PAUSE_S",
    "PermitAllowance",
    "QuotaAllowance",
    "RateAllowance",
    "pause_ms",
]

HORIZON_S: Final = 0.2
"""How much of a rate is lent at once to all nodes together: with less the store is asked more often."""

LEASE_S: Final = 1.0
"""How long a credit is of use at most, in seconds: ``memory.leases.LEASE_MS``."""

PAUSE_S: Final = (HORIZON_S / 2, 60.0)
"""How long a node that got less than it wanted does not ask for that key again, in seconds, at least and at most.

Half the horizon, so that a bucket has room for what is given back meanwhile; and limits may change.
"""


OWED_FAILURES: Final = 100
"""Buckets that a key may owe which is charged what has failed already, whatever room there was."""


def pause_ms(told_ms: int) -> int:
    """Milliseconds until a store is asked again that said there would be enough in ``told_ms``."""
    shortest_s, longest_s = PAUSE_S
    return round(min(max(told_ms, shortest_s * 1000), longest_s * 1000))


@dataclass(frozen=True, slots=True)
class RateAllowance:
    """``count`` in ``period_s`` seconds for one key of a fleet, ``burst`` of them ahead.

    ``count`` 0 lets nobody in. ``owed``: buckets that a key may owe beyond an empty one.
    """

    count: float
    period_s: float
    burst: float = 0.0
    owed: int = 1

    @property
    def per_s(self) -> float:
        """Requests a second."""
        return self.count / self.period_s

    @property
    def interval_us(self) -> float:
        """Microseconds that a request takes up; 0 for nobody."""
        return self.period_s * 1e6 / self.count if self.count else 0.0

    @property
    def holds(self) -> int:
        """K: credits in the store's bucket when it is full."""
        return max(math.floor(self.burst) + 1, math.floor(self.per_s * HORIZON_S)) if self.count else 0

    @property
    def burst_and_one(self) -> int:
        """What may be had at once where nothing is lent ahead, as the store is asked for each request."""
        return math.floor(self.burst) + 1 if self.count else 0

    def chunk(self, nodes: int) -> int:
        """Credits that a node asks for at a time: its part of what comes within the horizon, and one at least."""
        return max(1, math.ceil(self.per_s * HORIZON_S / max(1, nodes)))

    def low(self, nodes: int) -> int:
        """With less than this left of the current epoch a node borrows ahead; 0: only when it has nothing.

        Where its part is one request at a time it borrows for those who are there: what is borrowed for nobody would be
        a large part of the allowance.
        """
        return self.chunk(nodes) // 2

    def share(self, nodes: int) -> tuple[int, int]:
        """What a node may let in by itself while the store is away: so many, in windows of so many ms.

        Its part of the rate, without the burst; a window is a second, or as long as its part of one request takes.
        """
        if not self.count:
            return 0, 1000
        window_s = max(1.0, max(1, nodes) / self.per_s)
        return max(1, math.floor(self.per_s * window_s / max(1, nodes) + 1e-9)), math.ceil(window_s * 1000)

    def bound(self, window_s: float, *, lost_s: float = 0.0) -> float:
        """The most that a fleet lets in within ``window_s`` seconds, K + r (W + L).

        With ``lost_s`` seconds of what the store was told lost once within them (a fail-over), K + r D are added.
        """
        if not self.count:
            return 0.0
        once_more = self.holds + self.per_s * lost_s if lost_s else 0.0
        return self.holds + self.per_s * (window_s + LEASE_S) + once_more


@dataclass(frozen=True, slots=True)
class QuotaAllowance:
    """``maximum`` in a window of ``period_ms`` for one key of a fleet; ``window`` as ``limits.quota.WINDOWS``."""

    maximum: int
    period_ms: int
    window: str = "aligned"

    @property
    def counted_in(self) -> str:
        """Which windows it counts in: those of another length or kind are others, and are kept apart in the store."""
        return f"{self.period_ms}-{self.window}"

    @property
    def count(self) -> int:
        """0 lets nobody in."""
        return self.maximum

    @property
    def holds(self) -> int:
        """What may be had at once."""
        return self.maximum

    def chunk(self, nodes: int) -> int:
        """Credits that a node asks for at a time.

        Its part of ten times what comes within the horizon if requests are spread evenly, as they are not; and at least
        a few, where these are little of the whole. The store lends less when little is left.
        """
        nodes = max(1, nodes)
        evenly = 10 * self.maximum * HORIZON_S * 1000 / self.period_ms / nodes
        return max(1, math.ceil(evenly), min(16, self.maximum // (64 * nodes)))

    def low(self, nodes: int) -> int:
        """With less than this left of the current epoch a node borrows ahead; 0: only when it has nothing."""
        return self.chunk(nodes) // 2

    def share(self, nodes: int) -> tuple[int, int]:
        """What a node may let in by itself while the store is away: so many, in windows of so many ms."""
        return self.maximum // max(1, nodes), self.period_ms


@dataclass(frozen=True, slots=True)
class PermitAllowance:
    """``maximum`` requests of one key under way in a fleet."""

    maximum: int

    @property
    def count(self) -> int:
        """0 lets nobody in."""
        return self.maximum

    def chunk(self, nodes: int) -> int:
        """Permits that a node has ready beyond what is under way there, so that few requests wait for the store."""
        return max(1, self.maximum // (8 * max(1, nodes)))

    def low(self, nodes: int) -> int:
        """With less than this left a node borrows ahead; 0: only when it has nothing."""
        return self.chunk(nodes) // 2

    def share(self, nodes: int) -> int:
        """A node's part: what it may have under way by itself while the store is away, and what it need not yield."""
        return max(1, self.maximum // max(1, nodes)) if self.maximum else 0

    def grown(self, needed: int, lent: int, nodes: int) -> int:
        """What a node asks for that needs more than it was lent: twice as much, so that a burst takes few questions."""
        return min(self.maximum, max(needed + self.chunk(nodes), 2 * lent))

    def kept(self, needed: int, lent: int) -> int:
        """What a node keeps that needs less than it was lent: the half of what it does not need goes back."""
        return min(self.maximum, needed + (lent - needed) // 2 if lent > needed else needed)

    def yielded(self, needed: int, lent: int, missing: int, nodes: int) -> int:
        """What a node keeps of more than its part while another misses some of its own."""
        return min(needed, max(self.share(nodes), lent - missing))
