"""Bodies of any size in bounded memory, and each piece as soon as it is there."""

from __future__ import annotations

import hashlib
import threading
import time
from pathlib import Path

import pytest
from tests.plane.footprint import IS_SANITIZED, footprint, grown_since, held
from tests.plane.harness import REFUSING, Peer, Plane, Upstream, until
from tests.plane.serving import GET, OK, Fields, Serving, gateway

pytestmark = pytest.mark.sanitize

MEGABYTE = 1 << 20
BOUND = 8 * MEGABYTE
SIZE = (20 if IS_SANITIZED else 200) * MEGABYTE
BLOCK = bytes(range(256)) * 4096  # 1 MB


class Watch:
    """The most that this process grows by, looked at while the body goes through."""

    def __init__(self) -> None:
        self.before = footprint()
        self.most = 0

    def look(self) -> None:
        self.most = max(self.most, held() - self.before)


def read_all(peer: Peer, size: int, watch: Watch) -> str:
    """Digest of the next ``size`` bytes."""
    digest = hashlib.blake2b(peer.buffer)
    left = size - len(peer.buffer)
    peer.buffer = b""
    room = memoryview(bytearray(MEGABYTE))
    while left:
        got = peer.sock.recv_into(room[: min(left, MEGABYTE)])
        assert got
        digest.update(room[:got])
        left -= got
        watch.look()
    return digest.hexdigest()


