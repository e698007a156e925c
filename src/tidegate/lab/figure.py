"""A number that a half comes out with, and what it has to be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = ["Demand", "Figure", "Verdict", "at_least", "at_most", "judge", "told"]


@dataclass(frozen=True, slots=True)
class Figure:
    """What is counted or measured in both halves: ``key`` in their figures, ``text`` for people, ``unit`` of it."""

    key: str
    text: str
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Demand:
    """What a half's figure has to be."""

    key: str
    bound: float
    is_most: bool

    def is_met_by(self, value: float) -> bool:
        """Whether a figure is what it has to be."""
        return value <= self.bound if self.is_most else value >= self.bound

    def __str__(self) -> str:
        return f"at {'most' if self.is_most else 'least'} {told(self.bound)}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A demand with the figure that met it or did not; ``seen`` None: the half ended without it."""

    figure: Figure
    demand: Demand
    seen: float | None

    @property
    def is_met(self) -> bool:
        """Whether the demand is met; what was not measured does not meet it."""
        return self.seen is not None and self.demand.is_met_by(self.seen)

    def __str__(self) -> str:
        seen = "not measured" if self.seen is None else told(self.seen, self.figure.unit)
        return f"{self.figure.text}: {seen} ({self.demand})"


def at_least(key: str, bound: float) -> Demand:
    """The figure must not be under ``bound``."""
    return Demand(key, bound, is_most=False)


def at_most(key: str, bound: float) -> Demand:
    """The figure must not be over ``bound``."""
    return Demand(key, bound, is_most=True)


def judge(figures: Sequence[Figure], seen: Mapping[str, float], demands: Sequence[Demand]) -> list[Verdict]:
    """A verdict for each demand; KeyError when one is of a figure that there is not."""
    known = {figure.key: figure for figure in figures}
    return [Verdict(known[demand.key], demand, seen.get(demand.key)) for demand in demands]


def told(value: float, unit: str = "") -> str:
    """A number as people read it, with its unit."""
    if value == int(value) or abs(value) >= 1000:
        number = f"{value:,.0f}"
    else:
        number = f"{value:.1f}" if abs(value) >= 10 else f"{value:.3g}"
    return f"{number} {unit}" if unit else number
