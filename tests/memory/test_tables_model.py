"""The cells' protocol searched exhaustively, and each of its rules shown to be needed."""

import pytest
from tests.memory.cells_model import FLAWS, FREE, Model

LIVE = ("f", 2)
HALF = ("h", 1)


@pytest.mark.parametrize(
    ("cells", "programs", "tries"),
    [
        ((FREE, FREE), ("+h", "+h"), 4),
        ((FREE, FREE, FREE), ("+h", "+h"), 3),
        ((FREE, LIVE), ("+h +h", "+h"), 4),
        ((FREE, FREE), ("+h -h", "+h"), 4),
        ((HALF, FREE), ("+h", "+f +f"), 4),
        ((HALF, FREE), ("-h +h", "+f +f"), 4),
        ((FREE, FREE), ("+h =h", "+h =h"), 4),
        ((FREE,), ("+h =h", "+h", "+h"), 3),
        ((FREE, FREE), ("+h", "+h", "+h"), 1),
        ((FREE,), ("+h", "+h", "+f"), 2),
        pytest.param((FREE, FREE), ("+h", "+h", "+f +h"), 1, marks=pytest.mark.slow),
        pytest.param((HALF, FREE), ("+h", "+h", "+f"), 1, marks=pytest.mark.slow),
    ],
)
def test_a_key_is_charged_in_one_cell_and_by_as_much_as_passed(cells, programs, tries):
    states, violation = Model(cells, programs, tries=tries).search()
    assert violation == ""
    assert states > 500


@pytest.mark.parametrize(
    ("cells", "programs"),
    [((FREE, FREE), ("+h", "+h")), ((FREE, FREE), ("+h", "+f")), ((HALF,), ("+h -h", "+f"))],
)
def test_whoever_stopped_or_died_anywhere_holds_nobody_up(cells, programs):
    states, violation = Model(cells, programs).finishes_alone()
    assert violation == ""
    assert states > 500


# A flaw shows itself where its rule is what keeps two or three processes from going wrong.
SHOWN_BY = {
    "announcements without a nonce": ((FREE, FREE), ("+h", "+h", "+f +h"), 1),
    "refunded without a compare of the key": ((HALF, FREE), ("-h", "+f"), 4),
    "a turn that others wait behind is given back": ((FREE,), ("+h =h", "+h", "+h"), 3),
    "refused without a swap": ((HALF, FREE), ("+h", "+f +f"), 4),
}


@pytest.mark.parametrize("flaw", FLAWS)
def test_without_any_one_rule_the_search_finds_a_broken_protocol(flaw):
    cells, programs, tries = SHOWN_BY.get(flaw, ((FREE, FREE), ("+h", "+h"), 4))
    assert Model(cells, programs, flaw, tries=tries).search().violation
