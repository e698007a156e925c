"""Heads of requests and responses: every vector, however its bytes arrive, and what holds for all of them."""

import itertools
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.wire.vectors import Case, arrivals, load

from tidegate.wire.view import REFUSALS, RefusalError, RequestParser, ResponseParser, parse_request_times

pytestmark = pytest.mark.sanitize

REQUESTS = load("requests.json")
RESPONSES = load("responses.json")
CHUNKED = load("chunked.json")

Parser = RequestParser | ResponseParser
Make = Callable[[], Parser]


def request_parser(case: Case) -> Make:
    return lambda: RequestParser(**case.all.get("limits", {}))


def response_parser(case: Case) -> Make:
    return lambda: ResponseParser(to_head=case.all.get("to_head", False), **case.all.get("limits", {}))


def outcome(make: Make, pieces: list[bytes]) -> tuple[str, Any, int]:
    """(refused, name, bytes fed) or (complete, view, bytes fed) or (incomplete, None, bytes fed)."""
    parser = make()
    fed = 0
    for piece in pieces:
        fed += len(piece)
        try:
            seen = parser.feed(piece)
        except RefusalError as refused:
            return "refused", refused.name, fed
        if seen is not None:
            return "complete", seen, fed
    return "incomplete", None, fed


def shown(value: Any) -> Any:
    """A view's value as the vectors write it."""
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, list):
        return [[shown(name), shown(text)] for name, text, _, _ in value]
    return value


def check(case: Case, make: Make) -> None:
    whole = outcome(make, [case.input])
    if case.refused:
        assert whole[:2] == ("refused", case.refused)
    elif case.incomplete:
        assert whole[0] == "incomplete"
    else:
        assert whole[0] == "complete", whole[1]
        for key, value in case.all["expect"].items():
            assert shown(whole[1][key]) == (sorted(value) if key == "flags" else value), key
    for pieces in arrivals(case.input):
        assert outcome(make, pieces)[:2] == whole[:2], f"cut behind {len(pieces[0])}" if pieces else "nothing"


def check_with_trailing_bytes(case: Case, make: Make) -> None:
    """What follows a head changes nothing about it and is left for the body."""
    for trailing in (b"X", b"\r\n", b"\n", b" ", b"\0", b"GET / HTTP/1.1\r\n\r\n"):
        parser = make()
        if case.refused:
            with pytest.raises(RefusalError, match=f"^{case.refused}$"):
                parser.feed(case.input + trailing)
        elif not case.incomplete:
            seen = parser.feed(case.input + trailing)
            alone = make().feed(case.input)
            assert seen == alone
            assert seen is not None and parser.rest == case.input[seen["size"] :] + trailing


@pytest.mark.parametrize("case", REQUESTS, ids=str)
def test_request_vector(case: Case) -> None:
    check(case, request_parser(case))
    # The verdict of a line that is not complete may change with the bytes that complete it.
    if not case.refused or b"\n" in case.input:
        check_with_trailing_bytes(case, request_parser(case))


@pytest.mark.parametrize("case", RESPONSES, ids=str)
def test_response_vector(case: Case) -> None:
    check(case, response_parser(case))
    if not case.refused or b"\n" in case.input:
        check_with_trailing_bytes(case, response_parser(case))


def test_every_refusal_has_a_case() -> None:
    covered = {case.refused for case in [*REQUESTS, *RESPONSES, *CHUNKED] if case.refused}
    assert covered == set(REFUSALS)


def test_there_are_cases_enough() -> None:
    assert len(REQUESTS) + len(RESPONSES) + len(CHUNKED) >= 400


def test_refusal_stands_when_asked_again() -> None:
    for case in REQUESTS:
        if case.refused:
            parser = request_parser(case)()
            for data in (case.input, b""):
                with pytest.raises(RefusalError, match=f"^{case.refused}$"):
                    parser.feed(data)


def test_offsets_are_relative_to_the_buffer_so_an_empty_line_before_shifts_them() -> None:
    head = b"GET /a HTTP/1.1\r\nHost: b\r\n\r\n"
    plain = RequestParser().feed(head)
    shifted = RequestParser().feed(b"\r\n" + head)
    assert plain is not None and shifted is not None
    assert shifted["size"] == plain["size"] + 2
    assert {**shifted, "size": 0} == {**plain, "size": 0}


