"""How often a key was asked for: never too little, seldom too much, and forgotten."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from tidegate.cache.sketch import Sketch


@given(st.lists(st.integers(0, 40), max_size=200))
def test_an_estimate_is_never_too_small(keys: list[int]) -> None:
    sketch = Sketch()
    for key in keys:
        sketch.count(key)
    assert all(sketch.estimate(key) >= min(15, count) for key, count in Counter(keys).items())


def test_a_flood_of_single_keys_makes_few_look_like_more() -> None:
    sketch = Sketch()
    for number in range(4 * sketch.period):
        sketch.count(f"flood:{number}")
    last = [sketch.estimate(f"flood:{number}") for number in range(3 * sketch.period, 4 * sketch.period)]
    assert sum(count > 1 for count in last) < len(last) / 50


def test_what_is_asked_for_no_more_is_forgotten() -> None:
    sketch = Sketch(bits=8)
    for _ in range(15):
        sketch.count("famous")
    assert sketch.estimate("famous") == 15
    halvings = 0
    while sketch.estimate("famous") > 2 and halvings < 10:
        halvings += 1
        for number in range(sketch.period):
            sketch.count(f"{halvings}:{number}")
    assert halvings < 10
