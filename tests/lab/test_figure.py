"""Figures are judged by their demands, and told as people read them."""

import pytest

from tidegate.lab.figure import Figure, at_least, at_most, judge, told

WRONG, TOOK = Figure("wrong", "wrong answers"), Figure("took", "it took", "s")


def test_a_bound_is_met_up_to_itself():
    assert at_most("wrong", 2).is_met_by(2)
    assert not at_most("wrong", 2).is_met_by(2.1)
    assert at_least("wrong", 2).is_met_by(2)
    assert not at_least("wrong", 2).is_met_by(1.9)


def test_a_verdict_tells_figure_and_demand():
    (one, two) = judge([WRONG, TOOK], {"wrong": 3, "took": 0.1234}, [at_most("wrong", 0), at_most("took", 1)])
    assert (one.is_met, str(one)) == (False, "wrong answers: 3 (at most 0)")
    assert (two.is_met, str(two)) == (True, "it took: 0.123 s (at most 1)")


def test_what_was_not_measured_meets_nothing():
    (one,) = judge([WRONG], {}, [at_most("wrong", 5)])
    assert not one.is_met
    assert str(one) == "wrong answers: not measured (at most 5)"


def test_a_demand_of_what_is_no_figure_is_a_mistake_of_the_scenario():
    with pytest.raises(KeyError):
        judge([WRONG], {"took": 1}, [at_most("took", 1)])


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (28232, "28,232"), (1.5, "1.5"), (12.34, "12.3"), (0.00123, "0.00123"), (1234.5, "1,234")],
)
def test_numbers_are_told_as_people_read_them(value, text):
    assert told(value) == text
    assert told(value, "ms") == f"{text} ms"
