"""The options of ``[server]`` and ``[[listeners]]`` that clients feel, seen from outside."""

from __future__ import annotations

import socket
import time

import pytest
from tests.plane.harness import Peer, Plane, Upstream, until
from tests.plane.serving import GET, OK, gateway

pytestmark = pytest.mark.sanitize

FIXED = '[[routes]]\nname = "all"\nrespond = { body = "hello" }\n'


def ask(client: Peer) -> int:
    client.send(GET)
    return client.answer().status


def closed_after(client: Peer) -> float:
    began = time.monotonic()
    assert client.is_closed()
    return time.monotonic() - began


def test_max_connections() -> None:
    with Plane(FIXED, server="max_connections = 2") as plane, plane.connect() as first, plane.connect() as second:
        assert [ask(first), ask(second)] == [200, 200]
        with plane.connect() as third:  # the kernel takes it, the gateway does not yet
            third.send(GET)
            until(lambda: "max_connections" in plane.error_log.kinds(), "it is said")
            third.sock.settimeout(0.2)
            with pytest.raises(TimeoutError):
                third.sock.recv(1)
            assert plane.statistics().connections == 2
            first.close()
            third.sock.settimeout(10)
            assert third.answer().status == 200
        assert plane.error_log.kinds().count("max_connections") == plane.counters()["accept_pauses_full"] >= 1


@pytest.mark.parametrize(("host", "other"), [("127.0.0.1", "127.0.0.2"), ("::1", None)])
def test_max_connections_per_address(host: str, other: str | None) -> None:
    with Plane(FIXED, server="max_connections_per_address = 1", host=host) as plane, plane.connect() as first:
        assert ask(first) == 200
        with plane.connect() as second:
            assert second.is_closed()
        assert plane.counters()["connections_refused_address"] == 1
        if other is not None:
            with Peer(socket.create_connection((host, plane.port), 10, (other, 0))) as neighbour:
                assert ask(neighbour) == 200
        first.close()
        until(lambda: plane.statistics().connections == 0, "it has ended")
        with plane.connect() as third:
            assert ask(third) == 200


def test_head_timeout() -> None:
    with Plane(FIXED, listener='head_timeout = "200ms"') as plane, plane.connect() as client:
        client.send(b"GET /")
        assert client.answer().status == 408


def test_idle_timeout() -> None:
    with Plane(FIXED, listener='idle_timeout = "300ms"') as plane, plane.connect() as client:
        assert ask(client) == 200
        assert closed_after(client) > 0.2  # and before the 75 s of the default, as nobody waits here for longer than 60


def test_body_timeout() -> None:
    with (
        Upstream() as upstream,
        Plane(gateway(upstream.address), listener='body_timeout = "300ms"') as plane,
        plane.connect() as client,
    ):
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe")
        with upstream.accept() as server:
            server.head()
            assert client.answer().status == 408
            assert server.exactly(2) == b"he"
            assert server.is_closed()


@pytest.mark.parametrize(("setting", "is_cut"), [("100ms", True), ("60s", False)])
def test_lingering_timeout(setting: str, is_cut: bool) -> None:
    with Plane(FIXED, listener=f'lingering_timeout = "{setting}"\nmax_body = "1B"') as plane, plane.connect() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n")
        assert client.answer().status == 413
        assert client.is_closed()  # the gateway's half
        if is_cut:
            until(lambda: plane.statistics().connections == 0, "given up")
        else:
            time.sleep(0.5)  # nothing to wait for: it has to be still there
            client.send(b"x" * 1000)
            assert plane.statistics().connections == 1


@pytest.mark.parametrize("setting", ["serve", "abort"])
def test_half_close(setting: str) -> None:
    with (
        Upstream() as upstream,
        Plane(gateway(upstream.address), listener=f'half_close = "{setting}"') as plane,
        plane.connect() as client,
    ):
        client.send(GET)
        with upstream.accept() as server:
            server.request()
            client.sock.shutdown(socket.SHUT_WR)
            if setting == "abort":
                assert server.is_closed()
                assert client.is_closed()
                assert plane.counters()["client_aborts"] == 1
            else:
                server.send(OK)
                assert client.answer().body == b"ok"
                assert client.is_closed()
        until(plane.is_at_rest, "at rest")


def test_keepalive_requests() -> None:
    with Plane(FIXED, listener="keepalive_requests = 2") as plane, plane.connect() as client:
        client.send(GET * 3)
        assert client.answer().get("Connection") is None
        assert client.answer().get("Connection") == "close"
        assert client.is_closed()


@pytest.mark.parametrize(
    ("bound", "head", "status"),
    [
        ('max_head = "1KiB"', "GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n".format("x" * 1000), 431),
        ("max_headers = 3", "GET / HTTP/1.1\r\nHost: a\r\nA: 1\r\nB: 2\r\nC: 3\r\n\r\n", 431),
        ('max_uri = "64B"', "GET /{} HTTP/1.1\r\nHost: a\r\n\r\n".format("x" * 64), 414),
        ('max_body = "4B"', "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", 413),
    ],
)
def test_bounds_on_a_request(bound: str, head: str, status: int) -> None:
    for listener, expected in (("", 200), (bound, status)):
        with Plane(FIXED, listener=listener) as plane, plane.connect() as client:
            client.send(head.encode())
            assert client.answer().status == expected


def test_allow_underscores() -> None:
    for listener, expected in (("", None), ("allow_underscores = true", "1")):
        with (
            Upstream() as upstream,
            Plane(gateway(upstream.address), listener=listener) as plane,
            plane.connect() as client,
        ):
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\nX_User: 1\r\nX_Forwarded_For: 1.1.1.1\r\n\r\n")
            with upstream.accept() as server:
                fields = dict(server.request()[1])
                assert fields.get("X_User") == expected
                assert "X_Forwarded_For" not in fields
                server.send(OK)
                assert client.answer().status == 200


def test_trusted_proxies() -> None:
    for server_lines, expected in (("", "127.0.0.1"), ('trusted_proxies = ["127.0.0.0/8"]', "192.0.2.7, 127.0.0.1")):
        with (
            Upstream() as upstream,
            Plane(gateway(upstream.address), server=server_lines) as plane,
            plane.connect() as client,
        ):
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 192.0.2.7\r\n\r\n")
            with upstream.accept() as server:
                assert dict(server.request()[1])["X-Forwarded-For"] == expected
                server.send(OK)
                assert client.answer().status == 200
