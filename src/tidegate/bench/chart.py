"""Lines over axes, as one SVG that needs nothing but itself.

Panels of one size stand in a grid; all share the axis of time. Colours are those of Okabe and Ito (2008), which the
colour blind tell apart; a line that is a bound or a demand is dashed, so that grey print tells it as well.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape
from typing import NamedTuple

__all__ = ["COLOURS", "Line", "Mark", "Panel", "draw", "ticks"]

COLOURS = {
    "blue": "#0072b2",
    "orange": "#d55e00",
    "green": "#009e73",
    "purple": "#cc79a7",
    "yellow": "#b58900",
    "grey": "#777777",
}
INK, GRID = "#222222", "#dddddd"
MARGIN = 16.0
LEFT, RIGHT, TOP, BOTTOM = 54.0, 14.0, 44.0, 34.0
"""Around the axes of a panel: numbers, nothing, title and legend, seconds."""


class Line(NamedTuple):
    """Values, one a step of time."""

    name: str
    values: Sequence[float]
    colour: str
    is_dashed: bool = False


class Panel(NamedTuple):
    """One pair of axes."""

    title: str
    unit: str
    lines: Sequence[Line]
    most: float | None = None
    """Where the axis ends; None: over the greatest value. What lies beyond is cut off, and the title says how far it
    goes."""


class Mark(NamedTuple):
    """A moment at which something changes."""

    at_s: float
    text: str


def ticks(most: float, wanted: int = 4) -> list[float]:
    """Round numbers from 0 to at least ``most``: steps of 1, 2 or 5 times a power of ten."""
    if not most > 0:
        return [0.0, 1.0]
    rough = most / wanted
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1.0, 2.0, 5.0, 10.0) if factor * power >= rough * 0.999)
    return [step * at for at in range(math.ceil(most / step * 0.999) + 1)]


def draw(
    title: str,
    subtitle: str,
    panels: Sequence[Panel],
    seconds: float,
    *,
    marks: Sequence[Mark] = (),
    columns: int = 1,
    size: tuple[float, float] = (760.0, 190.0),
) -> str:
    """An SVG document.

    Args:
        title: What is seen.
        subtitle: What to look for.
        panels: Row by row.
        seconds: Length of the axis of time; a line's values are spread over it evenly.
        marks: Moments at which something changes, drawn through all panels.
        columns: How many panels stand in a row.
        size: Width and height of a panel.
    """
    width, height = size
    rows = math.ceil(len(panels) / columns)
    subtitle_lines = list(_wrapped(subtitle, int((columns * width) / 6.2)))
    head = 40.0 + 16.0 * len(subtitle_lines)
    full_width, full_height = columns * width + 2 * MARGIN, head + rows * height + MARGIN
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {full_width:g} {full_height:g}" role="img"'
            f' width="{full_width:g}" height="{full_height:g}" font-family="sans-serif" font-size="11" fill="{INK}">'
        ),
        f"<title>{escape(title)}</title><desc>{escape(subtitle)}</desc>",
        f'<rect width="{full_width:g}" height="{full_height:g}" fill="#ffffff"/>',
        _text(MARGIN, 28, title, 'font-size="17" font-weight="600"'),
        *(_text(MARGIN, 48 + 16 * at, line, 'font-size="12"') for at, line in enumerate(subtitle_lines)),
    ]
    for at, panel in enumerate(panels):
        x = MARGIN + (at % columns) * width
        y = head + (at // columns) * height
        parts.append(f'<g transform="translate({x:g} {y:g})">')
        parts.extend(_panel(panel, at, size, seconds, marks))
        parts.append("</g>")
    return "\n".join([*parts, "</svg>", ""])


def _panel(
    panel: Panel, number: int, size: tuple[float, float], seconds: float, marks: Sequence[Mark]
) -> Iterator[str]:
    width, height = size[0] - LEFT - RIGHT, size[1] - TOP - BOTTOM
    greatest = max((max(line.values, default=0.0) for line in panel.lines), default=0.0)
    scale = ticks(greatest if panel.most is None else panel.most)
    top = scale[-1]
    beyond = f" (up to {greatest:,.0f})" if greatest > top else ""
    yield _text(LEFT, 14, f"{panel.title}, {panel.unit}{beyond}", 'font-weight="600"')
    yield from _legend(panel.lines)
    yield f'<g transform="translate({LEFT:g} {TOP:g})">'
    for value in scale:
        y = height - value / top * height
        yield f'<line x1="0" x2="{width:g}" y1="{y:.1f}" y2="{y:.1f}" stroke="{GRID}"/>'
        yield _text(-6, y + 4, _number(value), 'text-anchor="end"')
    for value in ticks(seconds, 6):
        if value <= seconds:
            yield _text(value / seconds * width, height + 15, f"{value:g} s", 'text-anchor="middle"')
    rows = [height + 28, 9.0, 21.0]  # below the axis, or, where that would be written over another, inside
    ends = [0.0] * len(rows)
    for mark in marks:
        x = mark.at_s / seconds * width
        yield f'<line x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{height:g}" stroke="{INK}" stroke-dasharray="2 3"/>'
        row = next((at for at, end in enumerate(ends) if end <= x), len(rows) - 1)
        ends[row] = x + 3 + 6.2 * len(mark.text)
        yield _text(x + 3, rows[row], mark.text, f'fill="{COLOURS["grey"]}"')
    yield f'<clipPath id="p{number}"><rect y="-2" width="{width:g}" height="{height + 3:g}"/></clipPath>'
    yield f'<g clip-path="url(#p{number})" fill="none" stroke-width="1.6" stroke-linejoin="round">'
    for line in panel.lines:
        dashes = ' stroke-dasharray="6 4"' if line.is_dashed else ""
        points = " ".join(
            f"{(at + 0.5) / len(line.values) * width:.1f},{height - min(value / top, 4.0) * height:.1f}"
            for at, value in enumerate(line.values)
        )
        yield f'<polyline stroke="{COLOURS[line.colour]}"{dashes} points="{points}"/>'
    yield "</g></g>"


def _legend(lines: Sequence[Line]) -> Iterator[str]:
    x = LEFT
    for line in lines:
        dashes = ' stroke-dasharray="6 4"' if line.is_dashed else ""
        colour = COLOURS[line.colour]
        yield f'<line x1="{x:g}" x2="{x + 18:g}" y1="28" y2="28" stroke="{colour}" stroke-width="2"{dashes}/>'
        yield _text(x + 22, 32, line.name)
        x += 40.0 + 6.2 * len(line.name)


def _text(x: float, y: float, text: str, more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}"{" " + more if more else ""}>{escape(text)}</text>'


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:g}"


def _wrapped(text: str, columns: int) -> Iterator[str]:
    line = ""
    for word in text.split():
        if line and len(line) + 1 + len(word) > columns:
            yield line
            line = word
        else:
            line = f"{line} {word}".strip()
    if line:
        yield line
