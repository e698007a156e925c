"""Cells of a quota as bytes, and back into a region that is made later."""

from mmap import mmap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.memory.quota_image import RECORD_SIZE, changed, image_size, restore
from tidegate.memory.quotas import QuotaTable
from tidegate.memory.region import Region
from tidegate.memory.tables import bytes_for

pytestmark = pytest.mark.sanitize

SETS = 64
CELLS = SETS * 8
KEY = 0xABCDEF0123456789


def table(sets: int = SETS) -> QuotaTable:
    region = Region.create(1, 1, 1, quotas=bytes_for(sets))
    made = QuotaTable(region.mapping, 0, sets)
    region.close()
    return made


def image(sets: int = SETS) -> mmap:
    return mmap(-1, image_size(sets))


def test_only_what_has_changed_is_told():
    quota, seen = table(), image()
    quota.count(KEY, 100, 1100, 1, 10)
    assert len(changed(quota, seen, 0, CELLS, 100)) == RECORD_SIZE
    assert changed(quota, seen, 0, CELLS, 100) == b""
    quota.count(KEY, 101, 1100, 1, 10)
    quota.count(KEY * 3 % 2**64, 101, 1100, 1, 10)
    assert len(changed(quota, seen, 0, CELLS, 101)) == 2 * RECORD_SIZE
    quota.give_back(KEY, 1100, 1)
    assert len(changed(quota, seen, 0, CELLS, 102)) == RECORD_SIZE


def test_a_window_that_is_over_is_not_told():
    quota, seen = table(), image()
    quota.count(KEY, 100, 1100, 1, 10)
    assert changed(quota, seen, 0, CELLS, 1100) == b""
    quota.count(KEY, 1200, 2200, 1, 10)
    assert len(changed(quota, seen, 0, CELLS, 1200)) == RECORD_SIZE


def test_pieces_of_a_table_are_the_whole():
    quota = table()
    for number in range(1, 200):
        quota.count(number * 0x9E3779B97F4A7C15 % 2**64, 0, 1000, number, 1000)
    seen, pieces = image(), b""
    for first in range(0, CELLS, 100):
        pieces += changed(quota, seen, first, min(100, CELLS - first), 0)
    assert pieces == changed(quota, image(), 0, CELLS, 0)
    assert changed(quota, seen, 0, CELLS, 0) == b""


@given(
    st.dictionaries(st.integers(1 << 16, 2**64 - 1), st.tuples(st.integers(1, 50), st.integers(1, 9000)), max_size=60),
    st.integers(-4000, 4000),
)
def test_what_is_put_back_is_what_was_there_with_its_windows_moved(keys, shift_ms):
    """Counts and ends of windows, for a clock that is ``shift_ms`` further."""
    was, becomes, now_ms, there_ms = table(), table(), 10_000, 10_000 + shift_ms
    for key, (count, left_ms) in keys.items():
        was.count(key, now_ms, now_ms + left_ms, count, 10**6)
    expected = {key: was.counted(key, now_ms) for key in keys}
    restore(becomes, changed(was, image(), 0, CELLS, now_ms), shift_ms, there_ms, 10**6)
    for key, (count, until_ms) in expected.items():
        assert becomes.counted(key, there_ms) == (count, until_ms + shift_ms if count else 0)


def test_later_records_take_the_place_of_earlier_ones():
    quota, seen = table(), image()
    quota.count(KEY, 100, 1100, 1, 10)
    first = changed(quota, seen, 0, CELLS, 100)
    quota.count(KEY, 101, 1100, 4, 10)
    second = changed(quota, seen, 0, CELLS, 101)
    again = table()
    restore(again, first + second, 0, 102, 10_000)
    assert again.counted(KEY, 102) == (5, 1100)
    # And one whose window is over by now clears the place.
    restore(again, first, 0, 1100, 10_000)
    assert again.counted(KEY, 102) == (0, 0)


def test_no_window_ends_later_than_it_can():
    """The wall clock was set back by a year meanwhile."""
    quota, again = table(), table()
    quota.count(KEY, 100, 1100, 7, 10)
    restore(again, changed(quota, image(), 0, CELLS, 100), 365 * 86_400_000, 100, 2000)
    assert again.counted(KEY, 100) == (7, 2100)


def test_what_is_no_record_of_the_table_is_refused():
    quota = table()
    quota.count(KEY, 100, 1100, 1, 10)
    records = changed(quota, image(), 0, CELLS, 100)
    with pytest.raises(ValueError, match="no records"):
        restore(table(), records + b"x", 0, 100, 1000)
    with pytest.raises(ValueError, match="there is no cell"):
        restore(table(), (CELLS).to_bytes(8, "little") + records[8:], 0, 100, 1000)
    for first, count, sets in [(CELLS + 1, 0, SETS), (0, CELLS + 1, SETS), (0, 1, SETS * 2)]:
        with pytest.raises(ValueError, match="another table's image"):
            changed(quota, image(sets), first, count, 100)
