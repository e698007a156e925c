"""The text form of a percentile distribution: what HdrHistogram 2.2.2 prints (tests/vectors/hdr_histogram.json)."""

import json
from pathlib import Path

import pytest

from tidegate.bench.hgrm import distribution, hgrm
from tidegate.bench.histogram import Histogram

CASES = json.loads((Path(__file__).parents[1] / "vectors" / "hdr_histogram.json").read_text())["cases"]


def of(case):
    histogram = Histogram(case["digits"], case["highest"])
    histogram.add_many(case["values"])
    return histogram


@pytest.mark.parametrize("case", [case for case in CASES if case["digits"] == 3], ids=lambda case: case["name"])
def test_text_is_that_of_hdr_histogram(case):
    assert hgrm(of(case)).splitlines() == case["hgrm"].splitlines()


def test_points_end_with_the_whole():
    points = list(distribution(of(next(case for case in CASES if case["name"] == "hundred"))))
    assert points[0][1:] == (0.0, 1)
    assert points[-1][1:] == (1.0, 100)
    assert [count for _, _, count in points] == sorted(count for _, _, count in points)


def test_nothing_has_no_points():
    assert list(distribution(Histogram())) == []
    assert "Total count    =            0" in hgrm(Histogram())
