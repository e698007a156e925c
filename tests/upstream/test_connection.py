"""One connection to a peer. (What becomes of it in trouble: tests/plane/test_upstream_*.)"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator

import pytest
from tests.plane.harness import Peer, Plane, Upstream, until
from tests.plane.serving import GET, OK, Serving, answering, gateway

from tidegate.upstream.connection import DialSettings


def test_dial_settings_are_what_the_kernel_wants() -> None:
    settings = DialSettings(1.5, 60.0, 30.0)
    assert (settings.connect_timeout_ms, settings.keepalive_s, settings.user_timeout_ms) == (1500, 60, 30_000)
    off = DialSettings(1.5)
    assert (off.keepalive_s, off.user_timeout_ms) == (0, 0)
    assert DialSettings(1.0, 0.2).keepalive_s == 1  # less than a second is not to be had, and is not "off"


@contextlib.contextmanager
def dialled_socket(port: int) -> Iterator[socket.socket]:
    """The gateway's end of its connection to this port: it is in this process."""
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208
        with contextlib.suppress(OSError):
            sock = socket.socket(fileno=os.dup(int(name)))
            with sock:
                if sock.getpeername()[1:2] == (port,) and sock.getsockname()[1] != port:
                    yield sock
                    return
    raise AssertionError("there is no such connection")


@pytest.mark.parametrize("is_on", [True, False])
def test_dead_connections_are_found_out_by_the_kernel(is_on: bool) -> None:
    tcp = (
        'tcp = { keepalive = "20s", user_timeout = "7s" }'
        if is_on
        else 'tcp = { keepalive = "off", user_timeout = "off" }'
    )
    with Upstream() as upstream, Plane(gateway(upstream.address, upstream=tcp)) as plane, plane.connect() as client:
        client.send(GET)
        with upstream.accept() as server:
            server.request()
            with dialled_socket(upstream.port) as sock:
                assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
                assert bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)) is is_on
                assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == (7000 if is_on else 0)
                if is_on:
                    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 20
                    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL) == 5
            server.send(OK)
            assert client.answer().status == 200


def test_head_that_comes_byte_by_byte_is_one_head() -> None:
    answer = b"HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\nHTTP/1.1 200 OK\r\nX-A: b\r\nContent-Length: 5\r\n\r\nhello"
    with Upstream() as upstream, Plane(gateway(upstream.address)) as plane, plane.connect() as client:
        client.send(GET)
        with upstream.accept() as server:
            server.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for _ in range(3):
                server.request()
                for at in range(len(answer)):
                    server.send(answer[at : at + 1])
                assert client.answer().status == 103
                got = client.answer()
                assert (got.status, got.get("X-A"), got.body) == (200, "b", b"hello")
                client.send(GET)
            assert sum(pool.dialled for pool in plane.statistics().pools) == 1


def test_ipv6(tmp_path: object) -> None:
    with contextlib.suppress(OSError), socket.create_server(("::1", 0), family=socket.AF_INET6) as listening:
        port = listening.getsockname()[1]
        with Plane(gateway(f"[::1]:{port}")) as plane, plane.connect() as client:
            client.send(GET)
            with Peer(listening.accept()[0]) as server:
                server.request()
                server.send(OK)
                assert client.answer().status == 200
            until(lambda: plane.log_records(1)[0]["endpoint"] == f"[::1]:{port}", "logged")
        return
    pytest.skip("no IPv6 here")


def test_unix_socket_connections_are_kept_like_others(tmp_path: object) -> None:
    with Serving(answering(), path=f"{tmp_path}/s") as serving, Plane(gateway(serving.address)) as plane:
        for _ in range(20):
            assert plane.get().body == b"ok"
        assert serving.accepted == 1
        until(plane.is_at_rest, "at rest")
