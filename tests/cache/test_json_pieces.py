"""A large JSON text is the same value in pieces, and what is none is refused in pieces, too."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.wire.test_json_members import JSON

from tidegate.cache.json_pieces import PIECE, decoding


def whole(data: bytes, piece: int) -> tuple[Any, int]:
    """The value, and in how many pieces it came."""
    work, pieces = decoding(data, piece), 0
    while True:
        try:
            next(work)
        except StopIteration as end:
            return end.value, pieces
        pieces += 1


@given(JSON, st.integers(1, 60), st.sampled_from([None, 1]), st.booleans())
@example({"a": 1, "b": [{"c": "x" * 50}, 2]}, 8, 1, True)
@example([[["x" * 100], {}], {"": [1, 2, 3]}], 4, None, True)
def test_it_is_what_it_is_in_one_go(value: Any, piece: int, indent: int | None, is_ascii: bool) -> None:
    data = json.dumps(value, indent=indent, ensure_ascii=is_ascii).encode()
    assert whole(data, piece)[0] == msgspec.json.decode(data)


@given(JSON, st.integers(1, 30), st.data())
def test_what_is_no_json_is_refused_where_it_is_in_one_go(value: Any, piece: int, data: st.DataObject) -> None:
    text = bytearray(json.dumps(value).encode())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(text)))
        text[at : at + data.draw(st.integers(0, 2))] = data.draw(
            st.sampled_from([b"", b",", b"]", b"}", b"[", b'"', b" "])
        )
    try:
        expected = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError):
        with pytest.raises(ValueError, match=r"."):
            whole(bytes(text), piece)
    else:
        assert whole(bytes(text), piece)[0] == expected


def test_a_megabyte_comes_in_pieces_of_that_size() -> None:
    value = {"rows": [{"id": number, "name": f"row {number}"} for number in range(30_000)], "more": list(range(50_000))}
    data = msgspec.json.encode(value)
    found, pieces = whole(data, PIECE)
    assert found == value
    assert len(data) / PIECE <= pieces <= 2 * len(data) / PIECE + 3


def test_what_is_nested_too_deeply_is_left_to_msgspec() -> None:
    with pytest.raises(RecursionError):
        whole(b"[" * 100_000 + b"]" * 100_000, 100)
    deep: Any = "x" * 50
    for _ in range(100):
        deep = [deep]
    assert whole(json.dumps(deep).encode(), 10)[0] == deep
