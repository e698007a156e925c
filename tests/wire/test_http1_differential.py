"""The codec beside h11 and httptools (llhttp), two parsers that share nothing with it or with each other.

What we accept they must accept and read alike; what we refuse they should refuse. Every exception is listed here with
its reason, must be met by a case, and nothing that random messages bring up may be outside the list.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from tests.wire import oracles
from tests.wire.messages import CHUNKED, REQUEST, RESPONSE
from tests.wire.oracles import Message, Outcome, Refused
from tests.wire.vectors import load

pytestmark = pytest.mark.sanitize

ORACLES = ("h11", "httptools")
METHODS_OF_LLHTTP = b"GET HEAD POST PUT DELETE OPTIONS TRACE PATCH CONNECT PROPFIND M-SEARCH".split()


@dataclass(frozen=True)
class Pair:
    """One message, read by us and by another."""

    kind: str
    data: bytes
    ours: Outcome
    theirs: Outcome

    @property
    def target(self) -> bytes:
        return self.ours.start[1] if isinstance(self.ours, Message) and self.kind == "request" else b""

    @property
    def status(self) -> bytes:
        return self.ours.start[0] if isinstance(self.ours, Message) and self.kind == "response" else b""

    @property
    def coding(self) -> bytes:
        return dict(self.ours.fields).get(b"transfer-encoding", b"") if isinstance(self.ours, Message) else b""

    def has(self, name: bytes) -> bool:
        return isinstance(self.ours, Message) and name in dict(self.ours.fields)


@dataclass(frozen=True)
class Difference:
    reason: str
    applies: Callable[[Pair], bool]


# Where we are the looser one, or read a message otherwise.
TRAILERS = Difference(
    "trailers are checked for their grammar and dropped, so a framing name in them frames nothing",
    lambda pair: bool(
        re.search(rb"\r\n0+[^\r\n]*\r\n.*(content-length|transfer-encoding)", pair.data, re.IGNORECASE | re.DOTALL)
    ),
)
LOOSER: dict[str, list[Difference]] = {
    "h11": [
        TRAILERS,
        Difference(
            "one empty line before a request line is forgiven (RFC 9112 section 2.2); h11 refuses it",
            lambda pair: pair.kind == "request" and pair.data.startswith(b"\r\n"),
        ),
        Difference(
            "bytes over 127 in a target are judged with the path, which refuses them unless the route allows them",
            lambda pair: any(byte > 127 for byte in pair.target),
        ),
        Difference(
            "h11 takes 101 only as an answer to an upgrade it has sent itself",
            lambda pair: pair.status == b"101",
        ),
        Difference(
            "h11 tells a coding in lower case; what a 204 or 304 says of one is passed on as it is written",
            lambda pair: pair.has(b"transfer-encoding") and not pair.coding.islower(),
        ),
    ],
    "httptools": [
        TRAILERS,
        Difference(
            "bytes over 127 in a target are judged with the path, which refuses them unless the route allows them",
            lambda pair: any(byte > 127 for byte in pair.target),
        ),
        Difference(
            "any token is a method (RFC 9110 section 9.1); llhttp knows a list",
            lambda pair: (
                pair.kind == "request"
                and isinstance(pair.ours, Message)
                and pair.ours.start[0] not in METHODS_OF_LLHTTP
            ),
        ),
    ],
}

# Where we are the stricter one: our refusal, and why the other one may accept.
STRICTER: dict[str, dict[str, str]] = {
    "h11": {
        "bare_lf": "h11 ends lines at LF alone, and trailers too",
        "bare_cr": "h11 takes any byte in a chunk extension",
        "obs_fold": "h11 unfolds",
        "unsupported_version": "h11 leaves any digit.digit to its user",
        "bad_target": "h11 takes any visible bytes for a target",
        "connect_refused": "CONNECT is for forward proxies",
        "bad_host": "h11 does not look into Host",
        "target_host_mismatch": "h11 does not compare the target with Host",
        "bad_field_value": "h11 lets control bytes but NUL, CR, LF and some white space pass",
        "bad_content_length": "leading zeros, which a reader may take for octal",
        "repeated_content_length": "h11 folds equal ones into one",
        "both_framings": "h11 prefers Transfer-Encoding",
        "bad_expect": "h11 leaves Expect to its user",
        "too_many_fields": "our bound on the names in Connection",
        "bad_status_line": "h11 lets control bytes pass in a reason",
        "bad_chunk_size": "h11 allows white space behind a size",
        "bad_chunk_extension": "h11 takes any byte in a chunk extension",
        "chunk_extension_too_long": "our bound on extensions",
        "bad_trailer": "h11 unfolds trailers and lets control bytes pass in them",
        "trailer_too_large": "our bound on trailers",
    },
    "httptools": {
        "bad_request_line": "llhttp skips any number of empty lines and spaces, and takes HTTP/0.9",
        "bare_lf": "llhttp skips any CR and LF before a message",
        "bare_cr": "llhttp skips any CR and LF before a message",
        "unsupported_version": "llhttp takes 0.9 and 2.0",
        "bad_target": "llhttp takes fragments, and forms that belong to other methods",
        "connect_refused": "CONNECT is for forward proxies",
        "missing_host": "llhttp does not ask for Host",
        "repeated_host": "llhttp does not count Host",
        "bad_host": "llhttp does not look into Host",
        "target_host_mismatch": "llhttp does not compare the target with Host",
        "bad_content_length": "leading zeros, which a reader may take for octal",
        "bad_expect": "llhttp leaves Expect to its user",
        "too_many_fields": "our bound on the names in Connection",
        "unsupported_transfer_encoding": "llhttp does not look at the coding of a 1xx, 204 or 304",
        "repeated_transfer_encoding": "llhttp does not look at the coding of a 1xx, 204 or 304",
        "transfer_encoding_in_http10": "llhttp does not look at the coding of a 1xx, 204 or 304",
        "bad_status": "llhttp takes any three digits",
        "bad_status_line": "llhttp skips empty lines and lets control bytes pass in a reason",
        "bad_chunk_extension": "llhttp allows empty names and values",
        "chunk_extension_too_long": "our bound on extensions",
        "trailer_too_large": "our bound on trailers",
    },
}


def pairs(kind: str, data: bytes, *, to_head: bool = False) -> Iterator[tuple[str, Pair]]:
    """Our reading beside each oracle's. An accepted message is given to them without the bytes that follow it."""
    if kind == "request":
        ours, size = oracles.ours_request(data)
        message = data[:size] if isinstance(ours, Message) else data
        yield "h11", Pair(kind, data, ours, oracles.h11_request(message))
        yield "httptools", Pair(kind, data, ours, oracles.httptools_request(message))
        return
    ours, size = oracles.ours_response(data, to_head=to_head)
    message = data[:size] if isinstance(ours, Message) else data
    yield "h11", Pair(kind, data, ours, oracles.h11_response(message, to_head=to_head, close=True))
    if not to_head:  # llhttp behind httptools cannot be told
        yield "httptools", Pair(kind, data, ours, oracles.httptools_response(message, close=True))


