"""Counters out of step as it happened; through Tidegate none."""

import pytest
from tests.lab.playing import short

from tidegate.lab.pieces.client import Told
from tidegate.lab.scenarios.limiter import Limiter, remaining


@pytest.mark.e2e
@pytest.mark.slow
def test_the_incident_is_there_as_it_happened_and_not_through_tidegate():
    short(Limiter())


def test_what_is_left_of_a_contract_is_read_off_an_answer():
    assert remaining(Told(0, 0, 200, b"", {"ratelimit": '"contract";r=93;t=3600'})) == 93
