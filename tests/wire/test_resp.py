"""Replies come out as hiredis alone would read them, however the bytes are cut; large values are assembled in place."""

from __future__ import annotations

import itertools
from typing import Any

import hiredis
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.plane.footprint import IS_SANITIZED

from tidegate.wire.resp import ReplyStream

pytestmark = pytest.mark.sanitize

MORE = object()
LARGE = 48


class Refused(Exception):
    """An error that was answered; equal when its text is."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Refused) and other.args == self.args

    def __hash__(self) -> int:
        return hash(self.args)


def reader() -> hiredis.Reader:
    return hiredis.Reader(notEnoughData=MORE, replyError=Refused)


def stream(largest: int = 1 << 20) -> ReplyStream:
    return ReplyStream(reader(), MORE, large=LARGE, largest=largest, too_large=lambda size: f"{size} bytes")


def alone(data: bytes) -> list[Any]:
    """What hiredis makes of it."""
    one = reader()
    one.feed(data)
    found = []
    while (reply := one.gets()) is not MORE:
        found.append(reply)
    return found


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[a:b] for a, b in itertools.pairwise(edges)]


# hiredis 3.5 looks at two bytes behind a verbatim string (and uses none of them), which AddressSanitizer does not let
# pass where the string ends what has been read.
VERBATIM = [] if IS_SANITIZED else [b"=7\r\ntxt:abc\r\n"]
simple = st.one_of(
    st.binary(max_size=20).map(lambda b: b"+" + b.replace(b"\r", b"").replace(b"\n", b"") + b"\r\n"),
    st.integers(-(2**62), 2**62).map(lambda n: b":%d\r\n" % n),
    st.just(b"-ERR no\r\n"),
    st.just(b"_\r\n"),
    st.sampled_from([b"#t\r\n", b"#f\r\n", b"$-1\r\n", b"*-1\r\n", b"*0\r\n", b",1.5\r\n", b"(12345\r\n"]),
    st.binary(max_size=3 * LARGE).map(lambda b: b"$%d\r\n%s\r\n" % (len(b), b)),
    st.sampled_from([b"$3\r\n\r\n$\r\n", b"$1\r\n\n\r\n", *VERBATIM]),
)
keys = st.integers(0, 9).map(lambda n: b":%d\r\n" % n)
replies = st.recursive(
    simple,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4).map(lambda parts: b"*%d\r\n" % len(parts) + b"".join(parts)),
        st.lists(inner, min_size=1, max_size=4).map(lambda parts: b">%d\r\n" % len(parts) + b"".join(parts)),
        st.dictionaries(keys, inner, max_size=3).map(
            lambda table: b"%%%d\r\n" % len(table) + b"".join(part for pair in table.items() for part in pair)
        ),
    ),
    max_leaves=8,
)


@given(st.lists(replies, max_size=6), st.lists(st.integers(0, 2000), max_size=8))
def test_replies_are_those_of_hiredis_however_they_are_cut(parts: list[bytes], places: list[int]) -> None:
    data = b"".join(parts)
    one = stream()
    found = [reply for piece in cut(data, places) for reply in one.feed(piece)]
    assert found == alone(data)
    assert [type(reply) for reply in found] == [type(reply) for reply in alone(data)]
    assert one.is_between_replies


@given(st.lists(replies, min_size=1, max_size=4))
def test_byte_by_byte_is_the_same(parts: list[bytes]) -> None:
    data = b"".join(parts)
    one = stream()
    assert [reply for at in range(len(data)) for reply in one.feed(data[at : at + 1])] == alone(data)


def test_large_value_does_not_go_through_the_reader() -> None:
    class Counting:
        def __init__(self) -> None:
            self.inner, self.fed = reader(), 0

        def feed(self, data: bytes, at: int = 0, size: int = -1) -> None:
            self.fed += size if size >= 0 else len(data)
            self.inner.feed(data, at, size)

        def gets(self) -> Any:
            return self.inner.gets()

    counting = Counting()
    one = ReplyStream(counting, MORE, large=LARGE, too_large=str)
    value = bytes(range(256)) * 40
    data = b"+OK\r\n$%d\r\n%s\r\n+OK\r\n" % (len(value), value)
    assert [reply for at in range(0, len(data), 7) for reply in one.feed(data[at : at + 7])] == [b"OK", value, b"OK"]
    assert counting.fed == 2 * len(b"+OK\r\n")


def test_value_that_is_too_large_is_thrown_away_and_said() -> None:
    one = stream(largest=100)
    value = b"x" * 101
    assert one.feed(b"$101\r\n" + value + b"\r\n:7\r\n$100\r\n" + value[1:] + b"\r\n") == ["101 bytes", 7, value[1:]]


def test_value_that_never_ends_keeps_what_comes_after_it_away() -> None:
    one = stream()
    assert one.feed(b"$60\r\n" + b"x" * 59) == []
    assert not one.is_between_replies
    assert one.feed(b"x\r") == []
    assert one.feed(b"\n") == [b"x" * 60]
    assert one.is_between_replies


@pytest.mark.parametrize(
    "data", [b"hello\r\n", b"$x\r\n", b"*1\r\n?\r\n", b"$99999999999999999999\r\n", b"*2\r\n:1\r\nz\r\n"]
)
def test_what_is_no_reply_is_the_readers_to_refuse(data: bytes) -> None:
    with pytest.raises(hiredis.ProtocolError):
        stream().feed(data)


def test_line_without_end_is_refused() -> None:
    one = stream()
    assert one.feed(b"+" + b"x" * 1_000_000) == []
    with pytest.raises(ValueError, match="line"):
        one.feed(b"x" * 100_000)


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=4))
def test_any_bytes_end_in_replies_or_a_refusal(data: bytes, places: list[int]) -> None:
    """And in the same ones, as far as they come, as hiredis alone reads."""
    try:
        expected = alone(data)
    except hiredis.ProtocolError:
        expected = None
    one = stream()
    try:
        found = [reply for piece in cut(data, places) for reply in one.feed(piece)]
    except hiredis.ProtocolError:
        assert expected is None
        return
    assert expected is None or found == expected
