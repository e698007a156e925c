"""The mark's protocol searched exhaustively, and each of its rules shown to be needed."""

import pytest
from tests.memory.marks_model import FLAWS, Model, search


@pytest.mark.parametrize(("callbacks", "readings", "deaths"), [(4, 2, 0), (3, 2, 1), (5, 1, 2)])
def test_no_interleaving_and_no_death_names_a_place_the_worker_was_not_in(callbacks, readings, deaths):
    states, violation = search(Model(callbacks, readings, deaths))
    assert violation == ""
    assert states > 1000


@pytest.mark.parametrize("flaw", FLAWS)
def test_without_any_one_rule_the_search_finds_a_wrong_mark(flaw):
    _, violation = search(Model(4, 2, 1, flaw=flaw))
    assert violation
