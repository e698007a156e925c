"""How much a client may send, and how it hears that it was too much."""

import contextlib
import socket
import threading

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
from tests.plane.harness import Peer, Plane, Upstream, small_buffers, until

pytestmark = pytest.mark.sanitize

SMALL = 'max_body = "1KiB"'
EXPECTING = b"Expect: 100-continue\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


def post(framing: bytes, *, path: bytes = b"/", more: bytes = b"") -> bytes:
    return b"POST " + path + b" HTTP/1.1\r\nHost: gateway.test\r\n" + more + framing + b"\r\n\r\n"


def test_body_that_says_it_is_too_large_is_refused_before_anything_is_sent_on() -> None:
    with Upstream() as upstream, Plane(one_upstream(upstream), SMALL) as plane:
        with plane.connect() as client:
            client.send(post(b"Content-Length: 1025"))
            is_refused(client, 413, "body_too_large")
        assert nobody_called(upstream)
        at_rest(plane)


def test_body_of_just_the_bound_passes() -> None:
    with Upstream() as upstream, Plane(one_upstream(upstream), SMALL) as plane:
        with plane.connect() as client:
            client.send(post(b"Content-Length: 1024") + b"b" * 1024)
            client.send(post(b"Transfer-Encoding: chunked") + b"400\r\n" + b"c" * 1024 + b"\r\n0\r\n\r\n")
            with upstream.accept() as server:
                for _ in range(2):
                    assert len(server.request()[2]) == 1024
                    server.send(OK)
                    assert client.answer().status == 200
        at_rest(plane)


def test_chunked_body_over_the_bound_is_refused_and_never_looks_whole() -> None:
    with Upstream() as upstream, Plane(one_upstream(upstream), SMALL) as plane:
        with plane.connect() as client:
            client.send(post(b"Transfer-Encoding: chunked") + b"200\r\n" + b"c" * 512 + b"\r\n")
            with upstream.accept() as server:
                server.until(b"c" * 512)
                client.send(b"201\r\n" + b"d" * 513 + b"\r\n0\r\n\r\n")
                is_refused(client, 413, "body_too_large")
                assert b"0\r\n\r\n" not in server.rest()
        at_rest(plane)


def test_route_may_allow_more_than_its_listener_and_less() -> None:
    for bound, size, status in (("2KiB", 2048, 200), ("10B", 11, 413)):
        with Upstream() as upstream, Plane(one_upstream(upstream, route=f'max_body = "{bound}"'), SMALL) as plane:
            with plane.connect() as client:
                client.send(post(b"Content-Length: %d" % size) + b"b" * size)
                if status == 200:
                    with upstream.accept() as server:
                        assert len(server.request()[2]) == size
                        server.send(OK)
                        assert client.answer().status == 200
                else:
                    is_refused(client, 413, "body_too_large")
            at_rest(plane)


def test_client_that_asks_before_sending_hears_100_once_the_upstream_is_there() -> None:
    with Upstream() as upstream, Plane(one_upstream(upstream)) as plane:
        with plane.connect() as client:
            client.send(post(b"Content-Length: 5", more=EXPECTING))
            with upstream.accept() as server:
                for is_last in (False, True):
                    assert client.until(b"\r\n\r\n") == CONTINUE
                    client.send(b"hello")
                    _, fields, body = server.request()
                    assert body == b"hello"
                    assert "Expect" not in dict(fields)
                    server.send(OK)
                    assert client.answer().status == 200
                    if not is_last:
                        client.send(post(b"Content-Length: 5", more=EXPECTING))
        at_rest(plane)


@pytest.mark.parametrize(
    ("request_", "status", "name"),
    [
        (post(b"Content-Length: 1025", more=EXPECTING), 413, "body_too_large"),
        (post(b"Content-Length: 5", more=EXPECTING, path=b"/nowhere"), 404, "no_route"),
        (post(b"Content-Length: 5", more=b"Expect: something\r\n"), 417, "bad_expect"),
    ],
)
def test_refusal_comes_instead_of_100(request_: bytes, status: int, name: str) -> None:
    with Upstream() as upstream, Plane(one_upstream(upstream, route='path = "/"'), SMALL) as plane:
        with plane.connect() as client:
            client.send(request_)
            is_refused(client, status, name)
        assert nobody_called(upstream)
        at_rest(plane)


def test_client_that_does_not_wait_for_100_is_served_like_any_other() -> None:
    with Upstream() as upstream, Plane(one_upstream(upstream)) as plane:
        with plane.connect() as client:
            client.send(post(b"Content-Length: 5", more=EXPECTING) + b"hello" + GET)
            with upstream.accept() as server:
                assert server.request()[2] == b"hello"
                server.send(OK)
                answer = client.answer()
                if answer.status == 100:
                    answer = client.answer()
                assert answer.body == b"ok"
                server.request()
                server.send(OK)
                assert client.answer().body == b"ok"
        at_rest(plane)


def test_answer_of_the_upstream_without_waiting_for_the_body_reaches_the_client() -> None:
    with Upstream() as upstream, Plane(one_upstream(upstream)) as plane:
        with plane.connect() as client:
            client.send(post(b"Content-Length: 100000") + b"x" * 1000)
            with upstream.accept() as server:
                server.until(b"\r\n\r\n")
                server.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
                answer = client.answer()
                assert (answer.status, answer.body) == (403, b"no")
                assert client.is_closed()
        at_rest(plane)


