"""Outcomes drawn."""

from xml.etree import ElementTree as ET

import msgspec

from tidegate.lab.sim.picture import comparison, marks_of, portrait
from tidegate.lab.sim.play import play
from tidegate.lab.sim.scenario import BackendChange, BackendPlan, RateChange, Scenario, Stream

SVG = "{http://www.w3.org/2000/svg}"
SHORT = Scenario(
    title="A step",
    lesson="Look at the queue.",
    seconds=8,
    streams=(Stream(per_s=60, changes=(RateChange(3, 180),)),),
    backend=BackendPlan(servers=4, latency_ms=50, changes=(BackendChange(5, 100),)),
    fixed_limit=6,
)


def texts(text):
    return [element.text for element in ET.fromstring(text).iter(f"{SVG}text")]


def test_a_portrait_has_goodput_refusals_queue_delay_and_limit():
    said = texts(portrait(play(SHORT)))
    for wanted in ("A step: queue_delay", "Look at the queue.", "Goodput, requests/s", "Sent away, requests/s"):
        assert wanted in said
    for wanted in ("Queue delay, ms", "Limit, requests at once", "served", "refused", "timed out", "target", "limit"):
        assert wanted in said
    assert said.count("load x 3") == said.count("100 ms") == 4


def test_a_comparison_has_a_row_for_each():
    text = comparison([play(SHORT, name) for name in ("queue_delay", "fixed", "none")])
    said = texts(text)
    for name in ("queue_delay", "fixed", "none"):
        assert f"{name}: goodput, requests/s" in said
    assert said.count("limit") == 2, "no limit is no line"
    assert said.count("target") == 1
    assert len(list(ET.fromstring(text).iter(f"{SVG}clipPath"))) == 9


def test_without_any_limit_it_is_drawn_by_what_there_is():
    assert "none: goodput, requests/s" in texts(comparison([play(SHORT, "none")]))


def test_marks_are_what_changes():
    assert [mark.text for mark in marks_of(SHORT)] == ["100 ms", "load x 3"]
    calm = msgspec.structs.replace(SHORT, streams=(Stream(per_s=1),), backend=BackendPlan(servers=1, latency_ms=1))
    assert marks_of(calm) == []
