"""Large bodies that nobody looks at: moved by the kernel, whole and in order, however slow either side is."""

import hashlib
import socket
import threading

import pytest
from tests.plane.harness import Peer, Plane, Upstream, until

CONFIG = """
[upstreams.a]
endpoints = ["{address}"]

[[routes]]
name = "all"
upstream = "a"
max_body = "1GiB"
"""
SIZE = 24 << 20
BODY = b"".join(hashlib.blake2b(i.to_bytes(8, "little")).digest() for i in range(SIZE // 64))


def sink(peer: Peer, size: int, pause: threading.Event | None = None) -> str:
    """Digest of the next ``size`` bytes; reads small pieces after ``pause`` is set."""
    digest = hashlib.sha256(peer.buffer)
    left = size - len(peer.buffer)
    peer.buffer = b""
    if pause is not None:
        assert pause.wait(10)
    while left:
        data = peer.sock.recv(min(left, 30_000))
        assert data, f"closed with {left} bytes to come"
        digest.update(data)
        left -= len(data)
    return digest.hexdigest()


@pytest.mark.parametrize("slow", [False, True])
def test_download_arrives_whole_and_the_connection_is_used_again(slow: bool) -> None:
    with Upstream() as upstream, Plane(CONFIG.format(address=upstream.address)) as plane, plane.connect() as client:
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        client.send(b"GET /big HTTP/1.1\r\nHost: gateway.test\r\n\r\n")
        with upstream.accept() as server:
            server.request()
            pause = threading.Event() if slow else None
            sender = threading.Thread(
                target=server.send, args=(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % SIZE + BODY,)
            )
            sender.start()
            client.head()
            if pause is not None:
                until(lambda: plane.counters()["bytes_downstream_out"] > 200_000, "the client's buffers are full")
                pause.set()
            assert sink(client, SIZE, pause) == hashlib.sha256(BODY).hexdigest()
            sender.join()
            client.send(b"GET /again HTTP/1.1\r\nHost: gateway.test\r\n\r\n")
            assert server.request()[0] == "GET /again HTTP/1.1"
            server.send(b"HTTP/1.1 204 No Content\r\n\r\n")
            assert client.answer().status == 204
        assert plane.statistics().faults == 0


@pytest.mark.parametrize("slow", [False, True])
def test_upload_arrives_whole_and_the_connection_is_used_again(slow: bool) -> None:
    with Upstream() as upstream, Plane(CONFIG.format(address=upstream.address)) as plane, plane.connect() as client:
        head = b"PUT /big HTTP/1.1\r\nHost: gateway.test\r\nContent-Length: %d\r\n\r\n" % SIZE
        sender = threading.Thread(target=client.send, args=(head + BODY,))
        sender.start()
        with upstream.accept() as server:
            server.head()
            pause = threading.Event() if slow else None
            if pause is not None:
                until(lambda: plane.counters()["bytes_upstream_out"] > 200_000, "the upstream's buffers are full")
                pause.set()
            assert sink(server, SIZE, pause) == hashlib.sha256(BODY).hexdigest()
            sender.join()
            server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            assert client.answer().body == b"ok"
            client.send(b"GET /again HTTP/1.1\r\nHost: gateway.test\r\n\r\n")
            assert server.request()[0] == "GET /again HTTP/1.1"
            server.send(b"HTTP/1.1 204 No Content\r\n\r\n")
            assert client.answer().status == 204
        assert plane.statistics().faults == 0


def test_download_cut_by_the_upstream_is_cut_for_the_client() -> None:
    with Upstream() as upstream, Plane(CONFIG.format(address=upstream.address)) as plane, plane.connect() as client:
        client.send(b"GET /big HTTP/1.1\r\nHost: gateway.test\r\n\r\n")
        with upstream.accept() as server:
            server.request()
            server.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % SIZE + BODY[: 4 << 20])
        client.head()
        assert len(client.rest()) <= 4 << 20
        until(plane.is_at_rest, "at rest")


def test_client_that_leaves_in_the_middle_of_a_download_ends_it() -> None:
    with Upstream() as upstream, Plane(CONFIG.format(address=upstream.address)) as plane:
        client = plane.connect()
        client.send(b"GET /big HTTP/1.1\r\nHost: gateway.test\r\n\r\n")
        with upstream.accept() as server:
            server.request()
            server.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % SIZE + BODY[: 2 << 20])
            client.exactly(1 << 20)
            client.reset()
            with pytest.raises((BrokenPipeError, ConnectionResetError)):
                server.send(BODY * 4)
        until(plane.is_at_rest, "at rest")


def test_upload_to_an_upstream_that_goes_away_is_answered_with_502() -> None:
    with Upstream() as upstream, Plane(CONFIG.format(address=upstream.address)) as plane, plane.connect() as client:
        head = b"PUT /big HTTP/1.1\r\nHost: gateway.test\r\nContent-Length: %d\r\n\r\n" % SIZE
        client.send(head + BODY[: 2 << 20])
        server = upstream.accept()
        server.head()
        server.exactly(1 << 20)
        server.reset()
        answer = client.answer()
        assert answer.status == 502
        assert "connection_terminated" in (answer.get("Proxy-Status") or "")
        client.close()
        until(plane.is_at_rest, "at rest")
