"""What a machine has borrowed: used once, in its time, by whichever worker comes first."""

from __future__ import annotations

import multiprocessing
import os
from multiprocessing.synchronize import Barrier

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.memory.leases import EPOCH_MS, LEASE_MS, LeaseTable
from tidegate.memory.region import Region
from tidegate.memory.tables import bytes_for

SETS = 8
KEY = 0x1234567890ABCDEF
NOW = 1000 * EPOCH_MS  # the beginning of an epoch
EPOCH = NOW // EPOCH_MS


def make_table() -> LeaseTable:
    region = Region.create(1, quotas=bytes_for(SETS))
    try:
        return LeaseTable(region.mapping, 0, SETS)
    finally:
        region.close()


def test_credits_are_taken_once_and_then_there_are_none() -> None:
    table = make_table()
    table.put(KEY, NOW, EPOCH, 3)
    assert [table.take(KEY, NOW) for _ in range(4)] == [EPOCH, EPOCH, EPOCH, -1]
    assert table.credits(KEY, NOW) == (0, 0)


def test_a_cost_that_neither_epoch_has_takes_nothing() -> None:
    table = make_table()
    table.put(KEY, NOW, EPOCH - 1, 3)
    table.put(KEY, NOW, EPOCH, 4)
    assert table.take(KEY, NOW, 5) == -1
    assert table.credits(KEY, NOW) == (3, 4)
    assert table.take(KEY, NOW, 4) == EPOCH


def test_the_older_epoch_is_used_up_first() -> None:
    table = make_table()
    table.put(KEY, NOW, EPOCH, 2)
    later = NOW + EPOCH_MS
    table.put(KEY, later, EPOCH + 1, 5)
    assert [table.take(KEY, later) for _ in range(3)] == [EPOCH, EPOCH, EPOCH + 1]


