"""The bells' protocol searched exhaustively, and each of its rules shown to be needed."""

import pytest
from tests.memory.bells_model import FLAWS, Model

# (permits wanted, permits held at first) of each process
ONE_WAITER = ((1, 0), (0, 1))
TWO_WAITERS = ((1, 0), (1, 0), (0, 1))
TWO_FREED = ((1, 0), (1, 0), (0, 2))
TWO_WANTED = ((2, 0), (1, 0), (0, 2))
FOUR = ((1, 0), (1, 0), (0, 1), (0, 1))


@pytest.mark.parametrize("programs", [ONE_WAITER, TWO_WAITERS, TWO_FREED, TWO_WANTED, FOUR])
@pytest.mark.parametrize("leaver", [-1, 0])
def test_without_a_death_no_wake_up_is_lost_even_without_the_timer(programs, leaver):
    states, violation = Model(programs, leaver=leaver).search()
    assert violation == ""
    assert states > 30


@pytest.mark.parametrize("programs", [ONE_WAITER, TWO_WAITERS, TWO_FREED, TWO_WANTED])
@pytest.mark.parametrize("deaths", [1, 2])
def test_with_the_timer_no_death_leaves_anybody_waiting_or_marked(programs, deaths):
    states, violation = Model(programs, deaths, has_timer=True).search()
    assert violation == ""
    assert states > 100


def test_without_the_timer_a_death_loses_a_wake_up():
    assert "wait although a permit is free" in Model(TWO_WAITERS, 1).search().violation


@pytest.mark.parametrize("flaw", FLAWS)
def test_without_any_one_rule_the_search_finds_a_broken_protocol(flaw):
    deaths = int("dead" in flaw)
    model = Model(TWO_WAITERS, deaths, flaw, has_timer=bool(deaths), leaver=0)
    assert model.search().violation
