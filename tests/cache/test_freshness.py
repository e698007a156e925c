"""Lives of values, and who fetches one again before its end."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from tidegate.cache.freshness import Lifetimes, Times, is_due_early

SECONDS = st.floats(0, 1e6)
PART = st.floats(0, 1)


@given(st.tuples(SECONDS, SECONDS, SECONDS, st.floats(0, 0.5), st.floats(0, 10)), SECONDS, SECONDS, PART, st.booleans())
def test_moments_of_a_life_are_in_order(
    options: tuple[float, float, float, float, float], at: float, took: float, chance: float, is_negative: bool
) -> None:
    ttl, revalidate, error, jitter, eagerness = options
    lifetimes = Lifetimes(ttl, ttl / 10, revalidate, error, jitter, eagerness)
    times = lifetimes.times(at, at + took, chance, is_negative=is_negative)
    assert list(times) == sorted(times)
    assert times.loaded_at == at


def test_each_moment_is_where_the_options_say() -> None:
    lifetimes = Lifetimes(60.0, 2.0, 10.0, 300.0)
    assert lifetimes.times(5.0, 10.0, 0.5) == Times(5.0, 70.0, 70.0, 80.0, 370.0)
    assert lifetimes.times(5.0, 10.0, 0.5, ttl_s=1.0) == Times(5.0, 11.0, 11.0, 21.0, 311.0)
    assert lifetimes.times(5.0, 10.0, 0.5, is_negative=True) == Times(5.0, 12.0, 12.0, 12.0, 12.0)


def test_jitter_ends_a_life_earlier_and_never_later() -> None:
    lifetimes = Lifetimes(100.0, jitter=0.2)
    ends = [lifetimes.times(0.0, 0.0, step / 10).fresh_until for step in range(11)]
    assert ends[0] == 100.0 and ends[-1] == 80.0 and ends == sorted(ends, reverse=True)


def test_nobody_is_chosen_before_early_from_and_nearly_everybody_at_the_end() -> None:
    chance = random.Random(1)
    times = Lifetimes(60.0, eagerness=1.0).times(0.0, 0.5, 0.0)  # its fetch took half a second
    assert times.fresh_until - times.early_from == 7.0

    def share(now: float) -> float:
        return sum(is_due_early(now, times.fresh_until, 0.5, 1.0, chance.random()) for _ in range(20_000)) / 20_000

    assert share(times.early_from - 0.01) == 0.0
    # exp(-left / load), by the paper: at one and at two fetches before the end
    assert 0.33 < share(times.fresh_until - 0.5) < 0.41
    assert 0.11 < share(times.fresh_until - 1.0) < 0.16
    assert share(times.fresh_until) == 1.0


def test_the_likeliest_chance_of_all_and_no_eagerness() -> None:
    assert is_due_early(0.0, 1e9, 0.1, 1.0, 0.0)  # the logarithm of nothing has no bound
    assert not is_due_early(0.0, 1.0, 0.1, 0.0, 0.0)
    assert not is_due_early(0.0, 1.0, 5.0, 0.0, 0.5)
