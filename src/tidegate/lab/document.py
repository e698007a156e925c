"""What came of it, as JSON: figures, verdicts and series of every run."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from typing import Any

from tidegate import __version__
from tidegate.lab.figure import Verdict
from tidegate.lab.play import Played, Run
from tidegate.lab.scenario import Half
from tidegate.lab.stage import Length

__all__ = ["document_of", "machine"]

FORMAT = 1


def document_of(played: Sequence[Played], length: Length, began_unix_s: float) -> dict[str, Any]:
    """The whole document."""
    return {
        "format": FORMAT,
        "tidegate": __version__,
        "began_unix_s": round(began_unix_s, 3),
        "machine": machine(),
        "length": length.name.lower(),
        "is_good": all(one.is_good for one in played),
        "scenarios": [
            {
                "name": one.scenario.name,
                "title": one.scenario.title,
                "is_good": one.is_good,
                "trouble": one.trouble,
                "runs": [_run(run) for run in one.runs],
            }
            for one in played
        ],
    }


def machine() -> str:
    """What it was played on, in a line."""
    system = f"{platform.machine()}, {platform.system()} {platform.release()}"
    return f"{len(os.sched_getaffinity(0))} cores, {system}, Python {platform.python_version()}"


def _run(run: Run) -> dict[str, Any]:
    return {
        "is_shown": run.is_shown,
        "is_held": run.is_held,
        "as_it_happened": _half(run.happened, run.shown),
        "through_tidegate": _half(run.through, run.held),
    }


def _half(half: Half, verdicts: Sequence[Verdict]) -> dict[str, Any]:
    return {
        "seconds": round(half.seconds, 3),
        "figures": half.figures,
        "verdicts": [
            {"figure": one.figure.key, "demand": str(one.demand), "seen": one.seen, "is_met": one.is_met}
            for one in verdicts
        ],
        "marks": [{"at_s": round(mark.at_s, 3), "text": mark.text} for mark in half.marks],
        "series": [
            {"title": panel.title, "unit": panel.unit, "lines": {line.name: list(line.values) for line in panel.lines}}
            for panel in half.panels
        ],
        "notes": list(half.notes),
    }
