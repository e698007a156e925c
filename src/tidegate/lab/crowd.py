"""Those who have done nothing, and those who come too often or want too much: who of them was served, and when."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from tidegate.bench.chart import Line, Panel
from tidegate.lab.pieces.client import Load, Told
from tidegate.lab.scenario import Half
from tidegate.lab.stage import Stage
from tidegate.lab.timeline import by_step
from tidegate.process import tasks

__all__ = ["Crowd"]

CALM_SHARE = 0.2
"""Part of the time in which the others are alone."""


class Crowd:
    """Two loads on one service: ``others`` all the time, ``culprits`` after a moment."""

    def __init__(self, stage: Stage, others: Load, culprits: Load) -> None:
        self.others = others
        self.culprits = culprits
        self._stage = stage

    def __repr__(self) -> str:
        return f"<Crowd of {self.others} and {self.culprits}>"

    async def run(self, mark: str) -> None:
        """Sends both for as long as the half lasts; ``mark`` says what begins when the culprits come."""
        calm_s = CALM_SHARE * self._stage.seconds
        sending = tasks.start(self.others.run(self._stage.seconds), "load of the lab")
        await asyncio.sleep(calm_s)
        self._stage.timeline.mark(mark)
        await asyncio.gather(sending, self.culprits.run(self._stage.seconds - calm_s))

    def half(self, names: tuple[str, str], panels: Sequence[Panel] = ()) -> Half:
        """Figures and pictures; ``names`` are those of others and culprits in the legend."""
        timeline = self._stage.timeline
        seconds = timeline.seconds

        def line(name: str, told: Sequence[Told], colour: str) -> Line:
            return Line(name, by_step((one.ended_s - timeline.began_s for one in told), seconds), colour)

        served = [one for one in self.others.told if one.is_served]
        lost = [one for one in self.others.told if not one.is_served]
        lines = [
            line(f"{names[0]}, served", served, "blue"),
            line(f"{names[0]}, lost", lost, "orange"),
            line(f"{names[1]}, served", [one for one in self.culprits.told if one.is_served], "grey"),
        ]
        return Half(
            figures={
                "others": len(self.others.told),
                "lost": len(lost),
                "culprits": len(self.culprits.told),
                "served": self.culprits.count(lambda told: told.is_served),
                "refused": self.culprits.count(lambda told: told.status in (429, 503)),
            },
            panels=[Panel("Requests", "per second", lines), *panels],
            seconds=seconds,
            marks=timeline.marks,
            notes=self._stage.notes,
        )
