"""Scenarios from beginning to end, so many times, and what came of them."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tidegate.lab.figure import Verdict, judge
from tidegate.lab.scenario import Half, Scenario
from tidegate.lab.stage import Length, Stage
from tidegate.process import tasks
from tidegate.process.failure import StartError

__all__ = ["Played", "Run", "play"]

Tell = Callable[[str], None]
Ended = Callable[["Played"], None]


@dataclass(frozen=True, slots=True)
class Run:
    """Both halves once, and what they had to be."""

    happened: Half
    through: Half
    shown: Sequence[Verdict]
    held: Sequence[Verdict]

    @property
    def is_shown(self) -> bool:
        """Whether the incident was there as it happened; if not, nothing is proved."""
        return all(verdict.is_met for verdict in self.shown)

    @property
    def is_held(self) -> bool:
        """Whether Tidegate kept every promise."""
        return all(verdict.is_met for verdict in self.held)


@dataclass(slots=True)
class Played:
    """A scenario with its runs; ``trouble`` says why there are no more."""

    scenario: Scenario
    runs: list[Run] = field(default_factory=list)
    trouble: str = ""

    @property
    def is_good(self) -> bool:
        """Whether each run showed the incident and held the promises, and there was one at all."""
        return bool(self.runs) and not self.trouble and all(run.is_shown and run.is_held for run in self.runs)


def play(scenarios: Sequence[Scenario], length: Length, runs: int, tell: Tell, ended: Ended) -> list[Played]:
    """Plays each of them so many times.

    Ctrl-C and SIGTERM end it: what was started ends, and what there is by then is returned, with the trouble said.

    Args:
        scenarios: In this order.
        length: Of the load of each half.
        runs: Of each scenario.
        tell: Hears what is played now.
        ended: Is given each scenario when nothing more comes of it.
    """

    async def until_stopped() -> list[Played]:
        playing = tasks.start(_play_all(scenarios, length, runs, tell, ended), "play the lab")
        numbers = (signal.SIGINT, signal.SIGTERM)
        for number in numbers:
            asyncio.get_running_loop().add_signal_handler(number, playing.cancel)
        try:
            return await playing
        finally:
            for number in numbers:
                asyncio.get_running_loop().remove_signal_handler(number)

    return asyncio.run(until_stopped())


async def _play_all(scenarios: Sequence[Scenario], length: Length, runs: int, tell: Tell, ended: Ended) -> list[Played]:
    played: list[Played] = []
    for scenario in scenarios:
        played.append(Played(scenario))
        try:
            await _play(played[-1], length, runs, tell)
        except asyncio.CancelledError:
            played[-1].trouble = "It was stopped"
            ended(played[-1])
            return played
        ended(played[-1])
    return played


async def _play(played: Played, length: Length, runs: int, tell: Tell) -> None:
    scenario = played.scenario
    try:
        for number in range(1, runs + 1):
            which = scenario.name if runs == 1 else f"{scenario.name}, {number} of {runs}"
            tell(f"{which}: as it happened")
            async with Stage(length) as stage:
                happened = await scenario.as_it_happened(stage)
            tell(f"{which}: through Tidegate")
            async with Stage(length) as stage:
                through = await scenario.through_tidegate(stage)
            shown = judge(scenario.figures, happened.figures, scenario.shows)
            held = judge(scenario.figures, through.figures, scenario.promises)
            played.runs.append(Run(happened, through, shown, held))
    except (StartError, OSError) as error:
        played.trouble = str(error)
