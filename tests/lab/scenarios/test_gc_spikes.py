"""The collector holds the gateway as it happened; through Tidegate it does not run."""

import pytest
from tests.lab.playing import short

from tidegate.lab.scenarios.gc_spikes import GcSpikes


@pytest.mark.e2e
@pytest.mark.slow
def test_the_incident_is_there_as_it_happened_and_not_through_tidegate():
    short(GcSpikes())
