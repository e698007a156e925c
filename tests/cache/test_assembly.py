"""A value that is put together in place."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.cache.assembly import Assembly

pytestmark = pytest.mark.sanitize


@given(st.lists(st.binary(max_size=50)))
def test_pieces_of_any_size_are_the_value(pieces: list[bytes]) -> None:
    whole = Assembly(sum(map(len, pieces)))
    for number, piece in enumerate(pieces):
        whole.add((piece, bytearray(piece), memoryview(piece))[number % 3])
    assert whole.filled == whole.size
    assert whole.take() == b"".join(pieces)


def test_nothing_is_written_beyond_the_end() -> None:
    whole = Assembly(5)
    whole.add(b"abc")
    with pytest.raises(ValueError, match="3 bytes more than the 5"):
        whole.add(b"def")
    whole.add(b"de")
    assert whole.take() == b"abcde"


def test_half_a_value_is_none_and_a_whole_one_is_taken_once() -> None:
    whole = Assembly(3)
    whole.add(b"ab")
    with pytest.raises(ValueError, match="2 of 3 bytes"):
        whole.take()
    whole.add(b"c")
    taken = whole.take()
    for again in (whole.take, lambda: whole.add(b"")):
        with pytest.raises(ValueError, match="3"):
            again()
    assert taken == b"abc"


def test_a_size_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="-1"):
        Assembly(-1)


def test_it_tells_how_far_it_is() -> None:
    whole = Assembly(2)
    whole.add(b"a")
    assert repr(whole) == "<Assembly, 1 of 2 bytes>"
    assert (whole.filled, whole.size) == (1, 2)
