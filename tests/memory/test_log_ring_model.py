"""The ring's protocol searched exhaustively, and each of its rules shown to be needed."""

import pytest
from tests.memory.ring_model import FLAWS, Model, search


@pytest.mark.parametrize(
    ("capacity", "lines", "sizes", "deaths"),
    [
        (4, 4, (1, 2, 3), 1),
        (3, 5, (1, 2), 1),
        (4, 4, (1, 4), 2),
        pytest.param(4, 5, (1, 2, 3), 1, marks=pytest.mark.slow),
        pytest.param(5, 4, (2, 3), 1, marks=pytest.mark.slow),
        pytest.param(6, 5, (2, 4), 0, marks=pytest.mark.slow),
    ],
)
def test_no_interleaving_and_no_death_tears_skips_or_repeats_a_line(capacity, lines, sizes, deaths):
    states, violation = search(Model(capacity, lines, sizes, deaths))
    assert violation == ""
    assert states > 1000


@pytest.mark.parametrize("flaw", FLAWS)
def test_without_any_one_rule_the_search_finds_a_broken_log(flaw):
    _, violation = search(Model(4, 6, (1, 2, 3), 1, flaw))
    assert violation
