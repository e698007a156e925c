"""How costs are written."""

import pytest

from tidegate.config.limit_cost import Cost, CostSource, CostUnit, parse_cost, parse_cost_unit


@pytest.mark.parametrize(
    ("written", "source"),
    [
        (1, CostSource("constant", 1)),
        (1_000_000, CostSource("constant", 1_000_000)),
        ("header:X-Cost", CostSource("header", 1, "X-Cost")),
        ("upstream.seconds", CostSource("upstream.seconds")),
        ("response.bytes", CostSource("response.bytes")),
    ],
)
def test_cost_is_a_number_or_where_it_is_found(written: int | str, source: CostSource) -> None:
    assert parse_cost(Cost().read(written)) == source


@pytest.mark.parametrize("written", [0, -1, 1_000_001, 1.5, True, None, "", "5", "header:", "header:a b", "seconds"])
def test_anything_else_is_refused_with_what_was_expected(written: object) -> None:
    with pytest.raises(ValueError, match=r'expected a whole number from 1 to 1000000, "header:NAME"'):
        Cost().read(written)


@pytest.mark.parametrize("written", ["", "5", "0s", "0B", "1 s", "soon", 5, None])
def test_a_unit_is_some_time_or_some_bytes(written: object) -> None:
    with pytest.raises(ValueError, match="expected a duration"):
        CostUnit().read(written)


def test_a_unit_is_read_as_what_is_measured() -> None:
    assert parse_cost_unit(CostUnit().read("100ms"), "upstream.seconds") == 0.1
    assert parse_cost_unit(CostUnit().read("1KiB"), "response.bytes") == 1024
    with pytest.raises(ValueError, match="a size is"):
        parse_cost_unit("100ms", "response.bytes")


def test_both_are_shown_as_they_are_written() -> None:
    assert [Cost().show(5), Cost().show("header:X-Cost"), CostUnit().show("1KiB")] == ["5", '"header:X-Cost"', '"1KiB"']
