"""Scenarios that start nothing, and real ones played once in their short form."""

from __future__ import annotations

import asyncio

from tidegate.bench.chart import Line, Mark, Panel
from tidegate.lab.figure import Figure, at_least, at_most
from tidegate.lab.play import Played, Run, play
from tidegate.lab.scenario import Half, Scenario
from tidegate.lab.stage import Length, Stage
from tidegate.lab.summary import verdict
from tidegate.process.failure import StartError


class Leak(Scenario):
    """Comes out as it is told: 3 leaks as it happened and none through Tidegate, unless said."""

    name = "leak"
    title = "A <leak>"
    incident = "It leaked."
    miniature = "A drop."
    remedy = "A gate."
    figures = (Figure("leaks", "leaks"), Figure("took_ms", "time", "ms"))
    shows = (at_least("leaks", 1),)
    promises = (at_most("leaks", 0),)

    def __init__(self, happened: float = 3, through: float = 0, trouble: str = "") -> None:
        self.numbers = (happened, through)
        self.trouble = trouble

    async def as_it_happened(self, stage: Stage) -> Half:
        if self.trouble:
            raise StartError(self.trouble)
        return half(self.numbers[0], marks=[Mark(0.5, "it leaks")])

    async def through_tidegate(self, stage: Stage) -> Half:
        return half(self.numbers[1], notes=["a note & more"])


class Waits(Leak):
    """Never comes to an end; ``is_ended`` says whether what it had was taken back."""

    name = "waits"

    def __init__(self) -> None:
        super().__init__()
        self.is_ended = False

    async def as_it_happened(self, stage: Stage) -> Half:
        try:
            await asyncio.Event().wait()
            raise AssertionError
        finally:
            self.is_ended = True


def half(leaks: float, **more: object) -> Half:
    panels = [Panel("Leaks", "drops", [Line("drops", [0.0, leaks], "blue")])]
    return Half(figures={"leaks": leaks, "took_ms": 12.5}, panels=panels, seconds=1.0, **more)


def played(*scenarios: Scenario, runs: int = 1) -> list[Played]:
    return play(scenarios, Length.SHORT, runs, lambda _: None, lambda _: None)


def short(scenario: Scenario) -> Run:
    """The only run of a real scenario, which has to come out as it should."""
    (one,) = played(scenario)
    assert one.is_good, (verdict(one), [(run.happened.figures, run.through.figures) for run in one.runs])
    return one.runs[0]
