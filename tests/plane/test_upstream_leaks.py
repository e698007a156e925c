"""Fifty thousand exchanges that fail, each kind in turn: nothing of them is left.

Twice as many that their clients abort stand in `test_client_leaks.py`.
"""

from __future__ import annotations

import asyncio
import socket
from typing import cast

import pytest
from tests.plane.footprint import IS_SANITIZED, footprint, grown_since
from tests.plane.harness import REFUSING, TIMEOUT_S, Plane, until

pytestmark = pytest.mark.sanitize

ROUNDS = 300 if IS_SANITIZED else 5_000
WARM_UP = 100 if IS_SANITIZED else 1_000

FAILING = [
    ("/refused", 502),
    ("/garbage", 502),
    ("/half-head", 502),
    ("/closed", 502),
    ("/wrong-chunk", 502),
    ("/nowhere/..%2f", 400),
    ("/fine", 200),
    ("/trailing", 200),
    ("/no-name", 503),
    ("/cut", 200),
]


ANSWERS = {
    b"/closed": b"",
    b"/garbage": b"garbage\r\n\r\n",
    b"/half-head": b"HTTP/1.1 200 OK\r\nX",
    b"/wrong-chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n",
    b"/trailing": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok and more",
    b"/cut": b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nok",
}
CLOSING = {b"/closed", b"/half-head", b"/cut"}


class Failing(asyncio.Protocol):
    """Fails as the path says; on the loop of the gateway, as a thread for each connection would cost twice as much."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """A request, whole: it is small, and the gateway has written it at once."""
        kind = data.split(b" ", 2)[1]
        self.transport.write(ANSWERS.get(kind, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"))
        if kind in CLOSING:
            self.transport.close()


def run(plane: Plane, rounds: int) -> None:
    client = plane.connect()
    for i in range(rounds):
        for path, status in FAILING:
            client.send(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            line = client.until(b"\r\n")
            assert line.startswith(f"HTTP/1.1 {status} ".encode()), (path, line)
            if path == "/cut" and i % 2:
                client.reset()  # with half an answer unread
                client = plane.connect()
                continue
            if path in ("/cut", "/nowhere/..%2f"):
                with client:
                    client.rest()
                client = plane.connect()
                continue
            fields = client.until(b"\r\n\r\n").lower()
            client.exactly(int(fields.split(b"content-length: ")[1].split(b"\r\n")[0]))
    client.close()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_fifty_thousand_failures_leave_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listening:
        config = f"""
            [upstreams.a]
            endpoints = ["127.0.0.1:{listening.getsockname()[1]}"]
            [upstreams.refusing]
            endpoints = ["{REFUSING}"]
            [upstreams.nobody]
            endpoints = ["no-such-name.invalid:80"]
            dns = {{ refresh = "1h" }}
            [[routes]]
            name = "refused"
            path = "/refused"
            upstream = "refusing"
            [[routes]]
            name = "nobody"
            path = "/no-name"
            upstream = "nobody"
            [[routes]]
            name = "all"
            upstream = "a"
        """
        with Plane(config) as plane:
            starting = plane.loop.create_server(Failing, sock=listening)
            upstream = asyncio.run_coroutine_threadsafe(starting, plane.loop).result(TIMEOUT_S)
            run(plane, WARM_UP)
            until(plane.is_at_rest, "at rest")
            plane.error_log.said.clear()
            before = footprint()
            channels = plane.statistics().channels
            for _ in range(10):
                run(plane, ROUNDS // 10)
                plane.error_log.said.clear()
                plane.reader.read(1 << 24)
            until(plane.is_at_rest, "at rest")
            assert grown_since(before) < 3 << 20
            now = plane.statistics()
            assert now.channels <= channels
            assert now.inflight == 0
            assert sum(pool.open for pool in now.pools) <= 1
            assert plane.counters()["exchanges_open"] == 0
            assert plane.counters()["exchanges_started"] == (ROUNDS + WARM_UP) * len(FAILING)
            plane.call(upstream.close)
