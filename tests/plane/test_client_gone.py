"""Clients that go away, at every moment there is."""

import socket
from collections.abc import Callable

import pytest
from tests.plane.client_side import GET, OK, at_rest, nobody_called, one_upstream
from tests.plane.harness import Peer, Plane, Upstream, until

pytestmark = pytest.mark.sanitize

POST = b"POST / HTTP/1.1\r\nHost: gateway.test\r\nContent-Length: 1000000\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: gateway.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
LEAVE: dict[str, Callable[[Peer], None]] = {"reset": Peer.reset, "close": Peer.close}
STREAM = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"


@pytest.mark.parametrize("leave", LEAVE.values(), ids=LEAVE.keys())
@pytest.mark.parametrize("said", [b"", b"\r\n", b"GET", GET[:-2]], ids=["nothing", "empty line", "method", "most"])
def test_before_its_head_is_whole(leave: Callable[[Peer], None], said: bytes) -> None:
    with Upstream() as upstream, Plane(one_upstream(upstream)) as plane:
        client = plane.connect()
        client.send(said)
        until(lambda: plane.statistics().connections == 1, "accepted")
        leave(client)
        until(lambda: plane.statistics().connections == 0, "gone")
        assert nobody_called(upstream)
        at_rest(plane)
        assert plane.counters()["exchanges_started"] == 0


def test_with_a_reset_while_it_waits_for_the_answer() -> None:
    with Upstream() as upstream, Plane(one_upstream(upstream)) as plane:
        client = plane.connect()
        client.send(GET)
        with upstream.accept() as server:
            server.request()
            client.reset()
            assert server.is_closed()
        at_rest(plane)
        assert plane.counters()["client_aborts"] == 1


def test_with_a_close_while_it_waits_is_found_out_when_the_answer_comes() -> None:
    """A close looks like a half-close until something is written: the request is served to its end."""
    with Upstream() as upstream, Plane(one_upstream(upstream)) as plane:
        client = plane.connect()
        client.send(GET)
        with upstream.accept() as server:
            server.request()
            client.close()
            server.send(OK)
            until(lambda: plane.statistics().connections == 0, "gone")
            with plane.connect() as other:
                other.send(GET)
                server.request()
                server.send(OK)
                assert other.answer().body == b"ok"
        at_rest(plane)


def test_while_the_upstream_is_being_dialled() -> None:
    """A server whose queue is full neither accepts nor refuses."""
    with Upstream(backlog=0) as upstream, Plane(one_upstream(upstream)) as plane:
        fill = [socket.socket() for _ in range(3)]
        for sock in fill:
            sock.setblocking(False)
            sock.connect_ex(upstream.listening.getsockname())
        client = plane.connect()
        client.send(GET)
        until(lambda: plane.statistics().exchanges == 1, "waits for the dial")
        client.reset()
        until(lambda: plane.statistics().exchanges == 0, "gone")
        for sock in fill:
            sock.close()
        at_rest(plane)


def test_while_it_waits_for_a_connection_of_a_full_pool() -> None:
    settings = "pool = { max = 1, wait = 10 }"
    with Upstream() as upstream, Plane(one_upstream(upstream, settings=settings)) as plane:
        with plane.connect() as first:
            first.send(GET)
            with upstream.accept() as server:
                server.request()
                second = plane.connect()
                second.send(GET)
                until(lambda: plane.statistics().pools[0].waiting == 1, "waits")
                second.reset()
                until(lambda: plane.statistics().pools[0].waiting == 0, "waits no more")
                server.send(OK)
                assert first.answer().body == b"ok"
                first.send(GET)
                server.request()
                server.send(OK)
                assert first.answer().body == b"ok"
        at_rest(plane)


@pytest.mark.parametrize("leave", LEAVE.values(), ids=LEAVE.keys())
@pytest.mark.parametrize("said", [POST, POST + b"x" * 1000, CHUNKED], ids=["no body", "some", "chunks"])
def test_in_the_middle_of_its_body(leave: Callable[[Peer], None], said: bytes) -> None:
    with Upstream() as upstream, Plane(one_upstream(upstream)) as plane:
        client = plane.connect()
        client.send(said)
        with upstream.accept() as server:
            server.until(b"\r\n\r\n")
            leave(client)
            try:
                seen = server.rest()
            except ConnectionResetError:
                seen = server.buffer
            assert b"0\r\n\r\n" not in seen
        at_rest(plane)
        assert plane.counters()["client_aborts"] == 1


@pytest.mark.parametrize("leave", LEAVE.values(), ids=LEAVE.keys())
def test_in_the_middle_of_its_answer(leave: Callable[[Peer], None]) -> None:
    with Upstream() as upstream, Plane(one_upstream(upstream)) as plane:
        client = plane.connect()
        client.send(GET)
        with upstream.accept() as server:
            server.request()
            server.send(STREAM)
            client.until(b"abc")
            leave(client)

            def is_cut() -> bool:
                try:
                    server.send(b"3\r\nabc\r\n")
                except OSError:
                    return True
                return False

            until(is_cut, "the upstream's connection is cut")
        at_rest(plane)
        assert plane.counters()["client_aborts"] == 1


def test_in_the_middle_of_an_answer_that_it_does_not_take() -> None:
    with Upstream() as upstream, Plane(one_upstream(upstream)) as plane:
        client = plane.connect()
        client.send(GET)
        with upstream.accept() as server:
            server.request()
            server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
            server.sock.settimeout(0.3)
            with pytest.raises(TimeoutError):
                server.sock.sendall(b"x" * 50_000_000)
            client.reset()
            server.sock.settimeout(10)
            with pytest.raises(OSError, match=r"."):
                server.sock.sendall(b"x" * 50_000_000)
        at_rest(plane)


def test_while_it_is_lingered_over() -> None:
    with Upstream() as upstream, Plane(one_upstream(upstream), 'max_body = "10B"') as plane:
        client = plane.connect()
        client.send(POST + b"x" * 100)
        assert client.answer().status == 413
        client.reset()
        until(lambda: plane.statistics().connections == 0, "gone")
        at_rest(plane)


@pytest.mark.parametrize("leave", LEAVE.values(), ids=LEAVE.keys())
@pytest.mark.parametrize("said", [GET, POST, GET * 2], ids=["waiting", "sending", "pipelining"])
def test_where_a_half_close_is_an_abort_every_way_to_leave_is_one(leave: Callable[[Peer], None], said: bytes) -> None:
    with Upstream() as upstream, Plane(one_upstream(upstream), 'half_close = "abort"') as plane:
        for _ in range(20):
            client = plane.connect()
            client.send(said)
            with upstream.accept() as server:
                server.until(b"\r\n\r\n")
                leave(client)
                assert server.is_closed()
        at_rest(plane)
        assert plane.counters()["client_aborts"] == 20
