"""The protocols of permits searched exhaustively, and each of their rules shown to be needed."""

import pytest
from tests.memory.inflight_model import KEY_FLAWS, ROW_FLAWS, Model

pytestmark = pytest.mark.timeout(300)


@pytest.mark.parametrize(
    ("wanted", "maximum", "deaths"),
    [(("k", "k", "k"), 1, 0), (("k", "k", "k"), 2, 0), (("kk", "kk"), 1, 2), (("k", "k", "k"), 2, 1)],
)
def test_a_row_is_never_over_its_limit_and_ends_at_zero_whoever_dies(wanted, maximum, deaths):
    states, violation = Model(wanted, 1, maximum, deaths, pinned="k").search()
    assert violation == ""
    assert states > 1000


@pytest.mark.parametrize(
    ("wanted", "rows", "maximum", "deaths", "holders"),
    [
        (("fk", "k"), 2, 1, 0, 0),  # a row becomes free before the one that was chosen
        (("kk", "k"), 2, 1, 1, 0),
        (("kf", "fk"), 1, 1, 0, 0),  # keys follow each other in one row
        (("k", "k", "k"), 1, 3, 0, 2),  # two let go of a row that a third wants
        (("k", "k", "f"), 2, 1, 0, 1),
        pytest.param(("kf", "fk"), 2, 1, 1, 0, marks=pytest.mark.slow),
        pytest.param(("kk", "k", "f"), 2, 1, 0, 1, marks=pytest.mark.slow),
    ],
)
def test_a_key_has_one_row_and_no_row_is_left_behind_whoever_dies(wanted, rows, maximum, deaths, holders):
    states, violation = Model(wanted, rows, maximum, deaths, holders=holders).search()
    assert violation == ""
    assert states > 1000


@pytest.mark.parametrize("flaw", ROW_FLAWS)
def test_without_any_one_rule_of_a_row_the_search_finds_a_broken_protocol(flaw):
    assert Model(("kk", "kk"), 1, 1, 1, flaw, pinned="k").search().violation


@pytest.mark.parametrize("flaw", KEY_FLAWS)
def test_without_any_one_rule_of_keys_the_search_finds_a_broken_protocol(flaw):
    if flaw == "who closes is not told":
        model = Model(("k", "k", "k"), 1, 3, 0, flaw, holders=2)
    else:
        model = Model(("fk", "k"), 2, 1, 0, flaw)
    assert model.search().violation