def test_seen_has_a_bit_for_each_known_field_but_not_for_underscored_ones() -> None:
    seen = RequestParser().feed(b"GET / HTTP/1.1\r\nHost: b\r\nVia: c\r\nUser_Agent: d\r\n\r\n")
    assert seen is not None
    ids = {name: number for name, _, number, _ in seen["fields"]}
    assert seen["seen"] == 1 << ids[b"Host"] | 1 << ids[b"Via"]
    assert ids[b"User_Agent"] != 0


@pytest.mark.parametrize(
    ("name", "same_as"),
    [
        (b"Content_Length", b"Content-Length"),
        (b"transfer_ENCODING", b"Transfer-Encoding"),
        (b"x_Request-id", b"X-Request-ID"),
    ],
)
def test_underscored_name_keeps_its_identity_and_is_flagged(name: bytes, same_as: bytes) -> None:
    value = b"chunked" if b"ncod" in same_as.lower() else b"5"
    one = RequestParser().feed(b"GET / HTTP/1.1\r\nHost: a\r\n" + name + b": " + value + b"\r\n\r\n")
    two = RequestParser().feed(b"GET / HTTP/1.1\r\nHost: a\r\n" + same_as + b": " + value + b"\r\n\r\n")
    assert one is not None and two is not None
    assert one["fields"][1][2] == two["fields"][1][2] != 0
    assert (one["fields"][1][3], two["fields"][1][3]) == (1, 0)


HOSTILE = st.sampled_from(
    [b"\r", b"\n", b"\r\n", b" ", b"\t", b":", b"\0", b"a", b"_", b",", b"0", b"5", b"\xff", b"/"]
)


@st.composite
def mutated(draw: st.DrawFn, cases: list[Case]) -> tuple[Case, bytes]:
    case = draw(st.sampled_from([case for case in cases if len(case.input) < 300]))
    data = bytearray(case.input)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(data)))
        until = draw(st.integers(at, min(len(data), at + 4)))
        data[at:until] = draw(HOSTILE | st.just(b""))
    return case, bytes(data)


@given(mutated(REQUESTS), st.lists(st.integers(0, 300), max_size=4))
def test_verdict_does_not_depend_on_cuts(found: tuple[Case, bytes], cuts: list[int]) -> None:
    case, data = found
    edges = [0, *sorted({min(cut, len(data)) for cut in cuts}), len(data)]
    pieces = [data[a:b] for a, b in itertools.pairwise(edges)]
    make = request_parser(case)
    whole = outcome(make, [data])
    assert outcome(make, pieces)[:2] == whole[:2]
    assert outcome(make, [data[i : i + 1] for i in range(len(data))])[:2] == whole[:2]


@given(mutated(RESPONSES), st.integers(0, 300))
def test_verdict_on_a_response_does_not_depend_on_cuts(found: tuple[Case, bytes], cut: int) -> None:
    case, data = found
    make = response_parser(case)
    whole = outcome(make, [data])
    assert outcome(make, [data[:cut], data[cut:]])[:2] == whole[:2]
    assert outcome(make, [data[i : i + 1] for i in range(len(data))])[:2] == whole[:2]


@given(st.binary(max_size=80))
def test_head_never_reaches_beyond_its_limit(data: bytes) -> None:
    kind, seen, _ = outcome(lambda: RequestParser(head_bytes=40), [b"GET / HTTP/1.1\r\nHost: a\r\n" + data])
    assert kind != "complete" or seen["size"] <= 40
    assert kind != "incomplete" or len(data) + 25 < 40


def seconds_bytewise(data: bytes) -> float:
    best = 1e9
    for _ in range(5):
        start = time.thread_time()  # what others take from this processor is not counted
        parse_request_times(data, 1, 1)
        best = min(best, time.thread_time() - start)
    return best


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(lambda n: b"GET /" + b"a" * n + b" HTTP/1.1\r\nHost: a\r\n\r\n", id="target"),
        pytest.param(lambda n: b"A" * n + b" / HTTP/1.1\r\nHost: a\r\n\r\n", id="method"),
        pytest.param(lambda n: b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * n + b"\r\n\r\n", id="value"),
        pytest.param(lambda n: b"GET / HTTP/1.1\r\nHost: a\r\n" + b"a" * n + b":\r\n\r\n", id="name"),
    ],
)
def test_cost_is_linear_when_bytes_come_one_by_one(head: Callable[[int], bytes]) -> None:
    """Sixteen times the bytes take about sixteen times as long; a parser that starts anew would take 256 times."""
    assert seconds_bytewise(head(160_000)) < 100 * seconds_bytewise(head(10_000))
