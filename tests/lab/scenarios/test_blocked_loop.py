"""Health checks starve as it happened; through Tidegate they do not, and who blocks is named."""

import pytest
from tests.lab.playing import short

from tidegate.lab.scenarios.blocked_loop import BlockedLoop


@pytest.mark.e2e
@pytest.mark.slow
def test_the_incident_is_there_as_it_happened_and_not_through_tidegate():
    short(BlockedLoop())
