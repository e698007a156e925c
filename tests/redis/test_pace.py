"""Pauses between attempts: they grow, they differ, and a server that hangs up at once is not stormed."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from tidegate.redis.pace import BUDGET, FIRST_S, LONGEST_S, REFILL_S, Pace


def test_the_first_attempt_is_made_at_once() -> None:
    assert Pace(random.Random(1)).next_s(1000.0) == 0.0


@given(st.integers(0, 2**32))
def test_pauses_double_up_to_a_bound_and_are_jittered(seed: int) -> None:
    pace = Pace(random.Random(seed))
    now_s = 1000.0
    for failures in range(12):
        pace.budget = BUDGET
        pause_s = pace.next_s(now_s)
        longest_s = min(LONGEST_S, FIRST_S * 2 ** (failures - 1)) if failures else 0.0
        assert 0.0 <= pause_s <= longest_s
        pace.failed()
        now_s += 60.0


def test_workers_do_not_come_back_in_step() -> None:
    paces = [Pace(random.Random(seed)) for seed in range(50)]
    for pace in paces:
        pace.failures = 10
    assert len({pace.next_s(1.0) for pace in paces}) == 50


@given(st.integers(0, 2**32))
def test_a_server_that_hangs_up_at_once_is_not_stormed(seed: int) -> None:
    """Each attempt succeeds and is lost at once: no failure, so nothing but the budget slows it down."""
    pace = Pace(random.Random(seed))
    now_s, attempts = 1000.0, 0
    while now_s < 1060.0:
        now_s += pace.next_s(now_s)
        pace.succeeded()
        attempts += 1
    assert attempts <= BUDGET + 60 / REFILL_S + 1


def test_success_ends_the_pauses_but_gives_no_budget_back() -> None:
    pace = Pace(random.Random(3))
    for _ in range(5):
        pace.next_s(1.0)
        pace.failed()
    left = pace.budget
    pace.succeeded()
    assert (pace.failures, pace.budget) == (0, left)
    assert pace.next_s(1.0) == 0.0
