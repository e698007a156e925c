"""Every incident tells what somebody who was not there has to know."""

import pytest

from tidegate.lab.figure import judge
from tidegate.lab.scenarios import SCENARIOS


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=str)
def test_it_is_told_and_can_be_judged(scenario):
    assert SCENARIOS[scenario.name] is scenario
    for text in (scenario.title, scenario.incident, scenario.miniature, scenario.remedy):
        assert text
        assert "\n" not in text
    assert len(scenario.incident.split()) > 30
    known = {figure.key: 0.0 for figure in scenario.figures}
    assert len(known) == len(scenario.figures)
    for demands in (scenario.shows, scenario.promises):
        assert demands
        assert len(judge(scenario.figures, known, demands)) == len(demands)


def test_no_half_can_pass_for_the_other():
    """What shows an incident breaks a promise: otherwise a half in which nothing happens would do for both."""
    for scenario in SCENARIOS.values():
        promised = {demand.key: demand for demand in scenario.promises}
        opposed = [one for one in scenario.shows if one.key in promised and not promised[one.key].is_met_by(one.bound)]
        assert opposed, scenario.name
