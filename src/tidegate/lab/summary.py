"""What came of it, in the terminal: a table a scenario, and a line that judges."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tidegate.lab.figure import Figure, told
from tidegate.lab.play import Played, Run

__all__ = ["show", "verdict"]


def show(played: Played, console: Console) -> None:
    """Prints one scenario, the figures of its last run first."""
    scenario = played.scenario
    console.print(Text(f"{scenario.name}: {scenario.title}", style="bold"))
    if played.runs:
        console.print(_figures(played, played.runs[-1]))
    for run in played.runs[-1:]:
        for note in (*run.happened.notes, *run.through.notes):
            console.print(Text(note))
    console.print(Text(verdict(played), style="green" if played.is_good else "red"))
    console.print()


def verdict(played: Played) -> str:
    """In a line: whether it was shown and held, how often, and if not, what was not."""
    runs = played.runs
    shown, held = sum(run.is_shown for run in runs), sum(run.is_held for run in runs)
    parts = []
    if len(runs) == 1:
        parts.append(
            "The incident was there as it happened" if shown else "The incident did not show: nothing is proved"
        )
        parts.append("Tidegate kept every promise" if held else "A promise was not kept")
    elif runs:
        parts.append(f"As it happened, the incident was there in {shown} of {len(runs)} runs")
        parts.append(f"Tidegate kept every promise in {held} of {len(runs)}")
    missed = dict.fromkeys(str(one) for run in runs for one in (*run.shown, *run.held) if not one.is_met)
    parts += missed
    if played.trouble:
        parts.append(played.trouble)
    return ". ".join(parts)


def _figures(played: Played, run: Run) -> Table:
    table = Table("", box=None)
    for title in ("as it happened", "through Tidegate"):
        table.add_column(title, justify="right")
    table.add_column("promised")
    promises = {one.figure.key: one for one in run.held}
    for figure in played.scenario.figures:
        promise = promises.get(figure.key)
        style = "" if promise is None or promise.is_met else "red"
        cells = (_cell(run.happened.figures, figure), _cell(run.through.figures, figure))
        table.add_row(figure.text, *cells, "" if promise is None else str(promise.demand), style=style)
    return table


def _cell(figures: dict[str, float], figure: Figure) -> str:
    return told(figures[figure.key], figure.unit) if figure.key in figures else ""
