import pytest
from benchmarks.load import wrk

GOOD = """\
Running 1s test @ http://127.0.0.1:18000/small
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   199.04us   27.82us 668.00us   75.05%
    Req/Sec   164.97k     7.98k  174.24k    45.45%
  Latency Distribution
     50%  198.00us
     75%  209.00us
     90%    1.50ms
     99%    2.00s
  180307 requests in 1.10s, 50.73MB read
Requests/sec: 163906.96
Transfer/sec:     46.11MB
"""


def test_figures_are_read() -> None:
    report = wrk.parse(GOOD, "wrk -c64")
    assert report.requests == 180_307
    assert report.rate == pytest.approx(163_906.96)
    assert report.seconds == pytest.approx(1.10, abs=0.01)
    assert report.received_bytes == int(50.73 * 2**20)
    assert report.latency_us == {"p50": 198.0, "p75": 209.0, "p90": 1500.0, "p99": 2_000_000.0}
    assert report.errors == 0
    assert report.command == "wrk -c64"


def test_socket_errors_and_other_statuses_are_errors() -> None:
    trouble = GOOD.replace(
        "Requests/sec",
        "  Socket errors: connect 1, read 20, write 300, timeout 4\n  Non-2xx or 3xx responses: 5000\nRequests/sec",
    )
    report = wrk.parse(trouble)
    assert report.errors == 5325
    assert "Non-2xx" in report.complaint and "read 20" in report.complaint


def test_nothing_answered_is_no_division_by_zero() -> None:
    silent = "  0 requests in 1.00s, 0.00B read\nRequests/sec:      0.00\nTransfer/sec:       0.00B\n"
    report = wrk.parse(silent)
    assert (report.requests, report.rate) == (0, 0.0)


@pytest.mark.parametrize("text", ["", "unable to connect to 127.0.0.1:1 Connection refused\n", "Requests/sec: 12.0"])
def test_other_output_is_refused_with_its_words(text: str) -> None:
    with pytest.raises(ValueError, match="not the output of wrk"):
        wrk.parse(text)
