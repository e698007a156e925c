"""Requests behind each other on one connection, and clients that end their half of it."""

import contextlib
import socket
import threading
import time

import pytest
from tests.plane.client_side import GET, OK, at_rest, one_upstream
from tests.plane.footprint import footprint, grown_since
from tests.plane.harness import Peer, Plane, Upstream, until

pytestmark = pytest.mark.sanitize

LOCAL = """
[[routes]]
name = "here"
path = "/here/*"
respond = { status = 200, body = "here" }
"""


def numbered(server: Peer, count: int) -> None:
    """Answers ``count`` requests with their own path as body."""
    for _ in range(count):
        path = server.request()[0].split(" ")[1].encode()
        server.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(path), path))


def test_a_thousand_requests_in_one_write_are_answered_in_order() -> None:
    count = 1000
    with Upstream() as upstream, Plane(one_upstream(upstream)) as plane:
        with plane.connect() as client:
            client.send(b"".join(b"GET /%d HTTP/1.1\r\nHost: gateway.test\r\n\r\n" % i for i in range(count)))
            with upstream.accept() as server:
                answering = threading.Thread(target=numbered, args=(server, count))
                answering.start()
                assert [client.answer().body for _ in range(count)] == [b"/%d" % i for i in range(count)]
                answering.join()
        at_rest(plane)


def test_a_thousand_requests_that_the_gateway_answers_itself_keep_their_order() -> None:
    count = 1000
    with Upstream() as upstream, Plane(one_upstream(upstream, more=LOCAL)) as plane:
        with plane.connect() as client:
            client.send(b"".join(b"GET /here/%d HTTP/1.1\r\nHost: gateway.test\r\n\r\n" % i for i in range(count)))
            for _ in range(count):
                assert client.answer().body == b"here"
        at_rest(plane)
        assert plane.counters()["exchanges_started"] == count


def test_answers_of_gateway_and_upstream_keep_the_order_of_their_requests() -> None:
    with Upstream() as upstream, Plane(one_upstream(upstream, more=LOCAL)) as plane:
        with plane.connect() as client:
            client.send(GET + b"GET /here/1 HTTP/1.1\r\nHost: gateway.test\r\n\r\n" + GET)
            with upstream.accept() as server:
                server.request()
                server.send(OK)
                assert [client.answer().body, client.answer().body] == [b"ok", b"here"]
                server.request()
                server.send(OK)
                assert client.answer().body == b"ok"
        at_rest(plane)


@pytest.mark.parametrize(
    "body", [b"Content-Length: 5\r\n\r\nhello", b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"]
)
@pytest.mark.parametrize("cut", [1, 20, 60, 75, 80, 90])
def test_request_behind_a_body_is_the_next_request(body: bytes, cut: int) -> None:
    message = (b"POST / HTTP/1.1\r\nHost: gateway.test\r\n" + body) * 2 + GET
    with Upstream() as upstream, Plane(one_upstream(upstream)) as plane:
        with plane.connect() as client:
            client.send(message[:cut])
            until(lambda: plane.statistics().connections == 1, "accepted")
            client.send(message[cut:])
            with upstream.accept() as server:
                for _ in range(2):
                    assert server.request()[2] == b"hello"
                    server.send(OK)
                    assert client.answer().body == b"ok"
                assert server.request()[0] == "GET / HTTP/1.1"
                server.send(OK)
                assert client.answer().body == b"ok"
        at_rest(plane)


def test_body_of_a_request_that_is_answered_here_is_not_the_next_request() -> None:
    message = b"POST /here/ HTTP/1.1\r\nHost: gateway.test\r\nContent-Length: %d\r\n\r\n%b" % (len(GET), GET)
    with Upstream() as upstream, Plane(one_upstream(upstream, more=LOCAL)) as plane:
        with plane.connect() as client:
            client.send(message + b"GET /here/2 HTTP/1.1\r\nHost: gateway.test\r\n\r\n")
            assert [client.answer().body, client.answer().body] == [b"here", b"here"]
        at_rest(plane)
        assert plane.counters()["exchanges_started"] == 2


def test_half_close_after_the_request_is_no_abort() -> None:
    with Upstream() as upstream, Plane(one_upstream(upstream)) as plane:
        with plane.connect() as client:
            client.send(GET)
            client.sock.shutdown(socket.SHUT_WR)
            with upstream.accept() as server:
                server.request()
                until(lambda: plane.statistics().exchanges == 1, "in flight")
                server.send(OK)
                assert client.answer().body == b"ok"
                assert client.is_closed()
        at_rest(plane)


def test_half_close_behind_pipelined_requests_answers_them_all() -> None:
    with Upstream() as upstream, Plane(one_upstream(upstream)) as plane:
        with plane.connect() as client:
            client.send(GET * 5)
            client.sock.shutdown(socket.SHUT_WR)
            with upstream.accept() as server:
                for _ in range(5):
                    server.request()
                    server.send(OK)
                    assert client.answer().body == b"ok"
                assert client.is_closed()
        at_rest(plane)


@pytest.mark.parametrize("version", ["1.1", "1.0"])
@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
def test_half_closed_client_that_reads_slowly_gets_the_whole_answer(version: str, framing: str) -> None:
    """What the kernel does not take at once is not lost because the client has nothing more to say."""
    size = 120_000
    body = b"z" * size
    answer = {
        "length": b"Content-Length: %d\r\n\r\n%b" % (size, body),
        "chunked": b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (size, body),
        "close": b"\r\n" + body,
    }[framing]
    with Upstream() as upstream, Plane(one_upstream(upstream)) as plane:
        # The buffers of both ends together are smaller than the answer, so that a part of it waits in the gateway.
        plane.listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16384)
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
        sock.connect((plane.host, plane.port))
        with Peer(sock) as client:
            client.send(f"GET / HTTP/{version}\r\nHost: gateway.test\r\n\r\n".encode())
            client.sock.shutdown(socket.SHUT_WR)
            with upstream.accept() as server:
                server.request()
                server.send(b"HTTP/1.1 200 OK\r\n" + answer)
                server.close()
                until(lambda: plane.statistics().exchanges == 0, "handed over")
                for _ in range(5):
                    plane.statistics()  # turns of the loop, in which it must not end the connection
                assert client.answer().body == body
                assert client.is_closed()
        at_rest(plane)


