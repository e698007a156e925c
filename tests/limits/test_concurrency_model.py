"""How workers wait for permits searched exhaustively, and each of the rules shown to be needed."""

import pytest
from tests.limits.waiting_model import FLAWS, KEYED_FLAW, Model

pytestmark = pytest.mark.timeout(300)


@pytest.mark.parametrize(("workers", "maximum", "holders"), [(2, 1, 0), (2, 1, 1), (3, 2, 2)])
@pytest.mark.parametrize("leaver", [-1, 0])
def test_without_a_death_nobody_waits_for_what_is_free_even_without_the_timer(workers, maximum, holders, leaver):
    states, violation = Model(workers, maximum, holders=holders, leaver=leaver).search()
    assert violation == ""
    assert states > 250


@pytest.mark.slow
def test_three_workers_for_one_permit():
    states, violation = Model(3, 1, holders=1).search()
    assert violation == ""
    assert states > 100_000


@pytest.mark.parametrize(("workers", "maximum", "deaths", "holders"), [(2, 1, 1, 0), (2, 1, 2, 1)])
def test_with_the_timer_no_death_leaves_anybody_waiting_or_counted(workers, maximum, deaths, holders):
    states, violation = Model(workers, maximum, deaths, holders=holders, has_timer=True).search()
    assert violation == ""
    assert states > 250


@pytest.mark.parametrize("flaw", FLAWS)
def test_without_any_one_rule_the_search_finds_a_broken_protocol(flaw):
    deaths = int("dead" in flaw)
    leaver = 0 if "not used" in flaw else -1
    assert Model(2, 1, deaths, flaw, has_timer=bool(deaths), leaver=leaver).search().violation


@pytest.mark.parametrize(
    ("keys", "holders", "waiters", "leaver"),
    [((0, 1, 0), 1, 0, -1), ((0, 1, 0), 1, 0, 0), ((0, 1, 0, 1), 2, 2, -1)],
)
def test_keys_that_share_a_bell_do_not_keep_each_other_waiting(keys, holders, waiters, leaver):
    states, violation = Model(len(keys), 1, holders=holders, waiters=waiters, leaver=leaver, keys=keys).search()
    assert violation == ""
    assert states > 250


def test_where_keys_share_a_bell_one_ring_is_not_enough():
    assert Model(4, 1, flaw=KEYED_FLAW, holders=2, waiters=2, keys=(0, 1, 0, 1)).search().violation
