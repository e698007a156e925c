"""Permits: a limit is never exceeded, what the dead held comes back, rows of keys come and go."""

import os
import random

import pytest

from tidegate.memory.inflight import CELL_MAX, CLASSES, Inflight, PermitTable, inflight_size
from tidegate.memory.region import Region

pytestmark = pytest.mark.sanitize

SLOTS = 10
LIMIT = 0x9E3779B97F4A7C15
BLOCKS = 256


@pytest.fixture
def region():
    made = Region.create(SLOTS, 1, 1, inflight_blocks=BLOCKS)
    yield made
    made.close()


@pytest.fixture
def table(region):
    """The same blocks as each worker sees them."""

    def table(slot, first_block=0, blocks=1):
        return PermitTable(region.inflight(slot), first_block, blocks)

    return table


def key(number):
    """A fingerprint such as SipHash gives: all bits matter."""
    return random.Random(number).getrandbits(64)


def test_a_limit_holds_for_all_workers_together(region, table):
    one, other = table(0), table(9)
    rows = [(worker, worker.take(LIMIT, 5)) for worker in (one, other, one, one, other)]
    assert None not in [row for _, row in rows]
    assert one.take(LIMIT, 5) is None
    assert other.take(LIMIT, 5) is None
    assert one.counts(LIMIT) == (5, 0, 0, 0)
    worker, row = rows.pop()
    worker.give_back(row)
    assert one.take(LIMIT, 5) == row
    assert other.take(LIMIT, 4) is None, "a limit that sank is over"
    assert other.take(LIMIT, 6) == row, "and one that rose has room"


def test_a_limit_of_nothing_admits_nobody_and_leaves_no_row(region, table):
    assert table(0).take(LIMIT, 0) is None
    assert region.inflight().rows_in_use() == 0


def test_classes_are_counted_apart_and_limited_together(table):
    one = table(3)
    for class_ in range(CLASSES):
        for _ in range(class_ + 1):
            row = one.take(LIMIT, 10, class_)
            assert row is not None
    assert one.counts(LIMIT) == (1, 2, 3, 4)
    assert one.take(LIMIT, 10, 2) is None
    one.give_back(row, 0)
    assert one.counts(LIMIT) == (0, 2, 3, 4)


def test_a_count_never_falls_below_zero(table):
    one, other = table(0), table(1)
    row = one.take(LIMIT, 3, 1)
    other.give_back(row, 1)
    one.give_back(row, 2)
    one.give_back(row, 0)
    assert one.counts(LIMIT) == (0, 1, 0, 0)
    one.give_back(row, 1)
    assert one.counts(LIMIT) == (0, 0, 0, 0)


def test_one_worker_holds_as_many_of_a_class_as_its_cell_can_count(table):
    one = table(0)
    rows = {one.take(LIMIT, 10**6) for _ in range(CELL_MAX)}
    assert len(rows) == 1
    assert one.take(LIMIT, 10**6) is None
    assert one.counts(LIMIT) == (CELL_MAX, 0, 0, 0)
    assert one.take(LIMIT, 10**6, 1) is not None
    assert table(1).take(LIMIT, 10**6) is not None, "another worker has a cell of its own"
    assert one.counts(LIMIT) == (CELL_MAX + 1, 1, 0, 0)


def test_what_the_dead_held_is_free_at_once(region, table):
    dead, alive = table(4, blocks=16), table(5, blocks=16)
    for _ in range(200):
        assert dead.take(key(1), 200, 2) is not None
    shared = [key(n) for n in range(20, 40)]
    for one in shared:
        assert dead.take(one, 2) is not None
        assert alive.take(one, 2, 3) is not None
    assert alive.take(key(1), 200) is None
    assert region.inflight().forget(4) == 220
    assert region.inflight().forget(4) == 0
    assert alive.counts(key(1)) == (0, 0, 0, 0)
    assert [alive.counts(one) for one in shared] == [(0, 0, 0, 1)] * 20
    assert region.inflight().rows_in_use() == 20, "its own row went with it, those of others stay"
    assert all(alive.take(key(1), 200) is not None for _ in range(200))


def test_rows_of_keys_are_made_on_demand_and_freed_at_zero(region, table):
    workers = [table(slot, 64, 64) for slot in range(SLOTS)]
    chance = random.Random(7)
    held, counted = [], {}
    for _ in range(20_000):
        if held and chance.random() < 0.52:
            worker, number, row, class_ = held.pop(chance.randrange(len(held)))
            worker.give_back(row, class_)
            counted[number] -= 1
            continue
        worker, number, class_ = chance.choice(workers), chance.randrange(150), chance.randrange(CLASSES)
        row = worker.take(key(number), 3, class_)
        assert (row is not None) == (counted.get(number, 0) < 3)
        if row is not None:
            held.append((worker, number, row, class_))
            counted[number] = counted.get(number, 0) + 1
    assert region.inflight().rows_in_use() == sum(count > 0 for count in counted.values())
    for number, count in counted.items():
        assert sum(workers[0].counts(key(number))) == count
    for worker, _, row, class_ in held:
        worker.give_back(row, class_)
    assert region.inflight().rows_in_use() == 0
    assert sum(worker.crowded for worker in workers) == 0


