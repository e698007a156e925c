"""What came of a load: by status, by kind of error, by second."""

import pytest

from tidegate.bench.tally import Tally


def test_answers_are_apart_by_status():
    tally = Tally()
    for latency_ns in (1000, 2000, 3000):
        tally.add_answer(200, latency_ns, 900)
    tally.add_answer(503, 10, 10)
    assert [(one.status, one.latency.total, one.service.most) for one in tally.outcomes] == [
        (200, 3, 900),
        (503, 1, 10),
    ]
    assert tally.outcomes[0].latency.quantile(0.5) == 2000
    assert "3 x 200, 1 x 503" in repr(tally)


@pytest.mark.parametrize("status", [0, 99, 1000, -1])
def test_a_status_that_is_none_is_refused(status):
    with pytest.raises(ValueError, match="a status is 100 to 999"):
        Tally().add_answer(status, 1, 1)


def test_errors_are_counted_by_kind_with_the_words_of_the_first():
    tally = Tally()
    tally.add_failure("connection_refused", "first")
    tally.add_failure("connection_refused", "second")
    tally.add_failure("connection_timeout", "third")
    assert tally.errors == {"connection_refused": (2, "first"), "connection_timeout": (1, "third")}


def test_seconds_without_anything_in_them_are_not_kept():
    told = []
    tally = Tally(on_second=told.append)
    for at in range(5):
        tally.begin_second(at)
    assert tally.seconds == told == []