@pytest.mark.parametrize(
    ("bound", "head", "status", "name"),
    [
        ('max_head = "1KiB"', b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 1024 + b"\r\n\r\n", 431, "head_too_large"),
        ('max_uri = "64B"', b"GET /" + b"u" * 64 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414, "target_too_long"),
        ("max_headers = 3", b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: 1\r\n" * 3 + b"\r\n", 431, "too_many_fields"),
    ],
)
def test_head_over_a_bound_is_refused(bound: str, head: bytes, status: int, name: str) -> None:
    with Upstream() as upstream, Plane(one_upstream(upstream), bound) as plane:
        with plane.connect() as client:
            client.send(head)
            is_refused(client, status, name)
        assert nobody_called(upstream)
        at_rest(plane)


def test_endless_head_is_refused_at_its_bound() -> None:
    with Upstream() as upstream, Plane(one_upstream(upstream), 'max_head = "4KiB"') as plane:
        with plane.connect() as client:
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\n")
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                for i in range(10_000):
                    client.send(b"X-%d: 1\r\n" % i)
            answer = client.answer()
            assert (answer.status, problem_type(answer)) in ((431, "head_too_large"), (431, "too_many_fields"))
        assert nobody_called(upstream)
        at_rest(plane)


def test_connection_ends_after_the_requests_it_may_have() -> None:
    with Upstream() as upstream, Plane(one_upstream(upstream), "keepalive_requests = 3") as plane:
        with plane.connect() as client:
            client.send(GET * 4)
            with upstream.accept() as server:
                for left in (2, 1, 0):
                    server.request()
                    server.send(OK)
                    assert client.answer().get("Connection") == (None if left else "close")
                assert client.is_closed()
                server.sock.setblocking(False)
                with pytest.raises(BlockingIOError):
                    server.sock.recv(1)
        at_rest(plane)


def test_refused_upload_hears_why_every_time() -> None:
    """A close while the client is still sending would be a reset, which can overtake the answer and destroy it."""
    body = b"u" * (16 << 20)  # more than the kernel holds for both ends together
    with Upstream() as upstream, Plane(one_upstream(upstream), SMALL) as plane:
        for _ in range(200):
            with plane.connect() as client:
                client.send(post(b"Content-Length: %d" % len(body)))
                client.send(body)  # all of it: nobody told it to stop, and nobody may cut it off
                is_refused(client, 413, "body_too_large")
        assert nobody_called(upstream)
        at_rest(plane)


def test_refused_upload_in_chunks_hears_why_every_time() -> None:
    chunk = b"10000\r\n" + b"u" * 65536 + b"\r\n"
    with Upstream() as upstream, Plane(one_upstream(upstream), SMALL) as plane:
        for _ in range(20):
            with plane.connect() as client:
                client.send(post(b"Transfer-Encoding: chunked"))
                for _ in range(100):
                    client.send(chunk)
                is_refused(client, 413, "body_too_large")
        at_rest(plane)


def test_client_that_never_stops_sending_is_cut_off_in_the_end() -> None:
    bounds = SMALL + '\nlingering_timeout = "300ms"'
    with Upstream() as upstream, Plane(one_upstream(upstream), bounds) as plane:
        with plane.connect() as client:
            client.send(post(b"Content-Length: 100000000000"))
            with pytest.raises((BrokenPipeError, ConnectionResetError)):  # noqa: PT012
                while True:
                    client.send(b"u" * 65536)
        at_rest(plane)


def test_upload_through_a_slow_upstream_costs_bounded_memory() -> None:
    size = 64 << 20
    with Upstream() as upstream, Plane(one_upstream(upstream)) as plane:
        with plane.connect() as client:
            client.send(post(b"Content-Length: %d" % size))
            with upstream.accept() as server:
                server.until(b"\r\n\r\n")
                small_buffers(client, server)
                before = footprint()
                sent = upload(client, size)
                assert sent < 48 << 20, "bounded by the kernel's buffers; the gateway's own may be 36 MiB"
                assert grown_since(before) < 4 << 20
                taken = len(server.buffer)
                drain = threading.Thread(target=lambda: client.send(b"u" * (size - sent)))
                drain.start()
                while taken < size:
                    taken += len(server.sock.recv(1 << 20))
                drain.join()
                server.send(OK)
                assert client.answer().status == 200
        at_rest(plane)


def upload(client: Peer, size: int) -> int:
    """Sends until nobody takes anything for a while; how much that was."""
    sent = 0
    client.sock.settimeout(0.5)
    piece = b"u" * 65536
    with contextlib.suppress(TimeoutError):
        while sent < size:
            sent += client.sock.send(piece[: size - sent])
    client.sock.settimeout(30)
    return sent


def test_reset_is_not_lingered_over() -> None:
    with Upstream() as upstream, Plane(one_upstream(upstream), f'{SMALL}\nlingering_timeout = "1h"') as plane:
        client = plane.connect()
        client.send(post(b"Content-Length: 2000"))
        client.answer()
        client.sock.shutdown(socket.SHUT_WR)
        client.reset()
        until(lambda: plane.statistics().connections == 0, "gone")
        at_rest(plane)
