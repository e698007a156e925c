"""A client's connection: any cut of the bytes is the same requests, and no exchange gets what another left."""

import itertools
import socket
import threading
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.plane.client_side import GET, OK, at_rest, one_upstream
from tests.plane.harness import Peer, Plane, Upstream, until

UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: gateway.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"


class Echo(threading.Thread):
    """An upstream that answers every request with its method and body."""

    def __init__(self, upstream: Upstream) -> None:
        super().__init__(daemon=True)
        self.listening = upstream.listening
        self.listening.settimeout(None)

    def run(self) -> None:
        while True:
            try:
                sock, _ = self.listening.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(Peer(sock),), daemon=True).start()

    def serve(self, server: Peer) -> None:
        with server:
            while True:
                try:
                    line, _, body = server.request()
                    answer = line.split(" ")[1].encode() + b"|" + body
                    server.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(answer), answer))
                except (EOFError, OSError):
                    return


@pytest.fixture(scope="module")
def echoing() -> Iterator[Plane]:
    with Upstream() as upstream:
        echo = Echo(upstream)
        echo.start()
        here = '\n[[routes]]\nname = "here"\npath = "/here/*"\nrespond = { status = 200, body = "here" }\n'
        with Plane(one_upstream(upstream, more=here)) as plane:
            yield plane
            at_rest(plane)
        upstream.listening.shutdown(socket.SHUT_RDWR)


BODY = st.binary(max_size=300)
REQUEST = st.one_of(
    st.tuples(st.just("get"), st.just(b"")),
    st.tuples(st.just("here"), BODY),
    st.tuples(st.just("length"), BODY),
    st.tuples(st.just("chunked"), BODY),
)


def spelled(number: int, kind: str, body: bytes) -> tuple[bytes, bytes]:
    """A request on the wire, and the body of its answer."""
    host = b" HTTP/1.1\r\nHost: a\r\n"
    if kind == "get":
        return b"GET /%d" % number + host + b"\r\n", b"/%d|" % number
    if kind == "here":
        return b"POST /here/" + host + b"Content-Length: %d\r\n\r\n%b" % (len(body), body), b"here"
    answer = b"/%d|%b" % (number, body)
    if kind == "length":
        return b"POST /%d" % number + host + b"Content-Length: %d\r\n\r\n%b" % (len(body), body), answer
    half = len(body) // 2
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (body[:half], body[half:]) if piece)
    return b"POST /%d" % number + host + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n", answer


@given(requests=st.lists(REQUEST, min_size=1, max_size=8), cuts=st.lists(st.integers(0, 4000), max_size=6))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_however_the_bytes_are_cut_they_are_the_same_requests(
    echoing: Plane, requests: list[tuple[str, bytes]], cuts: list[int]
) -> None:
    wire, wanted = zip(*(spelled(i, kind, body) for i, (kind, body) in enumerate(requests)), strict=True)
    message = b"".join(wire)
    places = sorted({0, len(message), *(cut % len(message) for cut in cuts)})
    with echoing.connect() as client:
        client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        got: list[bytes] = []
        ended = False
        for begin, end in itertools.pairwise(places):
            client.send(message[begin:end])
            echoing.call(lambda: None)  # a turn of the gateway's loop between two pieces
        for _ in wanted:
            answer = client.answer()
            assert answer.status == 200
            got.append(answer.body)
            if answer.get("Connection") == "close":
                ended = True  # a body that had not come whole when the gateway answered by itself
                break
        assert got == list(wanted[: len(got)])
        assert ended or len(got) == len(wanted)
        if ended:
            assert requests[len(got) - 1][0] == "here"


def test_tunnel_that_ended_leaves_nothing_to_the_next_exchange() -> None:
    """Its object is used again: a request that it took for sent whole would give its connection back."""
    with Upstream() as upstream, Plane(one_upstream(upstream)) as plane:
        with plane.connect() as client:
            client.send(UPGRADE)
            with upstream.accept() as server:
                server.request()
                server.send(SWITCH)
                client.head()
                server.sock.shutdown(socket.SHUT_WR)
                assert client.rest() == b""
                client.sock.shutdown(socket.SHUT_WR)
                until(lambda: plane.statistics().exchanges == 0, "the tunnel has ended")
        with plane.connect() as client:
            client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 30\r\n\r\n")
            with upstream.accept() as server:
                server.until(b"\r\n\r\n")
                server.send(OK)
                assert client.answer().body == b"ok"
                assert server.is_closed(), "a connection whose request is not whole is used for no other"
        at_rest(plane)


def test_bytes_behind_the_request_to_upgrade_go_through_the_tunnel() -> None:
    with Upstream() as upstream, Plane(one_upstream(upstream)) as plane:
        with plane.connect() as client:
            client.send(UPGRADE + b"early")
            with upstream.accept() as server:
                server.request()
                server.send(SWITCH + b"hello")
                assert client.head()[0].startswith("HTTP/1.1 101")
                assert client.exactly(5) == b"hello"
                assert server.exactly(5) == b"early"
        at_rest(plane)


@pytest.mark.parametrize("who_first", ["client", "upstream"])
def test_last_words_of_a_tunnel_reach_a_client_that_reads_slowly(who_first: str) -> None:
    size = 120_000
    with Upstream() as upstream, Plane(one_upstream(upstream)) as plane:
        plane.listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16384)
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
        sock.connect((plane.host, plane.port))
        with Peer(sock) as client:
            client.send(UPGRADE)
            with upstream.accept() as server:
                server.request()
                server.send(SWITCH)
                client.head()
                if who_first == "client":
                    client.sock.shutdown(socket.SHUT_WR)
                    assert server.rest() == b""
                server.send(b"w" * size)
                server.sock.shutdown(socket.SHUT_WR)
                for _ in range(20):
                    plane.statistics()  # turns of the loop, in which it must not end the connection
                assert client.exactly(size) == b"w" * size
                assert client.rest() == b""
        at_rest(plane)


def test_answer_that_comes_while_its_request_is_being_sent_does_not_end_the_upload() -> None:
    with Upstream() as upstream, Plane(one_upstream(upstream)) as plane:
        with plane.connect() as client:
            client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello")
            with upstream.accept() as server:
                server.until(b"hello")
                server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nok")
                assert client.until(b"ok")
                client.send(b"world" + GET)
                assert server.exactly(5) == b"world"
                server.send(b"ay")
                assert client.exactly(2) == b"ay"
                assert server.request()[0] == "GET / HTTP/1.1"
                server.send(OK)
                assert client.answer().body == b"ok"
        at_rest(plane)
