"""What came of loads that nobody sent."""

from tidegate.bench.histogram import Histogram
from tidegate.bench.measured import ErrorCounts, Measured, SecondCounts, StatusCounts

MS = 1_000_000
ASKED = {
    "target": "http://a.test/",
    "schedule": "even arrivals, 100/s",
    "warm_up_s": 0.0,
    "is_fresh": False,
    "connections": 4,
    "processes": 1,
}


def text(values, digits=3):
    histogram = Histogram(digits)
    histogram.add_many(values)
    return histogram.encode()


def measured(**changes):
    """A hundred answers of 1 to 100 ms in a second, sent as they were due, unless something else is said."""
    values = [number * MS for number in range(1, 101)]
    usual = {
        "seconds": 1.0,
        "is_open_loop": True,
        "is_stopped": False,
        "processes": 1,
        "connections": 4,
        "cpu_s": 0.1,
        "due": 100,
        "sent": 100,
        "in_time": 100,
        "waited": 0,
        "unsent": 0,
        "unfinished": 0,
        "lost": 0,
        "bytes_in": 5000,
        "bytes_out": 3000,
        "statuses": {"200": StatusCounts(text(values), text(values[:1] * 100))},
        "errors": {},
        "late": text([1000] * 100),
        "connect": text([MS] * 4),
        "by_second": [SecondCounts(0, 100, 100, 0, {"2xx": 100}, text(values, digits=2))],
    }
    return Measured(**{**usual, **changes})


def failing(count=25):
    """Half of the answers are refusals that cost nothing, and some have none."""
    values = [number * MS for number in range(1, 51)]
    return measured(
        statuses={
            "200": StatusCounts(text(values), text(values)),
            "429": StatusCounts(text([1000] * 40), text([1000] * 40)),
            "503": StatusCounts(text([2000] * 10), text([2000] * 10)),
        },
        errors={"connection_refused": ErrorCounts(count, "Connection <refused>\x1b[31m")},
    )
