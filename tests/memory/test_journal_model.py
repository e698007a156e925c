"""The journal's protocol searched exhaustively, and each of its rules shown to be needed."""

import pytest
from tests.memory.journal_model import FLAWS, Model


@pytest.mark.parametrize(
    ("cells", "records", "rounds", "deaths"),
    [
        (1, (2, 1), 1, 0),
        (2, (2, 1), 1, 0),
        (1, (1, 1), 1, 1),
        pytest.param(1, (2, 1), 1, 1, marks=pytest.mark.slow),
        pytest.param(2, (2, 2), 1, 0, marks=pytest.mark.slow),
    ],
)
def test_no_interleaving_and_no_death_shows_a_record_that_was_not_written(cells, records, rounds, deaths):
    states, violation = Model(cells, records, rounds, deaths).search()
    assert violation == ""
    assert states > 500


@pytest.mark.parametrize("flaw", FLAWS)
def test_without_any_one_rule_the_search_finds_a_broken_journal(flaw):
    assert Model(1, (2, 1), 1, 1, flaw).search().violation
