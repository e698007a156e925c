"""The health words' protocol searched exhaustively, and each of its rules shown to be needed."""

import pytest
from tests.memory.health_model import FLAWS, Model


@pytest.mark.parametrize(
    ("controls", "publications", "deaths"),
    [(2, 2, 0), (2, 2, 1), pytest.param(3, 1, 1, marks=pytest.mark.slow)],
)
def test_no_control_writes_after_another_has_taken_over_and_no_state_is_lost(controls, publications, deaths):
    states, violation = Model(controls, publications, deaths).search()
    assert violation == ""
    assert states > 500


@pytest.mark.parametrize("flaw", FLAWS)
def test_without_any_one_rule_the_search_finds_a_broken_protocol(flaw):
    assert Model(2, 2, 1, flaw).search().violation
