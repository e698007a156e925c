"""What a fleet lends a machine: of use for a while, and only by the answer to the last question."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tidegate.memory.grants import FORGOTTEN_MS, HELD_MS, GrantTable
from tidegate.memory.region import Region
from tidegate.memory.tables import bytes_for

SETS = 8
KEY = 0x1234567890ABCDEF
NOW = 5_000_000
TURNS = 1 << 24


def make_table() -> GrantTable:
    region = Region.create(1, quotas=bytes_for(SETS))
    try:
        return GrantTable(region.mapping, 0, SETS)
    finally:
        region.close()


def lend(table: GrantTable, now_ms: int, permits: int) -> None:
    assert table.answer(KEY, now_ms, table.begin(KEY, now_ms, permits), permits)


def test_what_is_lent_is_there_until_the_store_may_lend_it_to_others() -> None:
    table = make_table()
    assert table.lent(KEY, NOW) == (0, NOW)
    lend(table, NOW, 7)
    assert table.lent(KEY, NOW + HELD_MS - 1) == (7, NOW + HELD_MS)
    assert table.lent(KEY, NOW + HELD_MS) == (0, NOW + HELD_MS)
    assert HELD_MS < FORGOTTEN_MS


def test_a_question_lowers_what_there_is_to_what_it_asks_for_and_never_raises_it() -> None:
    table = make_table()
    lend(table, NOW, 7)
    table.begin(KEY, NOW + 1000, 3)
    assert table.lent(KEY, NOW + 1000) == (3, NOW + HELD_MS)
    table.begin(KEY, NOW + 2000, 9)
    assert table.lent(KEY, NOW + 2000) == (3, NOW + HELD_MS)


def test_answer_to_an_earlier_question_changes_nothing() -> None:
    table = make_table()
    early = table.begin(KEY, NOW, 7)
    late = table.begin(KEY, NOW, 2)
    assert not table.answer(KEY, NOW, early, 7)
    assert table.lent(KEY, NOW)[0] == 0
    assert table.answer(KEY, NOW, late, 2)
    assert not table.answer(KEY, NOW, early, 7)
    assert table.lent(KEY, NOW)[0] == 2


def test_answer_that_comes_when_its_time_is_over_grants_nothing() -> None:
    table = make_table()
    turn = table.begin(KEY, NOW, 7)
    table.answer(KEY, NOW, turn, 7)
    assert table.maximum(KEY, NOW + HELD_MS, 10) == 0


@given(st.lists(st.integers(0, 3_600_000), min_size=2, max_size=20), st.integers(0, TURNS))
def test_turns_go_on_and_come_round(steps: list[int], begin: int) -> None:
    table = make_table()
    now, turns = NOW + begin, []
    for step in steps:
        now += step
        turns.append(table.begin(KEY, now, 1))
    for earlier, later in pairwise(turns):
        assert 0 < (later - earlier) % TURNS < TURNS // 2


def test_machine_may_have_what_is_lent_or_what_it_allows_itself_whichever_is_more() -> None:
    table = make_table()
    assert table.maximum(KEY, NOW, 10) == 0
    lend(table, NOW, 4)
    assert table.maximum(KEY, NOW, 10) == 4
    assert table.maximum(KEY, NOW, 3) == 3
    table.allow(KEY, NOW, NOW + 1000, 6)
    assert (table.maximum(KEY, NOW, 10), table.own(KEY, NOW)) == (6, 6)
    assert table.maximum(KEY, NOW + 1000, 10) == 4
    table.allow(KEY, NOW, NOW, 0)
    assert table.maximum(KEY, NOW, 10) == 4


def test_who_asks_is_known_until_it_is_done() -> None:
    table = make_table()
    assert table.asked(KEY, NOW) == 0
    assert table.ask(KEY, NOW, NOW + 500)
    assert table.asked(KEY, NOW) == NOW + 500
    table.close(KEY, NOW, NOW + 100)
    assert (table.asked(KEY, NOW), table.closed(KEY, NOW)) == (0, NOW + 100)
    assert not table.ask(KEY, NOW, NOW + 500)
    assert table.ask(KEY, NOW, NOW + 500, 0)  # who wants nothing new


def test_keys_have_grants_of_their_own_and_no_room_grants_nothing() -> None:
    table = make_table()
    lend(table, NOW, 4)
    assert table.maximum(KEY ^ 0xFFFF_0000_0000_0000, NOW, 10) == 0
