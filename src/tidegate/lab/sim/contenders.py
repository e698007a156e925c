"""The limits that are compared: each algorithm behind its guards, a limit that somebody set, and none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tidegate.lab.sim.gate import Limit
from tidegate.lab.sim.scenario import Scenario
from tidegate.limits.adaptive.catalogue import ALGORITHMS, make
from tidegate.limits.adaptive.controller import Controller

__all__ = ["CONTENDERS", "FixedLimit", "contender"]

FIXED, NONE = "fixed", "none"
UNLIMITED = 1_000_000
CONTENDERS = (*ALGORITHMS, FIXED, NONE)


class FixedLimit:
    """A number that learns nothing.

    Args:
        limit: The number.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit

    def observe(self, started_ns: int, latency_ns: int, in_flight: int, **sample: Any) -> None:
        """Learns nothing."""

    def turn(self, now_ns: int) -> None:
        """Decides nothing."""


def contender(name: str, scenario: Scenario, options: Mapping[str, Any] | None = None) -> Limit:
    """The limit of that name for a scenario.

    Args:
        name: One of ``CONTENDERS``.
        scenario: What it is for.
        options: Options of the algorithm.

    Raises:
        ValueError: There is none of that name.
    """
    if name == FIXED:
        return FixedLimit(scenario.fixed_limit)
    if name == NONE:
        return FixedLimit(UNLIMITED)
    return Controller(make(name, initial=scenario.initial_limit, **(options or {})))
