"""A table and a line that judges."""

import io

from rich.console import Console
from tests.lab.playing import Leak, played

from tidegate.lab.summary import show, verdict


def text(one):
    out = io.StringIO()
    show(one, Console(file=out, width=200))
    return out.getvalue()


def test_both_halves_stand_beside_what_was_promised():
    (one,) = played(Leak())
    lines = text(one).splitlines()
    assert lines[0] == "leak: A <leak>"
    assert [line.split() for line in lines if line.strip().startswith("leaks")] == [
        ["leaks", "3", "0", "at", "most", "0"]
    ]
    assert [line.split() for line in lines if line.strip().startswith("time")] == [["time", "12.5", "ms", "12.5", "ms"]]
    assert "a note & more" in text(one)


def test_the_verdict_says_what_was_missed():
    (good,) = played(Leak())
    assert verdict(good) == "The incident was there as it happened. Tidegate kept every promise"
    (broken,) = played(Leak(through=2))
    assert verdict(broken) == "The incident was there as it happened. A promise was not kept. leaks: 2 (at most 0)"
    (empty,) = played(Leak(happened=0))
    assert "The incident did not show: nothing is proved" in verdict(empty)
    (stuck,) = played(Leak(trouble="no Valkey"))
    assert verdict(stuck) == "no Valkey"


def test_several_runs_are_counted():
    (one,) = played(Leak(), runs=3)
    assert verdict(one) == (
        "As it happened, the incident was there in 3 of 3 runs. Tidegate kept every promise in 3 of 3"
    )
