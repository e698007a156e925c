"""Slots of keys and tags."""

from __future__ import annotations

from tidegate.cache.names import Names, wire


def test_text_and_its_bytes_are_one_key() -> None:
    names = Names("prices")
    assert names.slot_of_key("é") == names.slot_of_key("é".encode())
    assert wire("a") == wire(b"a") == b"a"


def test_keys_tags_and_caches_are_told_apart() -> None:
    prices, users = Names("prices"), Names("users")
    slots = {
        *prices.slots_of("a", ("a", "b")),
        *users.slots_of("a", ("a", "b")),
        prices.slot_of_key("*"),
    }
    assert len(slots) == 9
    assert prices.slots_of("a", ("a",)) == (prices.everything, prices.slot_of_key("a"), prices.slot_of_tag("a"))


def test_slots_are_the_same_in_every_process_and_on_every_machine() -> None:
    assert Names("prices").slot_of_key("eur") == 14033  # whatever it is
