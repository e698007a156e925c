"""Streams between two real sockets: what is moved in the kernel, what waits, and what a failed write leaves."""

import contextlib
import hashlib
import os
import socket
import threading
import time

import pytest
from tests.plane.client_side import GET, OK, at_rest, one_upstream
from tests.plane.harness import Peer, Plane, Upstream, until

pytestmark = pytest.mark.sanitize

MIB = 1 << 20


def digest_of(peer: Peer, size: int) -> bytes:
    """Digest of the next ``size`` bytes, not kept."""
    seen = hashlib.blake2b(peer.buffer[:size])
    left = size - min(size, len(peer.buffer))
    peer.buffer = peer.buffer[size:]
    while left:
        data = peer.sock.recv(min(left, MIB))
        assert data, f"{left} bytes are missing"
        seen.update(data)
        left -= len(data)
    return seen.digest()


def put(size: int) -> bytes:
    return b"PUT / HTTP/1.1\r\nHost: gateway.test\r\nContent-Length: %d\r\n\r\n" % size


@pytest.mark.parametrize("size", [512 << 10, (512 << 10) + 1, MIB, 7 * MIB + 13, 40 * MIB])
def test_body_moved_in_the_kernel_arrives_as_it_was_sent(size: int) -> None:
    body = os.urandom(MIB) * (size // MIB + 1)
    body = body[:size]
    wanted = hashlib.blake2b(body).digest()
    with Upstream() as upstream, Plane(one_upstream(upstream), 'body_timeout = "2s"') as plane:
        with plane.connect() as client:
            server = None
            for _ in range(3):
                uploading = threading.Thread(target=client.send, args=(put(size) + body,))
                uploading.start()
                server = server or upstream.accept()
                server.until(b"\r\n\r\n")
                assert digest_of(server, size) == wanted
                uploading.join()
                answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + body
                downloading = threading.Thread(target=server.send, args=(answer,))
                downloading.start()
                client.head()
                assert digest_of(client, size) == wanted
                downloading.join()
            assert server is not None
            server.close()
        at_rest(plane)


def test_body_whose_last_byte_is_moved_in_the_kernel_is_whole() -> None:
    """All of it is in the kernel at once, so that one move takes all there is."""
    size = 512 << 10
    with (
        Upstream() as upstream,
        Plane(one_upstream(upstream), 'body_timeout = "500ms"') as plane,
        plane.connect() as client,
    ):
        # A long upload makes the kernel's window large enough.
        big = 64 * MIB
        uploading = threading.Thread(target=client.send, args=(put(big) + bytes(big),))
        uploading.start()
        with upstream.accept() as server:
            server.until(b"\r\n\r\n")
            digest_of(server, big)
            uploading.join()
            server.send(OK)
            assert client.answer().status == 200
            client.send(put(size))
            server.until(b"\r\n\r\n")

            def send_all_at_once() -> None:
                # On the gateway's own thread: it reads nothing meanwhile.
                client.sock.settimeout(2)
                client.send(bytes(size))

            plane.call(send_all_at_once)
            digest_of(server, size)
            server.send(OK)
            assert client.answer().status == 200
            client.send(GET)
            server.request()
            server.send(OK)
            assert client.answer().status == 200
        client.close()
        at_rest(plane)


def test_small_pieces_of_a_large_body_do_not_wait_for_more() -> None:
    """A large answer that is produced slowly reaches the client piece by piece, not segment by segment."""
    with Upstream() as upstream, Plane(one_upstream(upstream)) as plane, plane.connect() as client:
        client.send(GET)
        with upstream.accept() as server:
            server.request()
            server.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n")
            client.head()
            took = []
            for _ in range(20):
                began = time.monotonic()
                server.send(b"a piece")
                assert client.exactly(7) == b"a piece"
                took.append(time.monotonic() - began)
            assert min(took) < 0.15, "a corked or delayed segment waits for 200 ms, and so would each of these"
        client.close()
        at_rest(plane)


@pytest.mark.parametrize("comes_first", ["stranger", "body"])
def test_body_lost_on_its_way_into_a_dead_connection_is_not_sent_again_without_its_beginning(comes_first: str) -> None:
    """What was taken from the client and went nowhere cannot be replayed.

    The upstream resets while the gateway is busy in the batch of events in which the body comes: saying that a stranger
    has too many connections takes it that long.
    """
    server_lines = "max_connections_per_address = 1"
    with Upstream() as upstream, Plane(one_upstream(upstream), server=server_lines) as plane, plane.connect() as client:
        client.send(GET)
        server = upstream.accept()
        server.request()
        server.send(OK)
        assert client.answer().status == 200
        client.send(put(4 * MIB))
        server.until(b"\r\n\r\n")
        saying, said = threading.Event(), threading.Event()
        say = plane.error_log.say

        def say_slowly(kind: str, message: str, **fields: object) -> None:
            if kind == "max_connections_per_address":
                saying.set()
                said.wait(10)
            say(kind, message, **fields)

        plane.error_log.say = say_slowly  # type: ignore[method-assign]
        strangers: list[Peer] = []

        def both_come() -> None:
            # On the gateway's own thread, so that they are in one batch.
            if comes_first == "body":
                client.send(b"the beginning" * 1000)
            strangers.append(plane.connect())
            if comes_first != "body":
                client.send(b"the beginning" * 1000)
            time.sleep(0.05)  # until both have arrived: there is nothing on this side to see it by

        plane.call(both_come)
        assert saying.wait(10)
        server.reset()
        said.set()
        assert client.answer().status == 502
        upstream.listening.settimeout(0.1)
        with pytest.raises(TimeoutError):
            upstream.accept()
        strangers[0].close()
        client.close()
        at_rest(plane)


def test_what_one_client_did_not_take_reaches_no_other() -> None:
    """Bytes on their way through the kernel for a client that is gone must not come out for the next one."""
    with Upstream() as upstream, Plane(one_upstream(upstream)) as plane:
        for i in range(20):
            stuck = plane.connect()
            stuck.send(GET)
            with upstream.accept() as server:
                server.request()
                server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000000\r\n\r\n")
                server.sock.settimeout(0.1)
                with contextlib.suppress(TimeoutError):
                    while True:
                        server.sock.sendall(b"secret" * 100_000)
                if i % 2:
                    stuck.reset()
                else:
                    stuck.sock.recv(100_000)
                    stuck.close()
                with plane.connect() as other:
                    other.send(b"GET /other HTTP/1.1\r\nHost: gateway.test\r\n\r\n")
                    with upstream.accept() as elsewhere:
                        elsewhere.request()
                        size = 3 * MIB
                        plain = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + bytes(size)
                        downloading = threading.Thread(target=elsewhere.send, args=(plain,))
                        downloading.start()
                        other.head()
                        assert digest_of(other, size) == hashlib.blake2b(bytes(size)).digest()
                        downloading.join()
            until(lambda: plane.statistics().connections == 0, "gone")
        at_rest(plane)


def test_chunked_and_spliced_bodies_take_turns_on_one_connection() -> None:
    size = 2 * MIB
    body = os.urandom(size)
    with Upstream() as upstream, Plane(one_upstream(upstream)) as plane, plane.connect() as client:
        server = None
        for framing in ("length", "chunked", "length", "chunked"):
            if framing == "length":
                request = put(size) + body
            else:
                request = b"PUT / HTTP/1.1\r\nHost: gateway.test\r\nTransfer-Encoding: chunked\r\n\r\n"
                request += b"%x\r\n%b\r\n0\r\n\r\n" % (size, body)
            uploading = threading.Thread(target=client.send, args=(request,))
            uploading.start()
            server = server or upstream.accept()
            assert server.request()[2] == body
            uploading.join()
            server.send(OK)
            assert client.answer().status == 200
        assert server is not None
        server.close()
        client.close()
        at_rest(plane)
