"""How many lines an endless trouble may write."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tidegate.observe.bounded_log import KINDS_MAX, BoundedLog


def offer(log, now, kind="k"):
    entry = log.offer(now, kind, "warning", f"at {now}", {})
    return [] if entry is None else [entry]


def test_first_is_written_at_once_and_the_rest_of_the_second_is_counted():
    log = BoundedLog()
    assert [entry.count for entry in offer(log, 100.0)] == [1]
    assert [offer(log, 100.0 + i / 10) for i in range(1, 10)] == [[]] * 9
    assert log.due(100.99) == []
    (entry,) = log.due(101.0)
    assert (entry.count, entry.message) == (9, "at 100.9")
    assert log.due(105.0) == []
    assert [entry.count for entry in offer(log, 105.0)] == [1]


def test_one_that_comes_when_the_second_is_over_brings_the_count_along():
    log = BoundedLog()
    offer(log, 0.0)
    offer(log, 0.5)
    assert [entry.count for entry in offer(log, 1.5)] == [2]


def test_kinds_do_not_hold_each_other_back():
    log = BoundedLog()
    assert offer(log, 0.0, "a") and offer(log, 0.0, "b")


def test_160000_failures_in_ten_minutes_write_fewer_than_700_lines():
    log = BoundedLog()
    entries = [entry for i in range(160_000) for entry in offer(log, i * 600 / 160_000)] + log.all_held()
    assert len(entries) < 700
    assert sum(entry.count for entry in entries) == 160_000


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 0.7)), max_size=300), st.data())
def test_nothing_is_forgotten_and_no_kind_writes_twice_in_a_second(steps, data):
    log, now, entries = BoundedLog(), 0.0, []
    for kind, pause in steps:
        now += pause
        entries += [(now, entry) for entry in offer(log, now, kind)]
        if data.draw(st.booleans()):
            entries += [(now, entry) for entry in log.due(now)]
    for kind in "abc":
        times = [at for at, entry in entries if entry.kind == kind]
        assert all(later - earlier >= 1.0 for earlier, later in pairwise(times))
    assert sum(entry.count for _, entry in entries) + sum(e.count for e in log.all_held()) == len(steps)
    assert log.all_held() == []


def test_turn_taken_by_another_process_keeps_the_count():
    turns = iter([True, False, False, True])
    log = BoundedLog(take_turn=lambda kind, second: next(turns))
    assert offer(log, 0.0)
    assert offer(log, 1.0) == []
    assert log.due(2.0) == []
    assert [entry.count for entry in log.due(3.0)] == [1]


def test_kinds_made_of_input_end_as_other():
    log = BoundedLog()
    entries = [entry for i in range(KINDS_MAX + 50) for entry in offer(log, 0.0, f"kind {i}")]
    assert len(entries) == KINDS_MAX + 1
    assert entries[-1].kind == "other"
    assert entries[-1].fields == {"kind_was": f"kind {KINDS_MAX}"}
    assert sum(entry.count for entry in log.all_held()) == 49
