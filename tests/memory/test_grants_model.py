"""The protocol of grants searched exhaustively, and each of its rules shown to be needed."""

import pytest
from tests.memory.grants_model import FLAWS, Model

ASKS_TWICE = (("ask", "ask"), ("take",))
ASKS_BESIDE = (("ask", "take"), ("ask",))
TAKES_AND_ENDS = (("ask", "take", "end"), ("take",))
BOTH = (("ask", "take"), ("take", "ask"))


@pytest.mark.parametrize("programs", [ASKS_TWICE, ASKS_BESIDE, TAKES_AND_ENDS, BOTH])
def test_never_more_than_there_are_whatever_is_late_or_lost(programs):
    states, violation = Model(programs).search()
    assert violation == ""
    assert states > 1000


@pytest.mark.parametrize("programs", [ASKS_TWICE, ASKS_BESIDE, TAKES_AND_ENDS])
def test_never_more_than_there_are_whoever_dies(programs):
    states, violation = Model(programs, maximum=1, deaths=1).search()
    assert violation == ""
    assert states > 1000


@pytest.mark.parametrize("programs", [ASKS_TWICE, ASKS_BESIDE])
def test_machine_that_is_not_heard_stops_before_its_permits_are_lent_to_others(programs):
    states, violation = Model(programs, maximum=1, ticks=3).search()
    assert violation == ""
    assert states > 1000


@pytest.mark.parametrize("flaw", FLAWS)
def test_without_any_one_rule_the_search_finds_more_than_there_are(flaw):
    needs_time = flaw == FLAWS[-1]
    # A worker that has taken a permit by the first answer, and another that asks behind.
    programs = (("ask", "take"), ("ask", "ask")) if not needs_time else ASKS_BESIDE
    maximum = 1 if needs_time else 2
    assert "than there are" in Model(programs, maximum, ticks=3 if needs_time else 0, flaw=flaw).search().violation
