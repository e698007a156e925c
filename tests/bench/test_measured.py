"""What was measured: taken from a load, and parts added up."""

import msgspec
import pytest
from tests.bench.driving import Drive, evenly
from tests.bench.outcomes import MS, failing, measured, text
from tests.plane.serving import Serving, answering

from tidegate.bench.histogram import Histogram
from tidegate.bench.measured import (
    ErrorCounts,
    Measured,
    SecondCounts,
    StatusCounts,
    counts_of,
    joined,
    measured_of,
    merge,
)


def test_all_of_a_load_is_in_it():
    with Serving(answering()) as server:
        drive = Drive(server.address, schedule=evenly(100, 0.2), clients=2)
    told = [counts_of(second) for second in drive.tally.seconds]
    found = measured_of(drive.load, told, seconds=drive.seconds, connections=2, cpu_s=0.5, is_open_loop=True)
    assert (found.due, found.sent, found.processes, found.connections) == (20, drive.tally.sent, 1, 2)
    assert Histogram.decode(found.statuses["200"].latency).buckets() == drive.tally.outcomes[0].latency.buckets()
    assert sum(second.due for second in found.by_second) == 20
    assert msgspec.json.decode(msgspec.json.encode(found), type=Measured) == found


def test_parts_add_up():
    one = measured(statuses={"200": StatusCounts(text([MS] * 3), text([5])), "404": StatusCounts(text([7]), text([7]))})
    other = failing()
    whole = merge([one, other])
    assert (whole.due, whole.sent, whole.processes, whole.connections, whole.cpu_s) == (200, 200, 2, 8, 0.2)
    assert list(whole.statuses) == ["200", "404", "429", "503"]
    assert Histogram.decode(whole.statuses["200"].latency).total == 53
    assert whole.errors == other.errors
    assert whole.by_second == [
        SecondCounts(0, 200, 200, 0, {"2xx": 200}, joined([one.by_second[0].latency] * 2, digits=2).encode())
    ]
    assert whole.seconds == 1.0


def test_order_of_parts_does_not_matter_and_one_part_is_the_whole():
    parts = [measured(), failing(), measured(seconds=2.0, is_stopped=True, by_second=[])]
    forwards, backwards = merge(parts), merge(parts[::-1])
    assert forwards == backwards
    assert (forwards.seconds, forwards.is_stopped) == (2.0, True)
    assert merge(parts[:1]) == parts[0]


def test_errors_of_a_kind_are_added_with_the_words_of_the_first():
    whole = merge([failing(2), failing(3)])
    assert whole.errors["connection_refused"] == ErrorCounts(5, failing().errors["connection_refused"].example)


def test_open_and_closed_loops_are_no_parts_of_one_load():
    with pytest.raises(ValueError, match="all open loops, or all closed"):
        merge([measured(), measured(is_open_loop=False)])
