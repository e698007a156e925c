"""The chunked coding: every vector, however its bytes arrive."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.wire.vectors import Case, arrivals, joined, load

from tidegate.wire.view import ChunkedParser, RefusalError

pytestmark = pytest.mark.sanitize

CASES = load("chunked.json")


def outcome(pieces: list[bytes]) -> tuple[str, bytes]:
    """(refusal, "done" or "more", data handed out)."""
    parser = ChunkedParser()
    body = b""
    for piece in pieces:
        try:
            body += parser.feed(piece)
        except RefusalError as refused:
            return refused.name, b""
    return "done" if parser.done else "more", body


@pytest.mark.parametrize("case", CASES, ids=str)
def test_chunked_vector(case: Case) -> None:
    verdict = case.refused or ("more" if case.incomplete else "done")
    body = joined(case.all.get("body", ""))
    for pieces in arrivals(case.input):
        assert outcome(pieces) == (verdict, body), f"cut behind {len(pieces[0])}"


@pytest.mark.parametrize("case", [case for case in CASES if not case.refused and not case.incomplete], ids=str)
def test_what_follows_the_body_is_left(case: Case) -> None:
    parser = ChunkedParser()
    parser.feed(case.input + b"\r\nGET")
    assert parser.done and parser.rest == b"\r\nGET"


SIZES = st.lists(st.binary(min_size=1, max_size=40), max_size=6)


@given(SIZES, st.lists(st.integers(0, 400), max_size=5))
def test_body_comes_back_however_it_is_chunked_and_cut(chunks: list[bytes], cuts: list[int]) -> None:
    data = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    edges = [0, *sorted({min(cut, len(data)) for cut in cuts}), len(data)]
    pieces = [data[a:b] for a, b in itertools.pairwise(edges)]
    assert outcome(pieces) == ("done", b"".join(chunks))


HOSTILE = st.sampled_from([b"\r", b"\n", b"\r\n", b" ", b"\t", b";", b"=", b'"', b"\\", b"\0", b"0", b"f", b"g", b":"])


@given(st.sampled_from([case for case in CASES if len(case.input) < 300]), st.data())
def test_verdict_does_not_depend_on_cuts(case: Case, draw: st.DataObject) -> None:
    data = bytearray(case.input)
    for _ in range(draw.draw(st.integers(1, 3))):
        at = draw.draw(st.integers(0, len(data)))
        data[at : at + draw.draw(st.integers(0, 3))] = draw.draw(HOSTILE)
    cut = draw.draw(st.integers(0, len(data)))
    whole = outcome([bytes(data)])
    assert outcome([bytes(data[:cut]), bytes(data[cut:])]) == whole
    assert outcome([bytes(data[i : i + 1]) for i in range(len(data))]) == whole


def test_extension_budget_grows_with_the_data() -> None:
    """A megabyte in 64-byte chunks with an 80-byte signature each is ordinary; nearly no data behind them is not."""
    signed = b"40;s=" + b"f" * 80 + b"\r\n" + b"x" * 64 + b"\r\n"
    assert outcome([signed * 16384 + b"0\r\n\r\n"])[0] == "done"
    empty = b"1;s=" + b"f" * 80 + b"\r\nx\r\n"
    assert outcome([empty * 16384 + b"0\r\n\r\n"])[0] == "chunk_extension_too_long"


def test_trailer_section_may_fill_its_bound() -> None:
    fits = b"0\r\nA: " + b"b" * (8192 - 7) + b"\r\n\r\n"
    assert outcome([fits])[0] == "done"
    assert outcome([fits[:4] + b"b" + fits[4:]])[0] == "trailer_too_large"
