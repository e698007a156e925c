"""A rate that is kept."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tidegate.cache.pacing import Pacing


@given(st.lists(st.tuples(st.floats(0, 0.5), st.integers(1, 5000)), min_size=1, max_size=50))
def test_from_the_first_piece_to_the_last_the_rate_is_kept(asked: list[tuple[float, int]]) -> None:
    pacing, now, begins = Pacing(1000), 0.0, []
    for pause, size in asked:
        now += pause
        now += pacing.take(now, size)
        begins.append((now, size))
    sent = sum(size for _, size in begins[:-1])  # the last has just begun
    assert begins[-1][0] - begins[0][0] >= sent / 1000 - 1e-6


def test_who_has_rested_has_saved_nothing_up_and_without_a_rate_nobody_waits() -> None:
    pacing = Pacing(1000)
    assert pacing.take(0.0, 500) == 0.0
    assert pacing.take(0.0, 500) == 0.5
    assert pacing.take(60.0, 500) == 0.0 and pacing.take(60.0, 1) == 0.5
    assert [Pacing(None).take(0.0, 1 << 30) for _ in range(3)] == [0.0] * 3