@given(st.integers(0, EPOCH_MS - 1), st.integers(0, 4 * EPOCH_MS))
def test_nothing_is_of_use_longer_than_a_lease(borrowed_after_ms: int, used_after_ms: int) -> None:
    table = make_table()
    borrowed = NOW + borrowed_after_ms
    table.put(KEY, borrowed, borrowed // EPOCH_MS, 1)
    used = borrowed + used_after_ms
    is_of_use = table.take(KEY, used) >= 0
    assert is_of_use == (used < (borrowed // EPOCH_MS + 2) * EPOCH_MS)
    assert not is_of_use or used_after_ms <= LEASE_MS


def test_what_comes_too_late_is_not_put_in() -> None:
    table = make_table()
    table.put(KEY, NOW, EPOCH - 2, 5)
    assert table.credits(KEY, NOW) == (0, 0)


def test_what_is_left_of_an_epoch_is_taken_once_and_no_other_epoch_touched() -> None:
    table = make_table()
    table.put(KEY, NOW, EPOCH, 7)
    over = NOW + LEASE_MS
    table.put(KEY, over, EPOCH + 2, 5)  # the same cell: what lay in it is gone
    assert table.end(KEY, EPOCH) == 0
    table.put(KEY, over, EPOCH + 1, 4)
    assert [table.end(KEY, EPOCH + 1), table.end(KEY, EPOCH + 1)] == [4, 0]
    assert table.credits(KEY, over)[1] == 5


def test_one_asks_until_it_is_done_or_its_time_is_up() -> None:
    table = make_table()
    assert table.ask(KEY, NOW, NOW + 500)
    assert not table.ask(KEY, NOW + 499, NOW + 999)
    assert table.ask(KEY, NOW + 500, NOW + 1000)  # who had asked was stopped
    table.free(KEY, NOW + 600)
    assert table.ask(KEY, NOW + 601, NOW + 1100)


def test_nobody_asks_while_it_is_closed() -> None:
    table = make_table()
    assert table.closed(KEY, NOW) == 0
    table.close(KEY, NOW, NOW + 100)
    assert table.closed(KEY, NOW + 99) == NOW + 100
    assert not table.ask(KEY, NOW + 99, NOW + 599)
    assert table.closed(KEY, NOW + 100) == 0
    assert table.ask(KEY, NOW + 100, NOW + 600)
    assert table.closed(KEY, NOW + 101) == 0


def test_what_is_closed_for_a_large_cost_is_open_for_a_smaller_one() -> None:
    table = make_table()
    table.close(KEY, NOW, NOW + 100, 7)
    assert [table.closed(KEY, NOW, cost) for cost in (1, 6, 7, 8)] == [0, 0, NOW + 100, NOW + 100]
    assert not table.ask(KEY, NOW, NOW + 500, 7)
    assert table.ask(KEY, NOW, NOW + 500, 6)
    assert not table.ask(KEY, NOW, NOW + 500, 1)


def test_a_machine_lends_itself_no_more_than_its_share_in_a_window() -> None:
    table = make_table()
    assert table.share(KEY, NOW, NOW + 1000, 3, 5) == (3, NOW + 1000)
    assert table.share(KEY, NOW + 10, NOW + 1010, 3, 5) == (2, NOW + 1000)
    assert table.share(KEY, NOW + 20, NOW + 1020, 3, 5) == (0, NOW + 1000)
    assert table.share(KEY, NOW + 1000, NOW + 2000, 3, 5) == (3, NOW + 2000)


def test_what_is_had_of_a_window_goes_up_and_down_and_ends_with_it() -> None:
    table = make_table()
    assert table.held(KEY, NOW) == (0, NOW)
    table.hold(KEY, NOW, NOW + 1000, -5)
    table.hold(KEY, NOW, NOW + 1000, 7)
    table.hold(KEY, NOW + 10, NOW + 1008, 3)  # the end as it was told first
    assert table.held(KEY, NOW + 10) == (10, NOW + 1000)
    table.hold(KEY, NOW + 10, NOW + 1000, -4)
    assert table.held(KEY, NOW + 999) == (6, NOW + 1000)
    assert table.held(KEY, NOW + 1000)[0] == 0


def test_keys_have_nothing_of_each_other() -> None:
    table = make_table()
    for key in range(1, 9):
        table.put(key << 40 | key, NOW, EPOCH, key)
    assert [table.credits(key << 40 | key, NOW)[1] for key in range(1, 9)] == list(range(1, 9))


def test_two_views_are_one_table_and_one_outside_of_the_section_is_refused() -> None:
    region = Region.create(1, quotas=bytes_for(SETS))
    one, other = LeaseTable(region.mapping, 0, SETS), LeaseTable(region.mapping, 0, SETS)
    one.put(KEY, NOW, EPOCH, 1)
    assert (other.take(KEY, NOW), one.take(KEY, NOW)) == (EPOCH, -1)
    with pytest.raises(ValueError, match="inside"):
        LeaseTable(region.mapping, 0, SETS + 1)
    region.close()


CREDITS = 20_000


def _take_all(fd: int, barrier: Barrier, results: multiprocessing.SimpleQueue[int]) -> None:
    region = Region.attach(fd)
    table = LeaseTable(region.mapping, 0, SETS)
    barrier.wait(60)
    taken = 0
    while table.take(KEY, NOW) >= 0:
        taken += 1
    results.put(taken)
    os._exit(0)


def test_processes_take_each_credit_once() -> None:
    region = Region.create(1, quotas=bytes_for(SETS))
    table = LeaseTable(region.mapping, 0, SETS)
    table.put(KEY, NOW, EPOCH - 1, CREDITS // 2)
    table.put(KEY, NOW, EPOCH, CREDITS // 2)
    context = multiprocessing.get_context("fork")
    barrier, results = context.Barrier(3), context.SimpleQueue()
    takers = [context.Process(target=_take_all, args=(region.fd, barrier, results)) for _ in range(3)]
    for one in takers:
        one.start()
    for one in takers:
        one.join(60)
    assert sum(results.get() for _ in takers) == CREDITS
    region.close()
