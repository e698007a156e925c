"""Keys by distribution."""

import itertools
from collections import Counter
from random import Random

import pytest

from tidegate.bench import keys


def drawn(text, count=20_000, seed=1):
    return list(itertools.islice(keys.parse(text, Random(seed)), count))


def test_uniform_keys_are_alike():
    counts = Counter(drawn("uniform:10"))
    assert set(counts) == set(range(10))
    assert all(abs(count - 2000) < 5 * 43 for count in counts.values())  # five standard deviations


def test_a_sequence_goes_around():
    assert drawn("sequence:3", 7) == [0, 1, 2, 0, 1, 2, 0]


@pytest.mark.parametrize(("text", "exponent"), [("zipf:100", 1.0), ("zipf:100:0.8", 0.8), ("zipf:100:0", 0.0)])
def test_zipf_keys_fall_as_the_power_of_their_rank(text, exponent):
    counts = Counter(drawn(text, 100_000))
    whole = sum((key + 1) ** -exponent for key in range(100))
    for key in (0, 1, 9, 99):
        expected = 100_000 * (key + 1) ** -exponent / whole
        assert abs(counts[key] - expected) < 5 * expected**0.5


def test_one_seed_draws_the_same():
    assert drawn("zipf:1000:1.1", 50) == drawn("zipf:1000:1.1", 50)
    assert drawn("zipf:1000:1.1", 50) != drawn("zipf:1000:1.1", 50, seed=2)


@pytest.mark.parametrize(
    "text",
    ["", "zipf", "zipf:x", "zipf:1:2:3", "zipf:10:11", "zipf:20000000", "uniform:0", "sequence:1:2", "pareto:10"],
)
def test_what_names_no_keys_is_refused(text):
    with pytest.raises(ValueError, match="got"):
        drawn(text, 1)
