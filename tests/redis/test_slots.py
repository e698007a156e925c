"""Slots of keys, as the server computes them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.redis.slots import SLOTS, slot_of


@pytest.mark.parametrize(
    ("key", "slot"),
    [(b"123456789", 12739), (b"", 0), (b"foo", 12182), (b"{user1000}.following", 3443), (b"user1000", 3443)],
)
def test_slots_are_those_of_the_specification(key: bytes, slot: int) -> None:
    assert slot_of(key) == slot


@given(st.binary(max_size=20), st.binary(min_size=1, max_size=10), st.binary(max_size=10))
def test_what_stands_in_the_first_braces_decides(before: bytes, tag: bytes, after: bytes) -> None:
    tag = tag.replace(b"}", b"x")
    before = before.replace(b"{", b"y")
    assert slot_of(before + b"{" + tag + b"}" + after) == slot_of(b"{" + tag + b"}")
    assert 0 <= slot_of(before) < SLOTS


def test_empty_or_open_braces_are_part_of_the_key() -> None:
    assert slot_of(b"a{}b") != slot_of(b"")
    assert slot_of(b"a{b") != slot_of(b"b")
