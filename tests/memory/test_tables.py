"""Tables of cells: how large, where, and on which machines."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.memory.quotas import QuotaTable
from tidegate.memory.rates import RateTable
from tidegate.memory.region import Region
from tidegate.memory.tables import TABLE_ALIGNMENT, bytes_for, check_machine, sets_for

SIZE = 1 << 16


@pytest.fixture
def region():
    made = Region.create(1, 1, 1, rates=SIZE, quotas=SIZE)
    yield made
    made.close()


@given(st.integers(0, 1 << 30))
def test_a_table_has_room_for_its_keys_at_twenty_bytes_each(keys):
    cells = sets_for(keys) * 8
    assert cells * 16 >= keys * 20
    assert cells * 16 < keys * 20 + 128 or sets_for(keys) == 2


@given(st.integers(2, 1 << 31))
def test_tables_can_stand_behind_each_other(sets):
    assert bytes_for(sets) == (sets + 1) * 128
    assert bytes_for(sets) % TABLE_ALIGNMENT == 0


@pytest.mark.parametrize("table", [RateTable, QuotaTable])
@pytest.mark.parametrize(
    ("offset", "sets"),
    [(0, 0), (0, 1), (0, SIZE // 128), (SIZE, 2), (SIZE - 256, 2), (64, 4), (2**63, 2), (0, 2**32 - 1)],
)
def test_a_table_that_is_not_inside_its_section_is_refused(region, table, offset, sets):
    with pytest.raises(ValueError, match=f"no table of {sets} sets at {offset} "):
        table(region.mapping, offset, sets)


@pytest.mark.parametrize("table", [RateTable, QuotaTable])
def test_the_last_place_of_a_section_is_one(region, table):
    assert "2 sets" in repr(table(region.mapping, SIZE - bytes_for(2), 2))


def test_a_region_without_room_for_limits_has_no_tables():
    region = Region.create(1, 1, 1)
    with pytest.raises(LookupError, match="no room for 'rates'"):
        RateTable(region.mapping, 0, 2)
    region.close()


def test_this_machine_can_swap_sixteen_bytes():
    check_machine()
