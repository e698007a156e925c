"""Where a JSON text is cut: nowhere but between members."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.wire.json_members import members_end, string_end

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.lists(JSON, max_size=6), st.integers(1, 40), st.booleans())
def test_what_stands_before_a_cut_is_whole_members(members: list[Any], limit: int, is_ascii: bool) -> None:
    text = json.dumps(members, ensure_ascii=is_ascii).encode()
    end = members_end(text, 1, limit)
    if end < 0:
        assert members_end(text, 1, len(text)) == len(text) - 1
        return
    taken = json.loads(b"[%b]" % text[1:end])
    assert taken == members[: len(taken)]
    assert text[end : end + 1] == (b"," if len(taken) < len(members) else b"]")


@pytest.mark.parametrize("text", [b"[", b'["a', b'["a\\', b"[[1]", b'[{"a": 1', b"[1, 2"])
def test_a_text_that_does_not_end_has_no_end(text: bytes) -> None:
    assert members_end(text, 1, 1000) == -1


@pytest.mark.parametrize(
    ("text", "end"),
    [(b'"ab", 1', 4), (b'"a\\"b"', 6), (b'"\\\\" "', 4), (b'"ab', -1), (b'"a\\"', -1), (b"1", -1), (b"", -1)],
)
def test_a_string_ends_at_a_quote_that_is_not_escaped(text: bytes, end: int) -> None:
    assert string_end(text, 0) == end


def test_no_place_outside_of_the_text_is_looked_at() -> None:
    assert members_end(b"", 0, 10) == -1 and string_end(b"a", 1) == -1
    for at in (-1, 2):
        with pytest.raises(IndexError):
            members_end(b"[", at, 10)
