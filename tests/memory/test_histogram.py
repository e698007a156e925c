"""Buckets of the log-linear histograms."""

import itertools
import math

from hypothesis import given
from hypothesis import strategies as st

from tidegate.memory.histogram import BUCKETS, bucket_of, quantile_us, upper_us


@given(st.integers(0, 1 << 30))
def test_value_lies_within_its_bucket(value):
    bucket = bucket_of(value)
    assert value < upper_us(bucket)
    assert bucket == 0 or value >= upper_us(bucket - 1)


def test_buckets_join_without_gap_and_no_wider_than_an_eighth():
    edges = [upper_us(i) for i in range(BUCKETS)]
    assert edges == sorted(set(edges))
    assert edges[-1] == math.inf
    assert edges[-2] > 100_000_000
    assert all(b - a <= max(1, a / 8) for a, b in itertools.pairwise(edges[:-1]))


@given(st.lists(st.integers(0, 10_000_000), min_size=1, max_size=200), st.floats(0.01, 1))
def test_quantile_is_at_most_an_eighth_above_the_exact_one(values, share):
    counts = [0] * BUCKETS
    for value in values:
        counts[bucket_of(value)] += 1
    exact = sorted(values)[max(0, math.ceil(share * len(values) - 1e-9) - 1)]
    assert exact <= quantile_us(counts, share) <= exact * 1.125 + 1


def test_quantile_of_nothing_is_zero():
    assert quantile_us([0] * BUCKETS, 0.99) == 0
