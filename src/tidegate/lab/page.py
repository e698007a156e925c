"""What came of it as one page of HTML, for somebody who was not there."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from html import escape

from tidegate import __version__
from tidegate.bench.sheet import sheet, table
from tidegate.lab.document import machine
from tidegate.lab.figure import Verdict, told
from tidegate.lab.picture import pictures
from tidegate.lab.play import Played, Run
from tidegate.lab.summary import verdict

__all__ = ["page"]

_STYLE = """
.halves { display: flex; flex-wrap: wrap; gap: .5rem; }
.halves svg { flex: 1 1 26rem; min-width: 0; border: 1px solid #eee; }
.good, .bad { padding: .4rem .9rem; border-left: 4px solid #009e73; background: #eef8f4; font-weight: 600; }
.bad { border-color: #d55e00; background: #fdf3ec; } td.good, td.bad { border-left: 0; font-weight: 400; }
body { max-width: 66rem; }
"""

_INTRODUCTION = (
    "<p>Each incident below has taken a real gateway down. It was played twice on one machine: once arranged as it was "
    "when it happened, only smaller, and once with the same load through Tidegate. What is judged are counts, which a "
    "slow machine does not change.</p>"
)
_RIGHT = "the incident is there in the first half, and every promise holds in the second."


def page(played: Sequence[Played], began_unix_s: float) -> str:
    """The page of all that was played."""
    began = dt.datetime.fromtimestamp(began_unix_s, dt.UTC)
    good = sum(one.is_good for one in played)
    parts = [
        f'<p class="quiet">{began:%Y-%m-%d %H:%M:%S} UTC; {escape(machine())}; tidegate lab {escape(__version__)}</p>',
        _INTRODUCTION,
        f"<p>{good} of {len(played)} came out as they have to: {_RIGHT}</p>",
        *table(
            ["incident", "runs", "what came of it"],
            ([one.scenario.title, str(len(one.runs)), verdict(one)] for one in played),
        ),
    ]
    for one in played:
        parts += _section(one)
    return sheet("Incidents, as they happened and through Tidegate", parts, _STYLE)


def _section(played: Played) -> Iterator[str]:
    scenario = played.scenario
    yield f'<h2 id="{escape(scenario.name)}">{escape(scenario.title)}</h2>'
    yield f'<p class="{"good" if played.is_good else "bad"}">{escape(verdict(played))}</p>'
    yield f"<p>{escape(scenario.incident)}</p>"
    for run in played.runs[-1:]:
        yield '<div class="halves">'
        yield from pictures(run)
        yield "</div>"
        yield from _figures(played, run)
        for note in (*run.happened.notes, *run.through.notes):
            yield f'<p class="note">{escape(note)}</p>'
    yield f'<p class="quiet"><b>In the small.</b> {escape(scenario.miniature)}</p>'
    yield f'<p class="quiet"><b>Through Tidegate.</b> {escape(scenario.remedy)}</p>'


def _figures(played: Played, run: Run) -> Iterator[str]:
    shown = {one.figure.key: one for one in run.shown}
    held = {one.figure.key: one for one in run.held}
    rows = [
        [
            figure.text,
            _said(run.happened.figures.get(figure.key), figure.unit),
            _judged(shown.get(figure.key)),
            _said(run.through.figures.get(figure.key), figure.unit),
            _judged(held.get(figure.key)),
        ]
        for figure in played.scenario.figures
    ]
    yield from table(["", "as it happened", "shows the incident with", "through Tidegate", "promised"], rows)


def _said(value: float | None, unit: str) -> str:
    return "" if value is None else told(value, unit)


def _judged(one: Verdict | None) -> str:
    if one is None:
        return ""
    return f"{one.demand} {'✓' if one.is_met else '✗'}"
