"""Public requests wait behind private ones as it happened; through Tidegate none is lost."""

import pytest
from tests.lab.playing import short

from tidegate.lab.scenarios.slow_auth import SlowAuth


@pytest.mark.e2e
@pytest.mark.slow
def test_the_incident_is_there_as_it_happened_and_not_through_tidegate():
    short(SlowAuth())
