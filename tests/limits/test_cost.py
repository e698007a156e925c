"""What one request takes of a limit."""

import pytest

from tidegate.config.limits import Limit as Settings
from tidegate.limits.cost import Cost, CostMean

pytestmark = pytest.mark.sanitize

SECOND_NS = 1_000_000_000


def head(*fields: str) -> bytes:
    return "\r\n".join(["GET / HTTP/1.1", "Host: h", *fields, "", ""]).encode("latin-1")


def test_a_number_is_what_it_is() -> None:
    assert Cost(Settings(rate="1/s", cost=5)).of(head("X-Cost: 9"), 100) == 5


@pytest.mark.parametrize(
    ("fields", "cost"),
    [
        ([], 1),
        (["X-Cost: 1"], 1),
        (["x-cost: 20"], 20),
        (["X-Cost: 0020"], 20),
        (["X-Cost: 21"], 20),
        (["X-Cost: 99999999999999999999999"], 20),
        (["X-Cost: 0"], 20),
        (["X-Cost: -3"], 20),
        (["X-Cost: 1.5"], 20),
        (["X-Cost: 1e1"], 20),
        (["X-Cost: "], 20),
        (["X-Cost: ten"], 20),
        (["X-Cost: 2", "X-Cost: 3"], 20),
    ],
)
def test_a_field_says_it_and_one_that_cannot_be_believed_says_the_most(fields: list[str], cost: float) -> None:
    told = Cost(Settings(rate="1/s", burst=99, cost="header:X-Cost", cost_max=20))
    assert told.of(head(*fields), 100) == cost


def test_without_a_most_a_field_may_say_as_much_as_the_limit_holds() -> None:
    told = Cost(Settings(rate="1/s", burst=99, cost="header:X-Cost"))
    assert [told.of(head(f"X-Cost: {cost}"), 100) for cost in (99, 100, 101)] == [99, 100, 100]


def test_what_is_measured_is_the_mean_beforehand_and_never_more_than_the_limit_holds() -> None:
    measured = Cost(Settings(rate="10/s", burst=4, cost="upstream.seconds"))
    mean = CostMean()
    assert [measured.of(head(), holds, mean) for holds in (5, 100)] == [0.625, 1]
    assert mean.learned(0.5) == 0.5
    assert measured.of(head(), 5, mean) == 0.5
    mean.learned(1000.5)
    assert measured.of(head(), 5, mean) == 5


def test_mean_moves_by_an_eighth() -> None:
    mean = CostMean()
    assert [mean.learned(taken) for taken in (8, 16, 0)] == [8, 9, 7.875]


@pytest.mark.parametrize(
    ("cost", "unit", "settled"),
    [
        ("upstream.seconds", None, 2.5),
        ("upstream.seconds", "100ms", 25),
        ("response.bytes", None, 4096),
        ("response.bytes", "1KiB", 4),
    ],
)
def test_what_is_measured_is_counted_in_its_unit(cost: str, unit: str | None, settled: float) -> None:
    measured = Cost(Settings(rate="1/s", cost=cost, cost_unit=unit))
    assert measured.settled(5 * SECOND_NS // 2, 4096) == pytest.approx(settled)