def test_permits_taken_in_turn_leave_nothing(region, table):
    one, other = table(0), table(1)
    keys = [key(1), key(2), key(3)]
    assert other.take(keys[1], 1) is not None
    assert one.cycle(keys, 1, 300) == 100
    assert one.cycle(keys, 2, 300) == 0
    assert region.inflight().rows_in_use() == 1


def test_a_key_without_a_row_is_refused_and_counted(region, table):
    one = table(0)
    rows = [one.take(key(number), 1) for number in range(8)]
    assert None not in rows
    assert one.take(key(8), 1) is None
    assert one.crowded == 1
    one.give_back(rows[3])
    assert one.take(key(8), 1) == rows[3]
    assert one.crowded == 1


def test_a_table_half_full_turns_nobody_away(region, table):
    one = table(0, blocks=BLOCKS)
    assert all(one.take(key(number), 1) is not None for number in range(BLOCKS * 4))
    assert one.crowded == 0
    assert region.inflight().rows_in_use() == BLOCKS * 4


@pytest.mark.slow
def test_a_million_keys_in_a_table_of_twice_as_many_rows_all_have_one_and_heal():
    made = Region.create(2, 1, 1, inflight_blocks=1 << 18)
    dead, alive = (PermitTable(made.inflight(slot), 0, 1 << 18) for slot in (0, 1))
    chance = random.Random(5)
    keys = [chance.getrandbits(64) for _ in range(1_000_000)]
    assert all(dead.take(one, 1) is not None for one in keys)
    assert dead.crowded == 0
    assert alive.cycle(keys[:1000], 1, 1000) == 1000
    assert made.inflight().forget(0) == 1_000_000
    assert made.inflight().rows_in_use() == 0
    assert alive.cycle(keys, 1, 1_000_000) == 0
    made.close()


def test_blocks_given_to_another_limit_are_used_by_both_until_the_first_has_ended(region, table):
    old, new = table(0, 0, 4), table(1, 0, 2)
    held = [(old, old.take(key(number), 1)) for number in range(9)]
    assert new.take(LIMIT, 1) is not None
    assert new.take(LIMIT, 1) is None
    for worker, row in held:
        worker.give_back(row)
    assert region.inflight().rows_in_use() == 1
    assert new.counts(LIMIT) == (1, 0, 0, 0)


def test_a_section_tells_how_many_blocks_are_in_it():
    for blocks in (1, 63, 64, 65, 5000):
        made = Region.create(3, 1, 1, inflight_blocks=blocks)
        assert made.inflight().blocks == blocks
        assert made.mapping.layout.sections["inflight"].size == inflight_size(blocks, 3)
        made.close()


def test_memory_is_taken_where_rows_are_used(region):
    large = Region.create(16, 1, 1, inflight_blocks=1 << 17)
    table = PermitTable(large.inflight(0), 0, 1 << 17)
    before = os.fstat(large.fd).st_blocks
    row = table.take(key(3), 1)
    assert row is not None
    large.inflight().forget(0)
    assert large.inflight().rows_in_use() == 0
    taken = (os.fstat(large.fd).st_blocks - before) * 512
    assert 0 < taken < 1 << 20, f"one row and one death took {taken} bytes of {large.mapping.size}"
    large.close()


def test_what_does_not_exist_is_refused(region, table):
    with pytest.raises(IndexError, match="no slot 10"):
        region.inflight(SLOTS)
    with pytest.raises(IndexError, match="no slot 10"):
        region.inflight().forget(SLOTS)
    with pytest.raises(IndexError, match="256 blocks"):
        table(0, 255, 2)
    for blocks in (0, 3):
        with pytest.raises(ValueError, match="power of two"):
            table(0, 0, blocks)
    with pytest.raises(IndexError, match="no class 4"):
        table(0).take(LIMIT, 1, CLASSES)
    with pytest.raises(IndexError, match="row 8 is not in this table"):
        table(0).give_back(8)
    with pytest.raises(ValueError, match="slot of its own"):
        PermitTable(Inflight(region.mapping), 0).take(LIMIT, 1)
    empty = Region.create(1, 1, 1)
    with pytest.raises(LookupError, match="no room for 'inflight'"):
        empty.inflight()
    empty.close()


def test_rows_that_count_are_those_that_somebody_is_in(region):
    table = PermitTable(region.inflight(0), 0)
    row = table.take(1 << 20, 5)
    other = table.take(2 << 20, 5)
    assert region.inflight().rows_that_count() == region.inflight().rows_in_use() == 2
    table.give_back(row)
    assert region.inflight().rows_that_count() == 1
    table.give_back(other)
    assert region.inflight().rows_that_count() == 0
