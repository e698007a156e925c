from benchmarks import table
from benchmarks.goals import at_least, at_most


def test_columns_are_aligned() -> None:
    rows = [{"contender": "nginx", "requests/s": "80,112"}, {"contender": "a-longer-name", "requests/s": "9"}]
    assert table.render(rows).splitlines() == [
        "contender      requests/s",
        "-------------  ----------",
        "nginx              80,112",
        "a-longer-name           9",
    ]


def test_a_missing_cell_is_empty_and_no_rows_say_so() -> None:
    assert table.render([{"a": "1", "b": "2"}, {"a": "3"}]).splitlines()[-1] == "3"
    assert table.render([]) == "(nothing measured)"


def test_numbers_read_well() -> None:
    assert table.count(1234567.8) == "1,234,568"
    assert (table.ratio(1.234), table.ratio(None)) == ("1.23", "-")
    assert (table.percent(0.994), table.spread(0.0123)) == ("99%", "±1.2%")
    assert table.megabytes(40_500_000) == "40.5 MB"


def test_verdicts_say_what_was_demanded_and_what_came() -> None:
    assert str(at_least("rate of nginx", 1.2, 1.05)) == "         met  rate of nginx at least 1.05: 1.2"
    assert str(at_most("CPU", 0.95, 0.9, "why")) == "      MISSED  CPU at most 0.9: 0.95 (why)"
    assert str(at_most("CPU", None, 0.9)) == "not measured  CPU at most 0.9"
