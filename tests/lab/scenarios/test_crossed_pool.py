"""Answers of the wrong service as it happened; through Tidegate none."""

import pytest
from tests.lab.playing import short

from tidegate.lab.scenarios.crossed_pool import CrossedPool, swapped


@pytest.mark.e2e
@pytest.mark.slow
def test_the_incident_is_there_as_it_happened_and_not_through_tidegate():
    short(CrossedPool())


def test_services_change_places():
    assert swapped({"orders": "blue", "payments": "green"}) == {"orders": "green", "payments": "blue"}
