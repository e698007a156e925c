"""Drawings: well-formed, readable without anything else, and true to the values."""

import re
from xml.etree import ElementTree as ET

import pytest

from tidegate.bench.chart import Line, Mark, Panel, draw, ticks

SVG = "{http://www.w3.org/2000/svg}"


def drawn(*panels, **more):
    text = draw("A title & more", "A lesson <b>", panels, 10, **more)
    return text, ET.fromstring(text)


def texts(root):
    return [element.text for element in root.iter(f"{SVG}text")]


PANEL = Panel("Goodput", "requests/s", [Line("served", [0, 5, 10], "blue"), Line("asked", [10] * 3, "grey", True)])


def test_it_says_what_is_seen_with_units_and_legend():
    text, root = drawn(PANEL, marks=[Mark(3, "backend 800 ms")])
    said = texts(root)
    for wanted in ("A title & more", "A lesson <b>", "Goodput, requests/s", "served", "asked", "backend 800 ms"):
        assert wanted in said
    assert "10 s" in said
    assert root.find(f"{SVG}title").text == "A title & more"
    assert "http" not in text.replace("http://www.w3.org/2000/svg", ""), "nothing is fetched"


def test_points_are_where_the_values_are():
    _, root = drawn(PANEL, size=(268.0, 178.0))
    first, second = root.iter(f"{SVG}polyline")
    points = [tuple(map(float, point.split(","))) for point in first.get("points").split()]
    assert [x for x, _ in points] == pytest.approx([200 / 6, 100, 1000 / 6], abs=0.1)
    assert [y for _, y in points] == pytest.approx([100, 50, 0], abs=0.1)
    assert first.get("stroke-dasharray") is None
    assert second.get("stroke-dasharray")


def test_what_lies_beyond_the_axis_is_cut_off_and_said():
    _, root = drawn(Panel("Delay", "ms", [Line("p90", [1, 50_000], "orange")], 100.0))
    assert "Delay, ms (up to 50,000)" in texts(root)
    assert "100" in texts(root)


def test_panels_stand_in_a_grid():
    _, root = drawn(*[PANEL] * 6, columns=3, size=(200.0, 100.0))
    places = [
        element.get("transform")
        for element in root.findall(f"{SVG}g")
        if re.match(r"translate", element.get("transform", ""))
    ]
    assert len(set(places)) == 6
    assert len({place.split()[0] for place in places}) == 3


def test_nothing_to_draw_is_drawn_too():
    drawn(Panel("Empty", "ms", []))
    drawn(Panel("Zero", "ms", [Line("zero", [0.0, 0.0], "blue")]))


def test_ticks_are_round_and_reach_the_greatest():
    assert ticks(100) == [0, 50, 100]
    assert ticks(7) == [0, 2, 4, 6, 8]
    assert ticks(0.3) == pytest.approx([0, 0.1, 0.2, 0.3])
    assert ticks(0) == [0, 1]
    for most in (1, 3, 9.9, 47, 801, 12345):
        found = ticks(most)
        assert found[-1] >= most * 0.999
        assert 3 <= len(found) <= 7


def test_words_of_marks_that_stand_close_are_not_written_over_each_other():
    marks = [Mark(1.0, "logins"), Mark(1.2, "all at once"), Mark(1.3, "and more"), Mark(9.0, "later")]
    made = draw("T", "", [Panel("P", "u", [Line("a", [1.0, 2.0], "blue")])], 10.0, marks=marks)
    rows = {words: y for y, words in re.findall(r'<text x="[\d.]+" y="([\d.]+)" fill="#777777">([^<]+)</text>', made)}
    assert len({rows["logins"], rows["all at once"], rows["and more"]}) == 3
    assert rows["later"] == rows["logins"]
