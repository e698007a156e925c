"""How commands are written, in one piece or several, and where their key is."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.redis.commands import LARGE, encode, encode_in_pieces, key_of

arguments = st.one_of(
    st.text(max_size=30),
    st.binary(max_size=30),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(LARGE - 2, LARGE + 2).map(lambda n: b"x" * n),
    st.binary(max_size=30).map(memoryview),
)


@given(st.lists(arguments, min_size=1, max_size=6))
def test_pieces_are_the_same_bytes_as_the_whole(args: list[Any]) -> None:
    size, pieces = encode_in_pieces(tuple(args))
    joined = b"".join(pieces)
    assert joined == encode(tuple(args))
    assert len(joined) == size


def test_large_argument_is_sent_from_where_it_lies() -> None:
    value = b"v" * (3 << 20)
    pieces = list(encode_in_pieces(("SET", "k", value, "PX", 5))[1])
    views = [piece for piece in pieces if isinstance(piece, memoryview)]
    assert all(view.obj is value for view in views)
    assert sum(map(len, views)) == len(value)
    assert max(map(len, pieces)) <= 256 << 10


@pytest.mark.parametrize("wrong", [None, [1], object()])
def test_what_is_no_argument_is_refused(wrong: Any) -> None:
    with pytest.raises(TypeError):
        encode(("SET", "k", wrong))


@pytest.mark.parametrize(
    ("args", "key"),
    [
        (("GET", "k"), b"k"),
        ((b"get", b"k"), b"k"),
        (("PING",), None),
        (("INFO", "server"), None),
        (("PUBLISH", "channel", "m"), None),
        (("EVALSHA", "sha", 2, "a", "b", "arg"), b"a"),
        (("EVAL", "return 1", 0), None),
        (("EVAL", "return 1", "0", "arg"), None),
        (("OBJECT", "ENCODING", "k"), b"k"),
        (("BITOP", "AND", "to", "from"), b"to"),
        (("XREAD", "COUNT", 2, "STREAMS", "s", 0), b"s"),
        (("XREADGROUP", "GROUP", "g", "c", "streams", "s", ">"), b"s"),
        (("XREAD",), None),
        (("GET",), None),
        (("SOMETHING.NEW", "k"), b"k"),
    ],
)
def test_key_is_found_where_the_command_has_it(args: tuple[Any, ...], key: bytes | None) -> None:
    assert key_of(args) == key
