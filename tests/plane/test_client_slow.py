"""Clients that take their time, and what each may take."""

import contextlib
import socket
import time

import pytest
from tests.plane.client_side import (
    GET,
    OK,
    at_rest,
    is_refused,
    nobody_called,
    one_upstream,
    problem_type,
)
from tests.plane.footprint import footprint, grown_since
from tests.plane.harness import Peer, Plane, Upstream, small_buffers

pytestmark = pytest.mark.sanitize

QUICK = 'head_timeout = "300ms"\nbody_timeout = "300ms"\nidle_timeout = "300ms"\nlingering_timeout = "300ms"'


def asked(upstream: Upstream, client: Peer) -> Peer:
    """The upstream's end of a request that the client has just sent."""
    client.send(GET)
    server = upstream.accept()
    server.request()
    return server


def test_half_a_head_is_answered_408() -> None:
    with Upstream() as upstream, Plane(one_upstream(upstream), QUICK) as plane:
        with plane.connect() as client:
            client.send(GET[:-1])
            is_refused(client, 408, "head_timeout")
        assert nobody_called(upstream)
        at_rest(plane)


def test_half_a_second_head_is_answered_408() -> None:
    with Upstream() as upstream, Plane(one_upstream(upstream), QUICK) as plane:
        with plane.connect() as client:
            client.send(GET + GET[:10])
            with upstream.accept() as server:
                server.request()
                server.send(OK)
                assert client.answer().status == 200
                is_refused(client, 408, "head_timeout")
        at_rest(plane)


def test_head_that_trickles_in_is_answered_408() -> None:
    """The bound is on the whole head: a byte now and then does not move it."""
    began = time.monotonic()
    with Upstream() as upstream, Plane(one_upstream(upstream), QUICK) as plane:
        with plane.connect() as client:
            client.send(GET[:-2])
            client.sock.settimeout(0.05)
            answered = False
            while not answered and time.monotonic() < began + 30:
                client.send(b"x")
                try:
                    answered = bool(client.sock.recv(1, socket.MSG_PEEK))
                except TimeoutError:
                    client.send(b": 1\r\n")
            client.sock.settimeout(30)
            is_refused(client, 408, "head_timeout")
            assert 0.25 < time.monotonic() - began < 25
        assert nobody_called(upstream)
        at_rest(plane)


def test_client_that_says_nothing_is_closed_without_a_word() -> None:
    with Upstream() as upstream, Plane(one_upstream(upstream), QUICK) as plane:
        with plane.connect() as client:
            assert client.rest() == b""
        at_rest(plane)
        assert plane.counters()["exchanges_started"] == 0


def test_client_that_says_nothing_more_is_closed_without_a_word() -> None:
    with Upstream() as upstream, Plane(one_upstream(upstream), QUICK) as plane:
        with plane.connect() as client:
            client.send(GET)
            with upstream.accept() as server:
                server.request()
                server.send(OK)
                assert client.answer().status == 200
                assert client.rest() == b""
        at_rest(plane)
        assert plane.counters()["exchanges_started"] == 1


@pytest.mark.parametrize("framing", ["Content-Length: 10", "Transfer-Encoding: chunked"])
def test_body_that_stops_is_answered_408_and_its_request_never_looks_whole(framing: str) -> None:
    with Upstream() as upstream, Plane(one_upstream(upstream), QUICK) as plane:
        with plane.connect() as client:
            body = "5\r\nhello\r\n" if "chunked" in framing else "hello"
            client.send(f"POST / HTTP/1.1\r\nHost: gateway.test\r\n{framing}\r\n\r\n{body}".encode())
            with upstream.accept() as server:
                server.until(b"hello")
                is_refused(client, 408, "request_body_timeout")
                assert server.rest() in (b"", b"\r\n")
        at_rest(plane)


def test_body_that_never_begins_is_answered_408() -> None:
    with Upstream() as upstream, Plane(one_upstream(upstream), QUICK) as plane:
        with plane.connect() as client:
            client.send(b"POST / HTTP/1.1\r\nHost: gateway.test\r\nContent-Length: 10\r\n\r\n")
            is_refused(client, 408, "request_body_timeout")
        at_rest(plane)


def test_slow_client_is_not_the_upstreams_fault() -> None:
    """Its endpoint answers the next one: a single failure counted against it would show in the balance."""
    with Upstream() as upstream, Plane(one_upstream(upstream), QUICK) as plane:
        with plane.connect() as client:
            client.send(b"POST / HTTP/1.1\r\nHost: gateway.test\r\nContent-Length: 10\r\n\r\n")
            is_refused(client, 408, "request_body_timeout")
        at_rest(plane)
        assert not [kind for kind in plane.error_log.kinds() if kind.startswith("upstream")]


def test_body_byte_by_byte_arrives_whole() -> None:
    """The bound is on the wait between two reads, not on the body."""
    body = bytes(range(256)) * 2
    with Upstream() as upstream, Plane(one_upstream(upstream), QUICK) as plane:
        with plane.connect() as client:
            client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            client.send(b"POST / HTTP/1.1\r\nHost: gateway.test\r\nContent-Length: %d\r\n\r\n" % len(body))
            for i in range(len(body)):
                client.send(body[i : i + 1])
                if i % 128 == 127:
                    time.sleep(0.1)  # the pace is what is tested: 0.4 s in all, more than one wait may take
            with upstream.accept() as server:
                assert server.request()[2] == body
                server.send(OK)
                assert client.answer().status == 200
        at_rest(plane)


