"""The protocol of leases searched exhaustively, and each of its rules shown to be needed."""

import pytest
from tests.memory.leases_model import FLAWS, Model

TWO_TAKERS = (("borrow", "take", "take"), ("take", "take"))
TWO_BORROWERS = (("borrow", "take"), ("borrow", "take"))
ONE_SETTLES = (("borrow", "take"), ("settle", "take"))
THREE = (("borrow",), ("take",), ("settle",))


@pytest.mark.parametrize("programs", [TWO_TAKERS, TWO_BORROWERS, ONE_SETTLES, THREE])
@pytest.mark.parametrize("deaths", [0, 1])
def test_every_credit_is_used_or_given_back_once_and_in_its_time(programs, deaths):
    states, violation = Model(programs, deaths=deaths).search()
    assert violation == ""
    assert states > 500


@pytest.mark.parametrize(
    ("flaw", "programs"),
    [
        (FLAWS[0], TWO_TAKERS),
        (FLAWS[1], (("borrow", "take"), ("take",))),
        (FLAWS[2], (("borrow", "take"), ("take",))),
        (FLAWS[3], (("borrow", "settle"), ("settle",))),
        (FLAWS[4], TWO_BORROWERS),
    ],
)
def test_without_any_one_rule_the_search_finds_a_broken_protocol(flaw, programs):
    assert Model(programs, deaths=int("for good" in flaw), flaw=flaw).search().violation
