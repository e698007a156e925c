"""All fetch one record as it happened; through Tidegate one does, and no heartbeat waits."""

import pytest
from tests.lab.playing import short

from tidegate.lab.scenarios.stampede import Recent, Stampede


@pytest.mark.e2e
@pytest.mark.slow
def test_the_incident_is_there_as_it_happened_and_not_through_tidegate():
    short(Stampede())


def test_the_cache_of_the_incident_counts_entries_not_bytes():
    recent = Recent(2)
    recent.put("shared", b"p" * 1000)
    recent.put("a", b"a")
    assert recent.get("shared") == b"p" * 1000
    recent.put("b", b"b")
    assert recent.get("a") is None
    recent.put("c", b"c")
    assert recent.get("shared") is None
