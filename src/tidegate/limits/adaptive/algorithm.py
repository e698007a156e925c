"""The interface of all algorithms: an interval makes the next limit, and the word why."""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Final

from tidegate.limits.adaptive.interval import Interval

__all__ = ["Algorithm", "Why", "finite"]

GREATEST: Final = 1e18
"""Nanoseconds of thirty years."""


class Why(enum.StrEnum):
    """What a decision was made for; these words are in metrics and status."""

    NOTHING_YET = "nothing_yet"
    """No interval was looked at since the start."""
    RESTORED = "restored"
    """The limit of before a restart."""
    SHORT_QUEUE = "short_queue"
    """Little or nothing waits: more may come."""
    LONG_QUEUE = "long_queue"
    """Requests wait longer than the target."""
    STEADY = "steady"
    """The queue is as it should be."""
    DROPS = "drops"
    """Time-outs or answers that mean overload."""
    NEW_FLOOR = "new_floor"
    """The decrease before made nothing faster: what looked like a queue is what the upstream takes now."""
    APPLICATION_LIMITED = "application_limited"
    """Less came than the limit allows: nothing is learned about it."""
    STALE = "stale"
    """The samples began before the last change."""
    NO_SAMPLES = "no_samples"
    """Nothing ended."""
    AT_FLOOR = "at_floor"
    """It would be less, but for the configured least."""
    AT_CEILING = "at_ceiling"
    """It would be more, but for the configured most."""


class Algorithm(ABC):
    """Arithmetic on intervals. Not safe for several threads, reads no clock.

    Args:
        initial: The limit to begin with.
    """

    name: ClassVar[str]

    def __init__(self, initial: float) -> None:
        self.limit = float(initial)
        """How many may be in flight; the whole part counts. The controller sets it when a guard decides otherwise."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} limit={self.limit:.1f} queue={self.queue_delay_ns / 1e6:.1f}ms>"

    @abstractmethod
    def update(self, interval: Interval) -> Why:
        """Sets ``limit`` to what the interval asks for, and returns why."""

    @property
    def floor_ns(self) -> int:
        """What the algorithm believes an answer takes while nothing waits; 0 when it does not know."""
        return 0

    @property
    def unqueued_ns(self) -> int:
        """What the slowest tenth takes while nothing waits, as far as the algorithm knows."""
        return self.floor_ns

    @property
    def target_ns(self) -> int:
        """How long a request may wait behind the limit; 0 when the algorithm has no such target."""
        return 0

    @property
    def queue_delay_ns(self) -> int:
        """How long requests waited behind the limit in the last interval; 0 when the algorithm does not know."""
        return 0

    def export(self, now_ns: int) -> dict[str, float]:  # noqa: ARG002 - for those that remember ages
        """What was learned, as numbers that mean the same after a restart: no point in time is among them."""
        return {"limit": self.limit}

    def restore(self, learned: Mapping[str, float], now_ns: int) -> None:  # noqa: ARG002 - the same
        """Goes on from what ``export`` gave. What is missing or no finite number is left as it is.

        Args:
            learned: The numbers.
            now_ns: The moment of the export, on the clock of now. After a restart that moment is unknown, and now
                stands for it: what was learned has not grown older while nothing ran.
        """
        self.limit = finite(learned, "limit", self.limit)


def finite(learned: Mapping[str, float], name: str, otherwise: float) -> float:
    """The number of that name if it is one above zero: state files come from other versions, and from crashes.

    One beyond ``GREATEST`` is none of ours: no time is that long, and nothing is counted that far.
    """
    value = learned.get(name)
    return float(value) if isinstance(value, (int, float)) and 0 < value <= GREATEST else otherwise
