import pytest
from benchmarks.load import own

LINE = (
    '{"requests": 3, "seconds": 2.0, "errors": 1, "received": 25000000, "sent": 0, "opened": 4, '
    '"cipher": "TLS_AES_256_GCM_SHA384", "complaint": "answered HTTP/1.1 502 Bad Gateway"}'
)


def test_figures_are_read() -> None:
    report = own.parse(LINE, "closed --port 1")
    assert (report.requests, report.seconds, report.rate, report.errors) == (3, 2.0, 1.5, 1)
    assert report.extra["cipher"] == "TLS_AES_256_GCM_SHA384"
    assert report.complaint == "answered HTTP/1.1 502 Bad Gateway"


def test_large_bodies_are_counted_by_the_bytes_that_moved() -> None:
    assert own.parse(LINE, payload_bytes=5_000_000).requests == 5


def test_latencies_of_the_paced_generator_are_kept() -> None:
    line = LINE.replace('"cipher"', '"latency_us": {"p50": 10.5, "late max": 7}, "over_20ms": 2, "cipher"')
    report = own.parse(line)
    assert report.latency_us == {"p50": 10.5, "late max": 7.0}
    assert report.extra["over_20ms"] == 2


@pytest.mark.parametrize("line", ["", "ready\n", "{}", '{"requests": 1}', LINE[:40]])
def test_half_a_line_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="not the line of a generator"):
        own.parse(line)
