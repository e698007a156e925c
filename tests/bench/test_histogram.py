"""Durations by size: the answers of HdrHistogram 2.2.2 (tests/vectors/hdr_histogram.json), and merging."""

import base64
import json
import struct
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.bench.histogram import Histogram

CASES = json.loads((Path(__file__).parents[1] / "vectors" / "hdr_histogram.json").read_text())["cases"]
HOUR = 3_600_000_000_000

durations = st.lists(st.integers(0, 2 * HOUR) | st.integers(0, 5000), max_size=60)


def of(values, **options):
    histogram = Histogram(**options)
    histogram.add_many(values)
    return histogram


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_counts_and_reads_as_hdr_histogram_does(case):
    ours = of(case["values"], digits=case["digits"], highest=case["highest"])
    found = {share: ours.quantile(float(share) / 100) for share in case["quantiles"]}
    assert found == case["quantiles"]
    assert ours.total == len(case["values"])
    assert ours.most == case["most"]
    assert ours.least == case["least"]
    assert ours.mean == pytest.approx(case["mean"], rel=1e-12)
    assert ours.deviation == pytest.approx(case["deviation"], rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_compressed_form_is_that_of_hdr_histogram(case):
    theirs = Histogram.decode(case["encoded"])
    assert theirs.buckets() == of(case["values"], digits=case["digits"]).buckets()
    # Deflate may differ from one zlib to the next; what it holds may not.
    assert inflated(theirs.encode()) == inflated(case["encoded"])


def inflated(text):
    packed = base64.b64decode(text)
    return struct.unpack_from(">i", packed)[0], zlib.decompress(packed[8:])


@given(durations)
def test_three_digits_of_every_value_are_kept(values):
    found = of(values)
    assert found.total == len(values) == sum(bucket.times for bucket in found.buckets())
    kept = sorted(min(value, HOUR) for value in values)
    told = [bucket for bucket in found.buckets() for _ in range(bucket.times)]
    for value, bucket in zip(kept, told, strict=True):
        assert bucket.lowest <= value <= bucket.highest
        assert bucket.highest - bucket.lowest <= value / 1000


@given(durations, durations)
def test_merged_is_as_counted_together(some, others):
    merged = of(some)
    merged.merge(of(others))
    assert merged.buckets() == of(some + others).buckets()
    assert merged.total == len(some) + len(others)


@given(durations, st.sampled_from([1, 2, 3]))
def test_what_is_written_is_read_back(values, digits):
    written = of(values, digits=digits)
    read = Histogram.decode(written.encode())
    assert (read.digits, read.total, read.buckets()) == (digits, written.total, written.buckets())


@given(durations.filter(bool), st.floats(0, 1))
def test_a_quantile_is_not_exceeded_by_its_share(values, share):
    found = of(values)
    at_most = sum(min(value, HOUR) <= found.quantile(share) for value in values)
    assert at_most >= share * len(values) * (1 - 1e-12)


def test_nothing_has_no_size():
    empty = Histogram()
    assert (empty.quantile(0.99), empty.most, empty.least, empty.mean, empty.deviation) == (0, 0, 0, 0.0, 0.0)
    assert Histogram.decode(empty.encode()).total == 0
    assert repr(empty) == "<Histogram of nothing>"


def test_what_fits_nowhere_is_refused():
    for wrong in ({"digits": 0}, {"digits": 6}, {"highest": 1000}):
        with pytest.raises(ValueError, match="got"):
            Histogram(**wrong)
    with pytest.raises(ValueError, match="cannot be added"):
        Histogram(3).merge(Histogram(2))
    with pytest.raises(ValueError, match="a share is 0 to 1"):
        Histogram().quantile(1.01)
    with pytest.raises(RuntimeError, match="made once"):
        Histogram().__init__()


def text_of(counts, *, digits=3, highest=HOUR, lowest=1, cookie=0x1C849313):
    plain = struct.pack(">iiiiqqd", cookie, len(counts), 0, digits, lowest, highest, 1.0) + counts
    deflated = zlib.compress(plain)
    return base64.b64encode(struct.pack(">ii", 0x1C849314, len(deflated)) + deflated).decode()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no base64!",
        "HISTFAAA",
        text_of(b"\x80"),  # within a count
        text_of(b"\xff" * 9),  # zeros beyond all places
        text_of(b"\xff\xff\xff\x7f"),
        text_of(b"\xff" * 8 + b"\xfe"),
        text_of(b"\x03" * 3, digits=9),
        text_of(b"", highest=5),
        text_of(b"", highest=-1),
        text_of(b"", lowest=1000),
        text_of(b"", cookie=1),
        text_of(b"\x02" * 700_000, digits=1),
    ],
)
def test_a_text_that_is_no_histogram_is_refused(text):
    with pytest.raises(ValueError, match=r"no histogram|a histogram"):
        Histogram.decode(text)


@given(st.binary(max_size=40))
def test_no_bytes_do_harm(counts):
    try:
        found = Histogram.decode(text_of(counts))
    except ValueError:
        return
    assert Histogram.decode(found.encode()).buckets() == found.buckets()
