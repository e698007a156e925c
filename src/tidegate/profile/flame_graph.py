"""Stacks as a flame graph (Brendan Gregg, CACM 59(6), 2016): a box is as wide as its share, and what it calls above it.

One picture, complete in itself: text, colours and the few lines of script that widen a box which is clicked. Siblings
are in the order of their names, so that two pictures can be compared.
"""

from __future__ import annotations

import html
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from tidegate.profile.stacks import Stacks, Unit

__all__ = ["page", "picture"]

_WIDTH = 1200
_ROW = 17
_MARGIN = 10
_HEAD = 40
_LEAST = 0.0004  # of the whole: half a pixel
_CHARACTER = 6.6
_DEEPEST = 250  # what recurses deeper is cut there

_SCRIPT = """
(function () {
  var script = document.currentScript, svg = script ? script.ownerSVGElement : document.documentElement;
  var boxes = svg.querySelectorAll('g.box');
  var WIDTH = %(width)d, CHARACTER = %(character)s;
  function show(from, width, level) {
    boxes.forEach(function (g) {
      var x = +g.dataset.x, w = +g.dataset.w, above = +g.dataset.level >= level;
      var left = Math.max(0, (x - from) / width), right = Math.min(1, (x + w - from) / width);
      var visible = right - left > 1e-9 && (above || (x <= from + 1e-9 && x + w >= from + width - 1e-9));
      g.style.display = visible ? '' : 'none';
      if (!visible) return;
      var rect = g.querySelector('rect'), text = g.querySelector('text');
      rect.setAttribute('x', left * WIDTH); rect.setAttribute('width', Math.max(0.3, (right - left) * WIDTH - 0.4));
      rect.style.opacity = above ? 1 : 0.5;
      text.setAttribute('x', left * WIDTH + 3);
      var room = Math.floor(((right - left) * WIDTH - 6) / CHARACTER), name = g.dataset.name;
      text.textContent = room < 3 ? '' : name.length <= room ? name : name.slice(0, room - 1) + '\\u2026';
    });
  }
  boxes.forEach(function (g) {
    g.addEventListener('click', function () { show(+g.dataset.x, +g.dataset.w, +g.dataset.level); });
  });
})();
"""


@dataclass(slots=True)
class _Box:
    weight: float = 0.0
    above: dict[str, _Box] = field(default_factory=dict)

    @property
    def height(self) -> int:
        return 1 + max((one.height for one in self.above.values()), default=0)


class _Placed(NamedTuple):
    """A box, what it is called, where its left side is (0 to 1), and how many stand below it."""

    name: str
    box: _Box
    x: float
    level: int


def _tree(stacks: Stacks) -> _Box:
    root = _Box()
    for stack, weight in stacks.weights.items():
        root.weight += weight
        box = root
        for call in stack[:_DEEPEST]:
            box = box.above.setdefault(call, _Box())
            box.weight += weight
    return root


def picture(stacks: Stacks, title: str) -> str:
    """The flame graph as an SVG document."""
    root = _tree(stacks)
    height = _HEAD + root.height * _ROW + _MARGIN
    boxes = "\n".join(_boxes(_Placed("all", root, 0.0, 0), root.weight or 1.0, height, stacks.unit))
    script = _SCRIPT % {"width": _WIDTH, "character": _CHARACTER}
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}" '
        'font-family="ui-monospace, Menlo, Consolas, monospace" font-size="11">\n'
        f'<rect width="100%" height="100%" fill="#fffdf8"/>\n'
        f'<text x="{_WIDTH / 2}" y="24" text-anchor="middle" font-size="15">{_text(title)}</text>\n'
        f"{boxes}\n<script>//<![CDATA[{script}//]]></script>\n</svg>\n"
    )


def page(stacks: Stacks, title: str, notes: list[str]) -> str:
    """The same in an HTML page, with what is to be known about it."""
    told = "".join(f"<p>{_text(note)}</p>" for note in notes)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{_text(title)}</title>"
        "<style>body{font:15px system-ui,sans-serif;margin:24px;background:#fffdf8;color:#222}svg{max-width:100%;"
        "height:auto}g.box{cursor:pointer}p{max-width:72em;margin:6px 0}</style></head>\n"
        f"<body>{told}\n{picture(stacks, title)}</body></html>\n"
    )


def _boxes(placed: _Placed, whole: float, height: int, unit: Unit) -> Iterator[str]:
    name, box, x, level = placed
    share = box.weight / whole
    if share < _LEAST and level:
        return
    y = height - _MARGIN - (level + 1) * _ROW
    room = int((share * _WIDTH - 6) / _CHARACTER)
    shown = "" if room < 3 else name if len(name) <= room else name[: room - 1] + "…"
    yield (
        f'<g class="box" data-x="{x:.6f}" data-w="{share:.6f}" data-level="{level}" data-name="{_text(name)}">'
        f"<title>{_text(name)}\n{_weight(box.weight, unit)}, {share:.1%}</title>"
        f'<rect x="{x * _WIDTH:.1f}" y="{y}" width="{max(0.3, share * _WIDTH - 0.4):.1f}" height="{_ROW - 1}" rx="2" '
        f'fill="{_colour(name)}"/><text x="{x * _WIDTH + 3:.1f}" y="{y + 12}">{_text(shown)}</text></g>'
    )
    at = x
    for call in sorted(box.above):
        yield from _boxes(_Placed(call, box.above[call], at, level + 1), whole, height, unit)
        at += box.above[call].weight / whole


def _weight(weight: float, unit: Unit) -> str:
    match unit:
        case "seconds":
            return f"{weight:.3f} s"
        case "bytes":
            return f"{weight / 1024:,.1f} KiB"
    return f"{weight:g} samples"


def _colour(name: str) -> str:
    """Warm for Python, green for compiled code, grey for roots; the same name has the same shade."""
    shade = zlib.crc32(name.encode("utf-8", "surrogatepass")) % 30
    if ".py" in name:
        return f"hsl({20 + shade} 85% 68%)"
    return f"hsl({110 + shade} 40% 70%)" if "(" in name else f"hsl(210 10% {80 + shade // 3}%)"


def _text(text: str) -> str:
    """For markup; characters that XML does not have at all are shown as what they are."""
    shown = "".join(c if c >= " " and not "\ud800" <= c <= "\udfff" else ascii(c)[1:-1] for c in text)
    return html.escape(shown)
