"""The text form of HdrHistogram's percentile distribution (``.hgrm``), which its plotter reads."""

from __future__ import annotations

import math
from collections.abc import Iterator

from tidegate.bench.histogram import Histogram

__all__ = ["distribution", "hgrm"]

TICKS = 5  # points for each halving of what is left to 100 %, as HdrHistogram's own tools
NS_IN_MS = 1e6


def distribution(histogram: Histogram, ticks: int = TICKS) -> Iterator[tuple[int, float, int]]:
    """The points of the curve: value in nanoseconds, share (0 to 1) and how many values are at or below.

    The steps of the share are those of HdrHistogram's PercentileIterator: ``ticks`` to one half, as many to three
    quarters, and so on, up to the greatest value; then 1.
    """
    level, seen = 0.0, 0
    for bucket in histogram.buckets():
        seen += bucket.times
        while 100.0 * seen / histogram.total >= level:
            yield bucket.highest, level / 100.0, seen
            if seen == histogram.total:
                yield bucket.highest, 1.0, seen
                return
            halvings = int(math.log2(100.0 / (100.0 - level))) + 1
            level += 100.0 / (ticks * 2**halvings)


def hgrm(histogram: Histogram, ticks: int = TICKS) -> str:
    """The whole text, values in milliseconds."""
    lines = [f"{'Value':>12} {'Percentile':>14} {'TotalCount':>10} {'1/(1-Percentile)':>14}", ""]
    for value, share, count in distribution(histogram, ticks):
        last = f" {1 / (1 - share):14.2f}" if share < 1 else ""
        lines.append(f"{value / NS_IN_MS:12.3f} {share:2.12f} {count:10d}{last}")
    lines += [
        f"#[Mean    = {histogram.mean / NS_IN_MS:12.3f}, StdDeviation   = {histogram.deviation / NS_IN_MS:12.3f}]",
        f"#[Max     = {histogram.most / NS_IN_MS:12.3f}, Total count    = {histogram.total:12d}]",
        f"#[Buckets = {buckets(histogram):12d}, SubBuckets     = {sub_buckets(histogram):12d}]",
    ]
    return "\n".join([*lines, ""])


def sub_buckets(histogram: Histogram) -> int:
    """Places of the first bucket: a power of two, at least 2 * 10^digits."""
    return 1 << int(2 * 10**histogram.digits - 1).bit_length()


def buckets(histogram: Histogram) -> int:
    """Doublings from the first bucket to the highest value."""
    found, end = 1, sub_buckets(histogram)
    while end <= histogram.highest:
        found, end = found + 1, end * 2
    return found
