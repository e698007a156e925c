"""The picture as an independent reader of XML sees it."""

from xml.etree import ElementTree as ET

from tidegate.profile.flame_graph import page, picture
from tidegate.profile.stacks import Stacks

SVG = "{http://www.w3.org/2000/svg}"


def boxes(text):
    """Left, width and level by name."""
    groups = ET.fromstring(text).iter(f"{SVG}g")
    return {
        one.get("data-name"): (float(one.get("data-x")), float(one.get("data-w")), int(one.get("data-level")))
        for one in groups
    }


def stacks(**weights):
    made = Stacks("samples")
    for calls, weight in weights.items():
        made.add(calls.split("__"), weight)
    return made


def test_a_box_is_as_wide_as_its_share_and_stands_on_who_called_it():
    found = boxes(picture(stacks(a__b=3, a__c=1, d=4), "t"))
    assert found == {"all": (0, 1, 0), "a": (0, 0.5, 1), "b": (0, 0.375, 2), "c": (0.375, 0.125, 2), "d": (0.5, 0.5, 1)}


def test_its_own_part_of_a_call_has_nothing_above_it():
    found = boxes(picture(stacks(a=1, a__b=3), "t"))
    assert found["a"] == (0, 1, 1) and found["b"] == (0, 0.75, 2)


def test_what_would_be_thinner_than_half_a_pixel_is_left_out():
    assert set(boxes(picture(stacks(a=100_000, b=1), "t"))) == {"all", "a"}


def test_names_are_text_whatever_is_in_them():
    odd = Stacks("bytes")
    odd.add(['<script>alert("x")</script>\x00\ud800&'], 2048)
    text = picture(odd, "<t> & ]]>")
    (name,) = set(boxes(text)) - {"all"}
    assert name == '<script>alert("x")</script>\\x00\\ud800&'
    assert "2.0 KiB, 100.0%" in text


def test_nothing_at_all_and_endless_recursion_are_pictures():
    assert set(boxes(picture(Stacks("samples"), "t"))) == {"all"}
    deep = Stacks("seconds")
    deep.add([f"f{level}" for level in range(5000)], 1.0)
    assert len(boxes(picture(deep, "t"))) == 251


def test_a_page_has_the_picture_and_what_is_to_be_known():
    text = page(stacks(a=1), "CPU <1>", ["without <native> frames"])
    assert "<title>CPU &lt;1&gt;</title>" in text and "<p>without &lt;native&gt; frames</p>" in text
    assert text.count("<svg") == 1
    assert "http" not in text.replace("http://www.w3.org/2000/svg", ""), "nothing is loaded from elsewhere"