def test_chunks_byte_by_byte_arrive_whole() -> None:
    with Upstream() as upstream, Plane(one_upstream(upstream), QUICK) as plane:
        with plane.connect() as client:
            client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            message = b"POST / HTTP/1.1\r\nHost: gateway.test\r\nTransfer-Encoding: chunked\r\n\r\n"
            message += b'5;a="b"\r\nhello\r\n1\r\n \r\n00a\r\n0123456789\r\n0\r\nX-Trailer: 1\r\n\r\n'
            for i in range(len(message)):
                client.send(message[i : i + 1])
            with upstream.accept() as server:
                _line, fields, body = server.request()
                assert body == b"hello 0123456789"
                assert "X-Trailer" not in dict(fields)
                server.send(OK)
                assert client.answer().status == 200
        at_rest(plane)


def test_head_byte_by_byte_is_a_request_like_any_other() -> None:
    with Upstream() as upstream, Plane(one_upstream(upstream)) as plane:
        with plane.connect() as client:
            client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for byte in GET * 2:
                client.send(bytes([byte]))
            with upstream.accept() as server:
                for _ in range(2):
                    assert server.request()[0] == "GET / HTTP/1.1"
                    server.send(OK)
                    assert client.answer().status == 200
        at_rest(plane)


def test_client_that_never_reads_is_cut_off_and_costs_bounded_memory() -> None:
    size = 100 << 20
    quick = 'body_timeout = "1s"'
    with Upstream() as upstream, Plane(one_upstream(upstream), quick) as plane:
        with plane.connect() as client, asked(upstream, client) as server:
            small_buffers(client, server)
            server.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
            before = footprint()
            piece = b"x" * (1 << 20)
            sent = 0
            server.sock.settimeout(5)
            with pytest.raises((BrokenPipeError, ConnectionResetError)):  # noqa: PT012
                while sent < size:
                    server.sock.sendall(piece)
                    sent += len(piece)
            assert sent < 16 << 20, "what the gateway takes is bounded by what its client takes"
            assert grown_since(before) < 4 << 20
        at_rest(plane)
        assert '"status":200' in plane.log_lines(1)[0].replace(" ", "")


def test_client_that_reads_slowly_gets_it_all() -> None:
    size = 6 << 20
    with Upstream() as upstream, Plane(one_upstream(upstream), 'body_timeout = "500ms"') as plane:
        with plane.connect() as client:
            client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            client.send(GET)
            with upstream.accept() as server:
                server.request()
                server.sock.settimeout(0.0)
                payload = memoryview(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + b"y" * size)
                got = 0
                while got < size + 40:
                    with contextlib.suppress(BlockingIOError):
                        payload = payload[server.sock.send(payload[: 1 << 20]) :] if payload else payload
                    got += len(client.sock.recv(65536))
                    time.sleep(0.005)  # slower than the upstream, in all longer than the bound on one wait
                assert got >= size
        at_rest(plane)


def test_whole_exchange_has_a_deadline() -> None:
    with Upstream() as upstream, Plane(one_upstream(upstream, route='timeout = "300ms"')) as plane:
        with plane.connect() as client:
            client.send(GET * 2)
            with upstream.accept() as server:
                server.request()
                answer = client.answer()
                assert (answer.status, problem_type(answer)) == (504, "http_response_timeout")
                assert (answer.get("Proxy-Status") or "").startswith("tidegate; error=http_response_timeout")
                assert server.is_closed()
            # The connection of the client is none the worse for it.
            with upstream.accept() as server:
                server.request()
                server.send(OK)
                assert client.answer().status == 200
        at_rest(plane)


def test_deadline_in_the_middle_of_an_answer_cuts_it_visibly() -> None:
    with Upstream() as upstream, Plane(one_upstream(upstream, route='timeout = "300ms"')) as plane:
        with plane.connect() as client:
            client.send(GET)
            with upstream.accept() as server:
                server.request()
                server.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
                with pytest.raises(EOFError):
                    client.answer()
                assert server.is_closed()
        at_rest(plane)


def test_events_are_exempt_from_the_deadline_of_the_whole() -> None:
    with Upstream() as upstream, Plane(one_upstream(upstream, route='timeout = "200ms"')) as plane:
        with plane.connect() as client:
            client.send(GET)
            with upstream.accept() as server:
                server.request()
                server.send(
                    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
                    b"Transfer-Encoding: chunked\r\n\r\n"
                )
                client.head()
                began = time.monotonic()
                while time.monotonic() < began + 0.6:
                    server.send(b"6\r\nid: 1\n\r\n")
                    assert client.until(b"id: 1\n\r\n")
                server.send(b"0\r\n\r\n")
                assert client.exactly(5) == b"0\r\n\r\n"
        at_rest(plane)
