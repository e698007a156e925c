"""Latency over percentile, as one SVG: the last tenth, hundredth and thousandth have as much room as the rest.

The place of a share p is log10(1 / (1 - p)), as in the plots of HdrHistogram; latencies are on a logarithmic axis too,
so that the usual and the worst are seen on one picture.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape
from typing import NamedTuple

from tidegate.bench.chart import COLOURS, GRID, INK
from tidegate.bench.hgrm import distribution
from tidegate.bench.histogram import Histogram

__all__ = ["Curve", "draw"]

WIDTH, HEIGHT = 760.0, 340.0
LEFT, RIGHT, TOP, BOTTOM = 64.0, 16.0, 36.0, 36.0
_NS = 1e9


class Curve(NamedTuple):
    """One distribution of durations in nanoseconds."""

    name: str
    histogram: Histogram
    colour: str
    is_dashed: bool = False


class _Axes(NamedTuple):
    decades: float  # of 1 / (1 - share), to the right end
    low: float  # powers of ten of seconds
    high: float

    def x(self, share: float) -> float:
        at = self.decades if share >= 1 else min(self.decades, -math.log10(1 - share))
        return at / self.decades * (WIDTH - LEFT - RIGHT)

    def y(self, nanoseconds: float) -> float:
        at = min(self.high, max(self.low, math.log10(max(nanoseconds, 1.0) / _NS)))
        return (self.high - at) / (self.high - self.low) * (HEIGHT - TOP - BOTTOM)


def draw(curves: Sequence[Curve]) -> str:
    """An SVG element; curves of nothing are left out."""
    shown = [curve for curve in curves if curve.histogram.total]
    most = max((curve.histogram.total for curve in shown), default=10)
    least_ns = min((curve.histogram.least for curve in shown), default=1_000_000)
    most_ns = max((curve.histogram.most for curve in shown), default=1_000_000_000)
    axes = _Axes(
        max(2.0, math.ceil(math.log10(most))),
        math.floor(math.log10(max(least_ns, 1) / _NS)),
        max(math.ceil(math.log10(max(most_ns, 1) / _NS)), math.floor(math.log10(max(least_ns, 1) / _NS)) + 1),
    )
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH:g} {HEIGHT:g}" role="img" width="{WIDTH:g}"'
            f' height="{HEIGHT:g}" font-family="sans-serif" font-size="11" fill="{INK}">'
        ),
        "<title>Latency by percentile</title>",
        *_legend(shown),
        f'<g transform="translate({LEFT:g} {TOP:g})">',
        *_grid(axes),
        *(_line(curve, axes) for curve in shown),
        "</g>",
        "</svg>",
    ]
    return "\n".join(parts)


def _grid(axes: _Axes) -> Iterator[str]:
    width, height = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    for power in range(int(axes.low), int(axes.high) + 1):
        y = axes.y(10.0**power * _NS)
        yield f'<line x1="0" x2="{width:g}" y1="{y:.1f}" y2="{y:.1f}" stroke="{GRID}"/>'
        yield _text(-6, y + 4, _duration(power), "end")
    for decade in range(int(axes.decades) + 1):
        shares = [(0.0, "0"), (0.5, "50 %")] if decade == 0 else [(1 - 10.0**-decade, _percent(decade))]
        for share, name in shares:
            x = axes.x(share)
            yield f'<line x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{height:g}" stroke="{GRID}"/>'
            yield _text(x, height + 16, name, "end" if decade == int(axes.decades) else "middle")


def _line(curve: Curve, axes: _Axes) -> str:
    dashes = ' stroke-dasharray="6 4"' if curve.is_dashed else ""
    points = " ".join(
        f"{axes.x(share):.1f},{axes.y(value):.1f}" for value, share, _ in distribution(curve.histogram, 10)
    )
    return f'<polyline fill="none" stroke="{COLOURS[curve.colour]}" stroke-width="1.8"{dashes} points="{points}"/>'


def _legend(curves: Sequence[Curve]) -> Iterator[str]:
    x = LEFT
    for curve in curves:
        dashes = ' stroke-dasharray="6 4"' if curve.is_dashed else ""
        colour = COLOURS[curve.colour]
        yield f'<line x1="{x:g}" x2="{x + 18:g}" y1="16" y2="16" stroke="{colour}" stroke-width="2"{dashes}/>'
        yield _text(x + 22, 20, curve.name, "start")
        x += 44.0 + 6.2 * len(curve.name)


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _percent(decade: int) -> str:
    return f"{100 - 10.0 ** (2 - decade):.{max(0, decade - 2)}f} %"


def _duration(power: int) -> str:
    for least, unit in ((0, "s"), (-3, "ms"), (-6, "µs")):
        if power >= least:
            return f"{10 ** (power - least):,} {unit}"
    return f"{10 ** (power + 9):,} ns"
