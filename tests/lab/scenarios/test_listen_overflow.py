"""The kernel turns a burst away as it happened; through Tidegate all of it is served."""

import pytest
from tests.lab.playing import short

from tidegate.lab.scenarios.listen_overflow import ListenOverflow


@pytest.mark.e2e
@pytest.mark.slow
def test_the_incident_is_there_as_it_happened_and_not_through_tidegate():
    short(ListenOverflow())
