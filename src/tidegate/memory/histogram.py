"""Arithmetic of the log-linear histograms: which bucket a duration falls in, what a bucket spans, quantiles.

Microseconds 0 to 7 have a bucket each; above that every power of two is split in eight, so that a value is known to
12.5 % from 1 µs to 134 s; one last bucket takes everything longer. (The layout of HdrHistogram with three bits.)
"""

from __future__ import annotations

from collections.abc import Sequence

SUB_BITS = 3
MAX_EXPONENT = 27
BUCKETS = ((MAX_EXPONENT - SUB_BITS + 1) << SUB_BITS) + 1


def bucket_of(duration_us: int) -> int:
    """Index of the bucket that counts ``duration_us``; the compiled meters do the same in C."""
    if duration_us < 1 << SUB_BITS:
        return duration_us
    exponent = duration_us.bit_length() - 1
    if exponent >= MAX_EXPONENT:
        return BUCKETS - 1
    shift = exponent - SUB_BITS
    return (shift << SUB_BITS) + (duration_us >> shift)


def upper_us(bucket: int) -> float:
    """First duration in microseconds that is too long for ``bucket``; infinite for the last."""
    if bucket < 1 << SUB_BITS:
        return float(bucket + 1)
    if bucket >= BUCKETS - 1:
        return float("inf")
    shift = (bucket >> SUB_BITS) - 1
    return float(((bucket & 7) + 8 + 1) << shift)


def quantile_us(counts: Sequence[int], share: float) -> float:
    """The duration that ``share`` (0 to 1) of the entries do not exceed: upper end of its bucket; 0 when empty."""
    total = sum(counts)
    if not total:
        return 0.0
    wanted = max(1, -(-int(share * total * 1_000_000) // 1_000_000))
    seen = 0
    for bucket, count in enumerate(counts):
        seen += count
        if seen >= wanted:
            return upper_us(bucket)
    return upper_us(BUCKETS - 1)