def expected(size: int) -> str:
    digest = hashlib.blake2b()
    for _ in range(size // MEGABYTE):
        digest.update(BLOCK)
    return digest.hexdigest()


def send_all(peer: Peer, size: int) -> threading.Thread:
    def send() -> None:
        for _ in range(size // MEGABYTE):
            peer.send(BLOCK)

    thread = threading.Thread(target=send)
    thread.start()
    return thread


def test_large_download_in_bounded_memory() -> None:
    with Upstream() as upstream, Plane(gateway(upstream.address)) as plane, plane.connect() as client:
        client.send(GET)
        with upstream.accept() as server:
            server.request()
            watch = Watch()
            server.send(f"HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n\r\n".encode())
            sending = send_all(server, SIZE)
            client.head()
            assert read_all(client, SIZE, watch) == expected(SIZE)
            sending.join()
            assert watch.most < BOUND
        assert plane.statistics().faults == 0


def test_large_upload_in_bounded_memory() -> None:
    with Upstream() as upstream, Plane(gateway(upstream.address)) as plane, plane.connect() as client:
        watch = Watch()
        client.send(f"POST / HTTP/1.1\r\nHost: gateway.test\r\nContent-Length: {SIZE}\r\n\r\n".encode())
        sending = send_all(client, SIZE)
        with upstream.accept() as server:
            _, fields = server.head()
            assert ("Content-Length", str(SIZE)) in fields
            assert read_all(server, SIZE, watch) == expected(SIZE)
            sending.join()
            server.send(OK)
            assert client.answer().status == 200
            assert watch.most < BOUND


@pytest.mark.parametrize("size", [65536, 131072, 262144, 262144 * 3])
def test_answer_that_ends_with_a_full_read_keeps_its_connection(size: int) -> None:
    with Upstream() as upstream, Plane(gateway(upstream.address)) as plane, plane.connect() as client:
        client.send(GET)
        with upstream.accept() as server:
            server.request()
            server.send(f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n".encode())
            client.head()
            held, go_on = threading.Event(), threading.Event()
            plane.loop.call_soon_threadsafe(lambda: (held.set(), go_on.wait(10)))
            assert held.wait(10)
            sending = threading.Thread(target=server.send, args=(BLOCK[:size],))
            sending.start()  # all of it is there before the gateway reads
            time.sleep(0.05)
            go_on.set()
            assert client.exactly(size) == BLOCK[:size]
            sending.join()
            client.send(GET)
            server.request()
            server.send(OK)
            assert client.answer().status == 200


def test_both_directions_at_once() -> None:
    """The answer's end comes behind the request's: a whole answer to half a request ends the upload."""
    size = 20 * MEGABYTE
    with Upstream() as upstream, Plane(gateway(upstream.address)) as plane, plane.connect() as client:
        client.send(f"POST / HTTP/1.1\r\nHost: gateway.test\r\nContent-Length: {size}\r\n\r\n".encode())
        uploading = send_all(client, size)
        with upstream.accept() as server:
            server.head()
            server.send(f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n".encode())
            downloading = send_all(server, size - MEGABYTE)
            digests: list[str] = []
            client.head()
            reading = threading.Thread(target=lambda: digests.append(read_all(client, size, Watch())))
            reading.start()
            assert read_all(server, size, Watch()) == expected(size)
            downloading.join()
            server.send(BLOCK)
            uploading.join()
            reading.join()
            assert digests == [expected(size)]
            client.send(GET)
            server.request()
            server.send(OK)
            assert client.answer().status == 200


def fill(peer: Peer) -> int:
    """Sends until nobody takes any more for a while; how much that was."""
    peer.sock.settimeout(0.5)
    sent = 0
    try:
        while True:
            sent += peer.sock.send(b"x" * 65536)
            assert sent < SIZE, "nobody stops who sends to somebody that does not read"
    except TimeoutError:
        peer.sock.settimeout(10)
        return sent


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
def test_client_that_does_not_read_stops_the_upstream(framing: str, tmp_path: Path) -> None:
    """And its silence is not the upstream's: no time-out of the upstream runs meanwhile."""
    with (
        Upstream(path=f"{tmp_path}/s") as upstream,
        Plane(gateway(upstream.address, upstream='read_timeout = "2s"')) as plane,
        plane.connect() as client,
    ):
        before = footprint()
        client.send(GET)
        with upstream.accept() as server:
            server.request()
            if framing == "length":
                server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
            elif framing == "chunked":
                server.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3b9aca00\r\n")
            else:
                server.send(b"HTTP/1.1 200 OK\r\n\r\n")
            sent = fill(server)
            assert grown_since(before) < BOUND
            time.sleep(2.5)
            client.head()
            got = len(client.buffer)
            while got < sent:
                data = client.sock.recv(MEGABYTE)
                assert data
                got += len(data)
            server.send(b"more")


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_upstream_that_does_not_read_stops_the_client(framing: str, tmp_path: Path) -> None:
    with Upstream(path=f"{tmp_path}/s") as upstream, Plane(gateway(upstream.address)) as plane:
        with plane.connect() as client:
            if framing == "length":
                client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n")
            else:
                client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3b9aca00\r\n")
            with upstream.accept() as server:
                server.head()
                before = footprint()
                sent = fill(client)
                assert grown_since(before) < BOUND
                got = len(server.buffer)
                while got < sent:
                    got += len(server.sock.recv(MEGABYTE))
                client.send(b"more")
        until(plane.is_at_rest, "at rest")


def test_each_event_is_there_at_once() -> None:
    """Server-sent events, for longer than an exchange may take; nothing waits for more."""
    with Upstream() as upstream, Plane(gateway(upstream.address, route='timeout = "400ms"')) as plane:
        with plane.connect() as client:
            client.send(GET)
            with upstream.accept() as server:
                server.request()
                server.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n\r\n")
                _, fields = client.head()
                assert ("Transfer-Encoding", "chunked") in fields
                took = []
                for i in range(12):
                    event = f"data: {i}\n\n".encode()
                    began = time.monotonic()
                    server.send(event)
                    assert client.until(b"\r\n") == f"{len(event):x}\r\n".encode()
                    assert client.exactly(len(event) + 2) == event + b"\r\n"
                    took.append(time.monotonic() - began)
                    time.sleep(0.06)
                assert min(took) < 0.15, "a corked or delayed segment waits for 200 ms, and so would each of these"
                server.close()
                assert client.exactly(5) == b"0\r\n\r\n"
        until(plane.is_at_rest, "at rest")


@pytest.mark.parametrize("direction", ["up", "down"])
def test_each_piece_of_a_large_body_goes_on_when_it_comes(direction: str) -> None:
    """However the bytes are moved, nothing waits for a segment to be full."""
    size = 3 * MEGABYTE
    with Upstream() as upstream, Plane(gateway(upstream.address)) as plane, plane.connect() as client:
        length = f"Content-Length: {size}\r\n\r\n"
        client.send(f"POST / HTTP/1.1\r\nHost: a\r\n{length}".encode() if direction == "up" else GET)
        with upstream.accept() as server:
            server.head()
            if direction == "down":
                server.send(f"HTTP/1.1 200 OK\r\n{length}".encode())
                client.head()
            sender, receiver = (client, server) if direction == "up" else (server, client)
            took = []
            for i in range(20):
                began = time.monotonic()
                sender.send(b"%03d" % i)
                assert receiver.exactly(3) == b"%03d" % i
                took.append(time.monotonic() - began)
            assert min(took) < 0.15, "a corked or delayed segment waits for 200 ms, and so would each of these"
            rest = threading.Thread(target=sender.send, args=((BLOCK * 3)[60:],))
            rest.start()
            assert receiver.exactly(size - 60) == (BLOCK * 3)[60:]
            rest.join()
            if direction == "up":
                server.send(OK)
                assert client.answer().status == 200
            client.send(GET)
            server.request()
            server.send(OK)
            assert client.answer().status == 200


def test_each_chunk_goes_on_when_it_comes() -> None:
    with Upstream() as upstream, Plane(gateway(upstream.address)) as plane, plane.connect() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        with upstream.accept() as server:
            _, fields = server.head()
            assert ("Transfer-Encoding", "chunked") in fields
            server.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            client.head()
            for i in range(20):
                client.send(b"3\r\n%03d\r\n" % i)
                assert server.exactly(8) == b"3\r\n%03d\r\n" % i
                server.send(b"5;x=y\r\nsaw%02d\r\n" % i)
                assert client.exactly(10) == b"5\r\nsaw%02d\r\n" % i
            client.send(b"0\r\nX-Trailer: 1\r\n\r\n")
            assert server.exactly(5) == b"0\r\n\r\n"
            server.send(b"0\r\n\r\n")
            assert client.exactly(5) == b"0\r\n\r\n"
        until(lambda: plane.statistics().exchanges == 0, "done")


def test_framing_of_a_request_stays_what_it_was() -> None:
    with Upstream() as upstream, Plane(gateway(upstream.address)) as plane, plane.connect() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello")
        with upstream.accept() as server:
            _, fields = server.head()
            assert ("Content-Length", "10") in fields
            assert server.exactly(5) == b"hello"
            client.send(b"world")
            assert server.exactly(5) == b"world"
            server.send(OK)
            assert client.answer().status == 200
            client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel")
            _, fields = server.head()
            assert ("Transfer-Encoding", "chunked") in fields
            assert "Content-Length" not in dict(fields)
            client.send(b"lo\r\n0\r\n\r\n")
            assert server.chunked_body() == b"hello"
            server.send(OK)
            assert client.answer().status == 200


@pytest.mark.parametrize("framing", ["Content-Length: 5", "Transfer-Encoding: chunked"])
def test_body_that_waits_to_be_asked_for(framing: str) -> None:
    """The gateway asks for it when there is somebody to take it, and tells the upstream nothing of that."""
    body = b"hello" if "Length" in framing else b"5\r\nhello\r\n0\r\n\r\n"
    with Upstream() as upstream, Plane(gateway(upstream.address)) as plane, plane.connect() as client:
        client.send(f"PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n{framing}\r\n\r\n".encode())
        with upstream.accept() as server:
            _, fields = server.head()
            assert "expect" not in {name.lower() for name, _ in fields}
            assert client.until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            client.send(body)
            assert server.exactly(len(body)) == body
            server.send(b"HTTP/1.1 100 Continue\r\n\r\n" + OK)
            assert client.answer().body == b"ok"  # and not asked for a second time
            client.send(GET)
            server.request()
            server.send(OK)
            assert client.answer().status == 200


def test_body_that_is_never_asked_for() -> None:
    """The upstream refuses before it has seen any of it: the client gets the answer and keeps its body."""
    with Plane(gateway(REFUSING)) as plane, plane.connect() as client:
        client.send(b"PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
        answer = client.answer()
        assert (answer.status, answer.get("Connection")) == (502, "close")
        assert client.is_closed()


def test_many_sizes_and_framings_come_through_whole() -> None:
    """Around every buffer's edge, in every framing of the answer."""
    sizes = sorted({max(0, edge + d) for edge in (0, 1024, 65536, 131072, 262144, 500_000) for d in (-1, 0, 1)})

    def handle(peer: Peer, line: str, fields: Fields, body: bytes) -> bool | None:
        assert body == BLOCK[: len(body)]
        framing, size = line.split()[1].strip("/").split("/")
        out = BLOCK[: int(size)]
        if framing == "length":
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(out) + out)
        elif framing == "chunked":
            peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            for at in range(0, len(out), 7000):
                piece = out[at : at + 7000]
                peer.send(b"%x\r\n%b\r\n" % (len(piece), piece))
            peer.send(b"0\r\n\r\n")
        else:
            peer.send(b"HTTP/1.1 200 OK\r\n\r\n" + out)
            return True
        return None

    with Serving(handle) as serving, Plane(gateway(serving.address)) as plane:
        with plane.connect() as client:
            for size in sizes:
                for framing in ("length", "chunked", "close"):
                    client.send(
                        f"POST /{framing}/{size} HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n".encode()
                        + BLOCK[:size]
                    )
                    answer = client.answer()
                    assert answer.status == 200
                    assert answer.body == BLOCK[:size]
        until(plane.is_at_rest, "at rest")
        assert not plane.error_log.said
