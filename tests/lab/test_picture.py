"""Both halves are drawn on one scale."""

import re

from tests.lab.playing import Leak, played

from tidegate.lab.picture import pictures


def test_both_halves_have_one_scale_and_their_own_marks():
    ((run,),) = [one.runs for one in played(Leak(happened=400))]
    happened, through = pictures(run)
    assert happened.startswith("<svg") and through.startswith("<svg")
    assert ">As it happened</text>" in happened and ">Through Tidegate</text>" in through
    assert ">400</text>" in happened and ">400</text>" in through
    assert "it leaks" in happened
    assert "it leaks" not in through
    (high,), (low,) = (re.findall(r'<polyline [^>]*points="([^"]*)"', one) for one in (happened, through))
    assert high != low
