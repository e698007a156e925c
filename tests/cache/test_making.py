"""Entries, and the marks they are made under."""

from __future__ import annotations

import random

from tests.cache.caches import Clock

from tidegate.cache.envelope import Found
from tidegate.cache.freshness import Lifetimes
from tidegate.cache.loaded import Loaded
from tidegate.cache.making import Maker
from tidegate.cache.names import Names
from tidegate.memory.generations import GENERATIONS_SIZE, Generations


def made() -> tuple[Maker, Generations, Names, Clock]:
    generations, names, clock = Generations(bytearray(GENERATIONS_SIZE)), Names("test"), Clock()
    maker = Maker(names, generations, clock, random.Random(1))
    maker.lifetimes = Lifetimes(60.0, 2.0, 10.0, 20.0)
    return maker, generations, names, clock


def test_a_value_from_elsewhere_ends_when_it_does_there() -> None:
    maker, _, _, clock = made()
    mark = maker.mark("k", ("t",))
    entry, is_good = maker.of_found("k", b"v", Found(b"v", 5.0, 0.5, False, ("t",)), mark)
    assert is_good and entry.load_s == 0.5
    assert (entry.fresh_until, entry.stale_until, entry.error_until) == (clock.now + 5, clock.now + 15, clock.now + 25)
    entry, _ = maker.of_found("k", None, Found(b"", 5.0, 0.5, True, ()), mark)
    assert entry.fresh_until == entry.error_until == clock.now + 5
    ended, is_good = maker.of_found("k", b"v", Found(b"v", -12.0, 0.5, False, ()), mark)
    assert is_good and ended.stale_until < clock.now < ended.error_until
    assert not maker.of_found("k", b"v", Found(b"v", -21.0, 0.5, False, ()), mark)[1]


def test_what_was_invalidated_since_the_mark_is_for_nobody_else() -> None:
    maker, generations, names, _ = made()
    for slot in (names.everything, names.slot_of_key("k"), names.slot_of_tag("t")):
        mark = maker.mark("k", ("t",))
        assert maker.of_loaded("k", Loaded(b"v", None, ("t",)), mark)[1]
        generations.stamp(slot, 1 + slot)
        assert not maker.of_loaded("k", Loaded(b"v", None, ("t",)), mark)[1]
        assert not maker.of_found("k", b"v", Found(b"v", 5.0, 0.5, False, ("t",)), mark)[1]


def test_with_tags_that_come_late_any_invalidation_counts() -> None:
    maker, generations, names, _ = made()
    mark = maker.mark("k", ())
    late = Loaded(b"v", None, ("late",))
    entry, is_good = maker.of_loaded("k", late, mark)
    assert is_good and names.slot_of_tag("late") in entry.slots
    generations.stamp(names.slot_of_tag("other"), 5)
    assert maker.of_loaded("k", Loaded(b"v"), mark)[1]
    assert not maker.of_loaded("k", late, mark)[1]
    assert not maker.of_found("k", b"v", Found(b"v", 5.0, 0.5, False, ("late",)), mark)[1]
