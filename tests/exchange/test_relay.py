"""Bodies between two framings: however they are cut on the way in, they come out the same."""

import itertools
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.exchange.filtered import OK, filtered, get
from tests.plane.harness import Peer, Plane
from tests.plane.serving import Fields, Serving, gateway


def chunked(body: bytes, sizes: list[int], extension: bytes = b"") -> bytes:
    out = b""
    at = 0
    for size in sizes:
        piece = body[at : at + size]
        at += size
        if piece:
            out += b"%x%b\r\n%b\r\n" % (len(piece), extension, piece)
    if body[at:]:
        out += b"%X\r\n%b\r\n" % (len(body[at:]), body[at:])
    return out + b"0\r\n\r\n"


@settings(max_examples=15)
@given(
    body=st.binary(max_size=3000),
    sizes=st.lists(st.integers(1, 700), max_size=12),
    cuts=st.lists(st.integers(0, 4000), max_size=8),
)
def test_chunks_cut_anywhere_are_the_same_body(body: bytes, sizes: list[int], cuts: list[int]) -> None:
    """Up and down at once: the server sends back what it got, in the framing and pieces of the test."""
    whole = chunked(body, sizes, b";a=b")

    def pieces() -> list[bytes]:
        edges = sorted({0, len(whole), *(min(cut, len(whole)) for cut in cuts)})
        return [whole[a:b] for a, b in itertools.pairwise(edges)]

    def handle(peer: Peer, line: str, fields: Fields, got: bytes) -> None:
        assert got == body
        peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for piece in pieces():
            peer.send(piece)

    with Serving(handle) as serving, Plane(gateway(serving.address)) as plane, plane.connect() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        for piece in pieces():
            client.send(piece)
        assert client.answer().body == body
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + whole)
        assert client.answer().body == body


@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize("framing", ["length", "chunked", "close", "none"])
def test_framing_that_each_client_gets(version: str, framing: str) -> None:
    answers = {
        "length": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "close": b"HTTP/1.1 200 OK\r\n\r\nhello",
        "none": b"HTTP/1.1 204 No Content\r\n\r\n",
    }
    with filtered() as (plane, upstream), plane.connect() as client:
        client.send(get(version=version))
        with upstream.accept() as server:
            server.request()
            server.send(answers[framing])
            if framing == "close":
                server.close()
            answer = client.answer()
        assert answer.body == (b"" if framing == "none" else b"hello")
        expected = {
            ("length", "1.1"): ("5", None),
            ("length", "1.0"): ("5", None),
            ("chunked", "1.1"): (None, "chunked"),
            ("chunked", "1.0"): (None, None),
            ("close", "1.1"): (None, "chunked"),
            ("close", "1.0"): (None, None),
            ("none", "1.1"): (None, None),
            ("none", "1.0"): (None, None),
        }[framing, version]
        assert (answer.get("Content-Length"), answer.get("Transfer-Encoding")) == expected
        client.close()


def test_trailer_fields_end_here() -> None:
    with filtered() as (plane, upstream), plane.connect() as client:
        client.send(
            b"POST / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"2\r\nab\r\n0\r\nX-Sum: 1\r\nContent-Length: 9\r\n\r\n"
        )
        with upstream.accept() as server:
            _, fields, body = server.request()
            assert body == b"ab"
            assert not {"TE", "Trailer"} & {name for name, _ in fields}
            server.send(
                b"HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n"
                b"2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n"
            )
            answer = client.answer()
            assert (answer.body, answer.get("Trailer")) == (b"ok", None)
            client.send(get())
            server.request()
            server.send(OK)
            assert client.answer().status == 200
        client.close()


def test_next_request_behind_a_body_is_not_touched_by_it() -> None:
    """A body and the next request in one packet, cut at every place around their border."""
    first = b"POST /1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    second = b"POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\ndef"
    third = get("/3")
    whole = first + second + third
    with filtered() as (plane, upstream), plane.connect() as client:
        server: Peer | None = None
        for cut in [*range(len(first) - 14, len(first) + 6), len(whole)]:
            client.send(whole[:cut])
            time.sleep(0.003)  # two packets, two reads
            client.send(whole[cut:])
            server = server or upstream.accept()
            for path, expected in (("POST /1", b"abc"), ("POST /2", b"def"), ("GET /3", b"")):
                line, _, body = server.request()
                assert (line, body) == (f"{path} HTTP/1.1", expected)
                server.send(OK)
                assert client.answer().body == b"ok"
        assert server is not None
        server.close()
        client.close()
