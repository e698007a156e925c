"""What stands before a value."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.cache.envelope import HEAD_MAX, VALUE_MAX, Head, looks_sealed, open_envelope, seal

HEAD = Head(5, 77, 1000, 20, False, ("a", "é"), (b"", b"stamp"), b"12345678")


def test_what_was_sealed_is_found_again_and_the_value_after_it() -> None:
    sealed = seal(HEAD)
    opened = open_envelope(sealed + b"value")
    assert opened == (HEAD, len(sealed))


def test_a_head_that_is_not_whole_is_none() -> None:
    sealed = seal(HEAD)
    assert all(open_envelope(sealed[:end]) is None for end in range(len(sealed)))


@given(st.binary(max_size=200))
def test_what_somebody_else_has_written_is_no_envelope(data: bytes) -> None:
    assert open_envelope(data) is None or data[:4] == b"TGC1"


@given(st.binary(max_size=100))
def test_a_head_of_anything_never_raises(data: bytes) -> None:
    open_envelope(b"TGC1" + len(data).to_bytes(4, "little") + data)


def test_tags_without_stamps_and_lengths_beyond_the_end_are_no_envelope() -> None:
    assert open_envelope(seal(Head(5, 77, 1000, 20, False, ("a",), (), b""))) is None
    assert open_envelope(b"TGC1" + (2**32 - 1).to_bytes(4, "little") + bytes(HEAD_MAX)) is None


@pytest.mark.parametrize("size", [-1, VALUE_MAX + 1, 2**62])
def test_sizes_that_no_value_has_are_no_envelope_but_look_like_one(size: int) -> None:
    sealed = seal(msgspec.structs.replace(HEAD, size=size))
    assert open_envelope(sealed) is None and looks_sealed(sealed)


def test_more_tags_than_anybody_would_read_are_refused() -> None:
    tags = tuple(f"tag {number}" for number in range(1000))
    with pytest.raises(ValueError, match="4096 is the bound"):
        seal(Head(5, 77, 1000, 20, False, tags, (b"",) * 1000, b""))
