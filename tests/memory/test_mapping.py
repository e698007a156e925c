"""The region mapped into a process: words of its sections."""

import pytest

from tidegate.memory.mapping import Mapping
from tidegate.memory.region import Region

pytestmark = pytest.mark.sanitize


@pytest.fixture
def region():
    made = Region.create(slots=2)
    yield made
    made.close()


def test_two_mappings_share_every_word(region):
    other = Mapping(region.fd)
    for slot in range(2):
        region.mapping.store_word("marks", slot, 3, 2**64 - 1 - slot)
        assert other.load_word("marks", slot, 3) == 2**64 - 1 - slot
    other.store_snapshot(9)
    assert region.mapping.load_snapshot() == 9


def test_word_slot_or_section_that_does_not_exist_is_refused(region):
    with pytest.raises(IndexError, match="no word"):
        region.mapping.load_word("marks", 0, 1 << 20)
    with pytest.raises(IndexError, match="2 slots"):
        region.mapping.store_word("marks", 2, 0, 1)
    with pytest.raises(LookupError, match="no section 'moods'"):
        region.mapping.load_word("moods", 0, 0)
    with pytest.raises(LookupError, match="no room for 'rates'"):
        region.mapping.load_word("rates", 0, 0)


def test_closed_descriptor_is_an_error():
    with pytest.raises(OSError, match="Bad file descriptor"):
        Mapping(987654)


def test_it_shows_what_is_in_it(region):
    shown = repr(region.mapping)
    assert "2 slots, marks, meters, series, hitters, turns, log, health, bells, rates, quotas, inflight" in shown