def test_client_that_asks_and_asks_but_never_reads_costs_bounded_memory() -> None:
    """Pipelined requests wait until the answers before them are taken: else each adds its answer to what waits."""
    size = 100_000
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (size, b"q" * size)
    with Upstream() as upstream, Plane(one_upstream(upstream), 'body_timeout = "2s"') as plane:
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
        sock.connect((plane.host, plane.port))
        with Peer(sock) as client:
            client.send(GET * 1000)
            with upstream.accept() as server:
                before = footprint()
                served = 0
                server.sock.settimeout(1)
                with contextlib.suppress(TimeoutError):
                    while served < 1000:
                        server.request()
                        server.send(answer)
                        served += 1
                assert served < 100, "requests behind an answer that nobody takes have to wait"
                assert grown_since(before) < 8 << 20
                # and it goes on as soon as the client reads
                server.sock.settimeout(10)

                def serve() -> None:
                    while True:
                        try:
                            server.request()
                            server.send(answer)
                        except (EOFError, OSError):
                            return

                serving = threading.Thread(target=serve)
                serving.start()
                for _ in range(1000):
                    assert len(client.answer().body) == size
                client.close()
                until(lambda: plane.statistics().connections == 0, "gone")
                server.sock.shutdown(socket.SHUT_RDWR)
                serving.join()
        at_rest(plane)


def test_client_that_asks_and_never_reads_is_cut_off() -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"q" * 100_000
    with Upstream() as upstream, Plane(one_upstream(upstream), 'body_timeout = "400ms"') as plane:
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
        sock.connect((plane.host, plane.port))
        with Peer(sock) as client:
            client.send(GET * 100)
            with upstream.accept() as server:
                server.sock.settimeout(0.2)
                with contextlib.suppress(TimeoutError):
                    while True:
                        server.request()
                        server.send(answer)
            until(lambda: plane.statistics().connections == 0, "cut off")
        at_rest(plane)


def test_idle_time_begins_when_the_answer_has_been_taken() -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 400000\r\n\r\n" + b"q" * 400_000
    bounds = 'body_timeout = "300ms"\nidle_timeout = "5s"'
    with Upstream() as upstream, Plane(one_upstream(upstream), bounds) as plane:
        plane.listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16384)
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
        sock.connect((plane.host, plane.port))
        with Peer(sock) as client:
            client.send(GET)
            with upstream.accept() as server:
                server.request()
                server.send(answer)
                client.sock.recv(1000)
                client.buffer = b""
                assert len(client.exactly(390_000)) == 390_000
                began = time.monotonic()
                while time.monotonic() < began + 0.7:
                    assert plane.statistics().connections == 1
                    time.sleep(0.05)
        at_rest(plane)
