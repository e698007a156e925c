"""An incident as it is told, and its two halves."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from tidegate.bench.chart import Mark, Panel
from tidegate.lab.figure import Demand, Figure
from tidegate.lab.stage import Stage

__all__ = ["Half", "Scenario"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Half:
    """What came of one half.

    Args:
        figures: By the keys of the scenario's figures.
        panels: The quantities that killed, over time; the same ones in both halves.
        seconds: Length of the axis of time.
        marks: Moments at which something changed.
        notes: What has to be known to read this half rightly.
    """

    figures: dict[str, float]
    panels: Sequence[Panel]
    seconds: float
    marks: Sequence[Mark] = ()
    notes: Sequence[str] = field(default_factory=list)


class Scenario(ABC):
    """One incident.

    ``incident``: what happened, in a paragraph. ``miniature``: what stands for what, and by how much it is smaller.
    ``remedy``: what Tidegate does about it. ``shows``: what the half as it happened has to show, or nothing was
    proved. ``promises``: what the half through Tidegate has to hold.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    incident: ClassVar[str]
    miniature: ClassVar[str]
    remedy: ClassVar[str]
    figures: ClassVar[Sequence[Figure]]
    shows: ClassVar[Sequence[Demand]]
    promises: ClassVar[Sequence[Demand]]

    @abstractmethod
    async def as_it_happened(self, stage: Stage) -> Half:
        """The original arrangement, small."""

    @abstractmethod
    async def through_tidegate(self, stage: Stage) -> Half:
        """The same load, with Tidegate where it belongs."""

    def __repr__(self) -> str:
        return f"<Scenario {self.name}>"
