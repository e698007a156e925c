"""Who stays when there is no room for all."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.cache.freshness import Times
from tidegate.cache.shelf import Entry, Key
from tidegate.cache.space import LARGE, Space

FOR_EVER = Times(0.0, 1e9, 1e9, 1e9, 1e9)


def entry(key: Key, size: int, came_at: float = 0.0) -> Entry:
    return Entry(key, b"", size, FOR_EVER, came_at, (), (), ())


def space(max_bytes: int) -> Space:
    return Space({}, max_bytes)


def test_a_flood_of_single_keys_does_not_evict_what_is_in_use() -> None:
    one = space(100_000)
    one.put(entry("record", 20_000))
    one._entries["record"].uses += 1
    for second in range(20):
        for number in range(2000):
            one.put(entry(f"flood:{second}:{number}", 100))
        assert "record" in one._entries, f"gone in second {second}"
        one._entries["record"].uses += 1  # read once a second
    assert one.statistics().bytes <= 100_000


def test_a_key_that_returns_is_let_in_although_it_never_stayed_long_enough() -> None:
    one = space(10_000)
    for number in range(90):
        one.put(entry(f"first:{number}", 100))
        one._entries[f"first:{number}"].uses += 1
    for round_ in range(8):
        one.put(entry("returns", 100))
        for number in range(500):
            one.put(entry(f"flood:{round_}:{number}", 100))
    assert "returns" in one._entries


def test_a_large_one_has_to_be_worth_all_that_would_go_for_it() -> None:
    one = space(10_000)
    for number in range(80):
        one.put(entry(number_key(number), 100))
        one._entries[number_key(number)].uses += 1
    for number in range(40):
        one.put(entry(f"push:{number}", 100))  # the line fills, and those who were used move to the kept
    kept = one.statistics().kept
    assert kept > 40
    for _ in range(2):
        one.put(entry("large", 4_000))
        for number in range(40):
            one.put(entry(f"more:{number}", 100))
    assert "large" not in one._entries and one.statistics().kept == kept


def number_key(number: int) -> str:
    return f"used:{number}"


def test_what_is_larger_than_all_the_room_is_not_taken_in() -> None:
    one = space(1000)
    one.put(entry("a", 400))
    assert not one.put(entry("a", 1001)), "and the older one is gone with it: it is no longer the value"
    assert one.statistics()[:2] == (0, 0) and one.statistics().refused == 1


def test_pinned_ones_stay_and_have_half_of_the_room() -> None:
    one = space(1000)
    for key in ("a", "b", "c"):
        one.pin(key)
        one.put(entry(key, 200))
    assert one.statistics().pinned == 2, "the third has no room among the pinned"
    for number in range(100):
        one.put(entry(f"flood:{number}", 100))
    assert {"a", "b"} <= one._entries.keys() and "c" not in one._entries
    one.unpin("a")
    for number in range(200):
        one.put(entry(f"used:{number}", 100))
        one._entries.setdefault(f"used:{number}", entry("x", 1)).uses += 1
    one._entries.pop("x", None)
    assert "a" not in one._entries and "b" in one._entries


def test_a_pinned_one_that_grows_too_large_is_one_like_the_others() -> None:
    one = space(300)
    one.pin("a")
    one.put(entry("a", 1))
    one.put(entry("a", 151))
    assert one.statistics()[:2] == (1, 151) and one.statistics().pinned == 0
    one.put(entry("a", 150))
    one.drop("a")
    one.put(entry("a", 150))
    assert one.statistics().pinned == 1


def test_one_that_is_there_already_can_be_pinned() -> None:
    one = space(1000)
    one.put(entry("a", 100))
    one.put(entry("large", 700))
    one.pin("a")
    one.pin("large")
    assert one.statistics().pinned == 1
    one.resize(150)
    assert list(one._entries) == [] or one.statistics().bytes <= 150


def test_a_smaller_bound_holds_at_once() -> None:
    one = space(10_000)
    for number in range(50):
        one.put(entry(f"k:{number}", 150))
    one.resize(1000)
    assert one.statistics().bytes <= 1000
    one.clear()
    assert one.statistics()[:2] == (0, 0) and one.oldest_at() is None


def test_the_oldest_is_the_one_that_is_judged_next() -> None:
    one = space(1000)
    one.put(entry("a", 10, came_at=5.0))
    one.put(entry("b", 10, came_at=7.0))
    assert one.oldest_at() == 5.0
    one.drop("a")
    assert one.oldest_at() == 7.0


ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["put", "put", "put", "use", "drop", "pin", "unpin"]), st.integers(0, 30), st.integers(1, 400)
    ),
    max_size=200,
)


@settings(max_examples=200)
@given(ACTIONS, st.integers(300, 2000))
def test_whatever_happens_the_bound_holds_and_the_sums_are_right(
    actions: list[tuple[str, int, int]], room: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tidegate.cache.space.LARGE", 200)
        act_and_look(space(room), actions, room)


def act_and_look(one: Space, actions: list[tuple[str, int, int]], room: int) -> None:
    """Does them, and looks at everything after each."""
    for what, number, size in actions:
        key = f"k:{number}"
        if what == "put":
            one.put(entry(key, size))
        elif what == "use" and key in one._entries:
            one._entries[key].uses += 1
        elif what == "drop":
            one.drop(key)
        elif what == "pin":
            one.pin(key)
        elif what == "unpin":
            one.unpin(key)
        seen = one.statistics()
        assert seen.bytes == sum(found.size for found in one._entries.values()) <= room
        assert seen.entries == len(one._line) + len(one._kept) + len(one._pinned)
        assert one._pinned.bytes <= room / 2
        assert set(one._large) == {key for key, found in one._entries.items() if found.size >= 200}
    assert set(one.used_large()) <= set(one._large)


def test_large_values_that_were_used_are_told_once_for_each_time() -> None:
    one = space(10 * LARGE)
    for key in ("a", "b", "gone"):
        one.put(entry(key, LARGE))
    one.put(entry("small", 100))
    assert one.used_large() == []
    for key in ("a", "gone", "small"):
        one._entries[key].uses += 1
    one.drop("gone")
    assert one.used_large() == ["a"]
    assert one.used_large() == []
    one._entries["a"].uses += 1
    one.put(entry("a", 100))  # it has become small
    assert one.used_large() == []
    one._entries["b"].uses += 1
    for number in range(200):
        one.put(entry(f"flood:{number}", LARGE))
    assert one.used_large() == ["b"] and len(one._large) <= 10, "what has gone is forgotten"
    one.clear()
    assert one.used_large() == []
