"""Both halves of a run drawn, each quantity on one scale: what is small beside what killed has to look it."""

from __future__ import annotations

from collections.abc import Sequence

from tidegate.bench.chart import Panel, draw
from tidegate.lab.play import Run
from tidegate.lab.scenario import Half

__all__ = ["pictures"]

_SIZE = (470.0, 200.0)


def pictures(run: Run) -> tuple[str, str]:
    """As it happened, and through Tidegate, as SVG."""
    most = [max(map(_greatest, pair)) for pair in zip(run.happened.panels, run.through.panels, strict=True)]
    return _picture("As it happened", run.happened, most), _picture("Through Tidegate", run.through, most)


def _picture(title: str, half: Half, most: Sequence[float]) -> str:
    panels = [panel._replace(most=bound) for panel, bound in zip(half.panels, most, strict=True)]
    return draw(title, "", panels, half.seconds, marks=half.marks, size=_SIZE)


def _greatest(panel: Panel) -> float:
    return max((value for line in panel.lines for value in line.values), default=0.0)
