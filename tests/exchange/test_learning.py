"""What upstreams say of waiting; what exchanges teach is in tests/plane/test_adaptive.py, with real ones."""

import pytest

from tidegate.exchange.learning import read_waiting

pytestmark = pytest.mark.sanitize

MS = 1_000_000


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"0", 0),
        (b"12", 12 * MS),
        (b"12.5", 12 * MS + 500_000),
        (b"0.0000019", 1),
        (b"3600000", 3_600_000 * MS),
        (b"3600001", None),
        (b"99999999999999999999999999", None),
        (b"", None),
        (b".5", None),
        (b"-1", None),
        (b"1e3", None),
        (b"12ms", None),
        (b"12 ", None),
        (b"\xff", None),
    ],
)
def test_milliseconds_are_a_decimal_number(value: bytes, expected: int | None) -> None:
    assert read_waiting(b"X-Queue-Time", value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"queue;dur=3", 3 * MS),
        (b"app;dur=47.2, Queue ; desc=x; Dur=3.25 , db;dur=1", 3 * MS + 250_000),
        (b'db;dur=5,queue;desc="a";dur=7', 7 * MS),
        (b"queue", None),
        (b"queue;dur=", None),
        (b"queue;dur=x", None),
        (b"app;dur=5", None),
        (b"queue2;dur=5", None),
        (b"", None),
        (b",;,;=", None),
        (b"dur=5;queue", None),
    ],
)
def test_server_timing_has_a_metric_for_it(value: bytes, expected: int | None) -> None:
    assert read_waiting(b"Server-Timing", value) == expected