def differs(pair: Pair) -> bool:
    if isinstance(pair.ours, Message) and isinstance(pair.theirs, Message):
        one, two = pair.ours, pair.theirs
        if (one.start, one.version) != (two.start, two.version) or sorted(one.fields) != sorted(two.fields):
            return True
        return not one.body_less and one.body != two.body
    return isinstance(pair.ours, Message) or isinstance(pair.theirs, Message)


def explained(oracle: str, pair: Pair) -> str:
    """The key of the listed difference this is; "" when it is not listed."""
    if isinstance(pair.ours, Message):
        for number, difference in enumerate(LOOSER[oracle]):
            if difference.applies(pair):
                return f"looser {number}"
        return ""
    if isinstance(pair.ours, Refused) and pair.ours.why in STRICTER[oracle]:
        return f"stricter {pair.ours.why}"
    return ""


CHUNKED_HEAD = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


def vectors() -> Iterator[tuple[str, str, bytes, bool]]:
    for case in load("requests.json"):
        yield "request", case.name, case.input, False
    for case in load("chunked.json"):
        yield "request", f"chunked: {case.name}", CHUNKED_HEAD + case.input, False
    for case in load("responses.json"):
        yield "response", case.name, case.input, case.all.get("to_head", False)
    body = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcNEXT"
    yield "response", "length and body", body, False
    yield (
        "response",
        "chunked body",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nA: b\r\n\r\n",
        False,
    )
    yield "response", "two equal lengths", b"HTTP/1.1 304 a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n", False
    yield "response", "coding of a 100", b"HTTP/1.1 100 a\r\nTransfer-Encoding: gzip\r\n\r\n", False
    twice = b"Transfer-Encoding: chunked\r\n" * 2 + b"\r\n"
    yield "response", "two codings of a 204", b"HTTP/1.1 204 a\r\n" + twice, False
    yield "response", "coding of a 204 in capitals", b"HTTP/1.1 204 a\r\nTransfer-Encoding: CHUNKED\r\n\r\n", False
    yield "response", "coding of a 204 in 1.0", b"HTTP/1.0 204 a\r\n" + twice, False
    yield "request", "length in a trailer", CHUNKED_HEAD + b"0\r\nContent-Length: x\r\n\r\n", False
    yield "response", "close-delimited body", b"HTTP/1.1 200 OK\r\n\r\nabc", False
    yield "request", "length and body", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcNEXT", False


@pytest.mark.parametrize(
    ("kind", "data", "to_head"),
    [pytest.param(kind, data, head, id=f"{kind} {name}") for kind, name, data, head in vectors()],
)
def test_vector_is_read_alike_or_the_difference_is_listed(kind: str, data: bytes, to_head: bool) -> None:
    for oracle, pair in pairs(kind, data, to_head=to_head):
        if differs(pair):
            assert explained(oracle, pair), f"{oracle}: {pair}"


def test_every_listed_difference_is_met() -> None:
    met: dict[str, set[str]] = {oracle: set() for oracle in ORACLES}
    for kind, _, data, to_head in vectors():
        for oracle, pair in pairs(kind, data, to_head=to_head):
            if differs(pair):
                met[oracle].add(explained(oracle, pair))
    for oracle in ORACLES:
        listed = {f"looser {number}" for number in range(len(LOOSER[oracle]))}
        listed |= {f"stricter {refusal}" for refusal in STRICTER[oracle]}
        assert listed == met[oracle], f"{oracle}: listed and never met, or met and not listed"


def judge(kind: str, data: bytes, *, to_head: bool = False) -> None:
    for oracle, pair in pairs(kind, data, to_head=to_head):
        event(f"{oracle}: {type(pair.ours).__name__} / {type(pair.theirs).__name__}")
        if differs(pair):
            assert explained(oracle, pair), f"{oracle}: {pair}"


@settings(max_examples=400)
@given(REQUEST)
def test_random_request_is_read_alike_or_the_difference_is_listed(data: bytes) -> None:
    judge("request", data)


@settings(max_examples=400)
@given(RESPONSE, st.booleans())
def test_random_response_is_read_alike_or_the_difference_is_listed(data: bytes, to_head: bool) -> None:
    judge("response", data, to_head=to_head)


@settings(max_examples=400)
@given(CHUNKED)
def test_random_chunked_body_is_read_alike_or_the_difference_is_listed(body: bytes) -> None:
    judge("request", CHUNKED_HEAD + body)
