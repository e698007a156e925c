"""All tenants are down as it happened; through Tidegate none but the one."""

import pytest
from tests.lab.playing import short

from tidegate.lab.scenarios.surge import Surge


@pytest.mark.e2e
@pytest.mark.slow
def test_the_incident_is_there_as_it_happened_and_not_through_tidegate():
    short(Surge())
