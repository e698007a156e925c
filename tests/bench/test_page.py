"""A load as a page: readable, true to the document, and nothing but itself."""

import re

from tests.bench import sheets
from tests.bench.outcomes import ASKED, MS, failing, measured, text

from tidegate.bench.document import document_of
from tidegate.bench.measured import SecondCounts
from tidegate.bench.page import page


def read(counted, **asked):
    return sheets.read(page(document_of(counted, {**ASKED, **asked}, began_unix_s=0)))


def test_page_says_what_was_asked_and_what_came():
    made, text_of = read(failing(), warm_up_s=2.0)
    for wanted in (
        "http://a.test/",
        "even arrivals, 100/s",
        "after 2 s of warm-up",
        "429",
        "connection_refused",
        "99 %",
    ):
        assert wanted in text_of, wanted
    assert "25 of 125 requests have no answer" in text_of
    assert made.count("<svg") == 2


def test_page_needs_nothing_else_and_runs_nothing():
    made, _ = read(failing(), target="http://a.test/<script>alert(1)</script>")
    assert "<script" not in made
    assert not re.search(r"(src|href)=|url\((?!#)|@import", made)
    assert "Connection &lt;refused&gt; [31m" in made


def test_closed_loop_is_said_to_tell_nothing_of_waiting():
    made, text_of = read(measured(is_open_loop=False))
    assert "nothing here says how long a client waits" in text_of
    assert ">service time</text>" not in made


def test_seconds_in_which_nothing_happened_are_seen_as_such():
    seconds = [SecondCounts(at, 5, 5, 0, {"2xx": 5}, text([MS] * 5, digits=2)) for at in (-1, 0, 3)]
    made, text_of = read(measured(by_second=seconds))
    assert "counted from here" in text_of
    points = re.findall(r'points="([^"]+)"', made.partition("over time")[2])
    assert {len(line.split()) for line in points} == {5}


def test_a_load_that_sent_nothing_has_a_page():
    _, text_of = read(measured(statuses={}, due=0, sent=0, in_time=0, by_second=[]))
    assert "Nothing was sent." in text_of
