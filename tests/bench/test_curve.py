"""Latency over percentile as a picture."""

from xml.etree import ElementTree as ET

import pytest

from tidegate.bench.curve import HEIGHT, LEFT, RIGHT, WIDTH, Curve, draw
from tidegate.bench.histogram import Histogram

SVG = "{http://www.w3.org/2000/svg}"
MS = 1_000_000


def of(values):
    histogram = Histogram()
    histogram.add_many(values)
    return histogram


def lines(root):
    return [
        [tuple(map(float, point.split(","))) for point in line.get("points").split()]
        for line in root.iter(f"{SVG}polyline")
    ]


def test_the_last_tenth_hundredth_and_thousandth_have_as_much_room_as_the_rest():
    root = ET.fromstring(draw([Curve("latency <a>", of(range(MS, 1001 * MS, MS)), "blue")]))
    (line,) = lines(root)
    assert line == sorted(line, key=lambda point: (point[0], -point[1]))
    assert line[-1][0] == pytest.approx(WIDTH - LEFT - RIGHT)
    said = {element.text: float(element.get("x")) for element in root.iter(f"{SVG}text")}
    assert {"latency <a>", "0", "50 %", "90 %", "99 %", "99.9 %", "1 ms", "1 s"} <= set(said)
    assert said["99 %"] - said["90 %"] == pytest.approx(said["90 %"] - said["0"], abs=0.2)
    assert all(0 <= y <= HEIGHT for _, y in line)


def test_greater_is_higher():
    root = ET.fromstring(draw([Curve("a", of([MS] * 10), "blue"), Curve("b", of([100 * MS] * 10), "green", True)]))
    low, high = lines(root)
    assert low[0][1] > high[0][1]


def test_curves_of_nothing_are_left_out():
    root = ET.fromstring(draw([Curve("a", of([]), "blue")]))
    assert lines(root) == []
    assert "a" not in [element.text for element in root.iter(f"{SVG}text")]
