"""Single flight searched exhaustively, and each of its rules shown to be needed."""

import pytest
from tests.memory.flights_model import FLAWS, Model


@pytest.mark.parametrize("workers", [2, 3])
@pytest.mark.parametrize("deaths", [0, 1, 2])
@pytest.mark.parametrize("ended", [0, 1])
@pytest.mark.parametrize("failures", [0, 1])
def test_one_fetches_at_a_time_and_nobody_waits_for_ever(workers, deaths, ended, failures):
    states, violation = Model(workers, deaths=deaths, ended=ended, failures=failures).search()
    assert violation == ""
    assert states > 20


@pytest.mark.parametrize("flaw", FLAWS)
def test_without_any_one_rule_the_search_finds_a_broken_protocol(flaw):
    model = Model(3, deaths=int("dead" in flaw), ended=int("lease" in flaw), failures=1, flaw=flaw)
    assert model.search().violation
