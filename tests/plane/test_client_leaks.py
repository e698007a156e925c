"""Aborted exchanges of all kinds leave neither connections nor timers nor memory behind."""

import contextlib
import socket
import threading

import pytest
from tests.plane.client_side import GET, OK, at_rest, one_upstream
from tests.plane.footprint import footprint, grown_since
from tests.plane.harness import Plane, Upstream

POST = b"POST / HTTP/1.1\r\nHost: gateway.test\r\nContent-Length: 1000000\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: gateway.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
STREAM = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"
SETTINGS = 'pool = { max = 64, idle = 8, wait = 64, wait_timeout = "200ms" }\nread_timeout = "300ms"'
BOUNDS = 'head_timeout = "300ms"\nlingering_timeout = "200ms"\nbody_timeout = "300ms"'
KINDS = 8  # of aborted exchanges, see mixed()
BATCH = 500  # rounds at a time: what is measured is what stays, not how much can be going on at once


def mixed(plane: Plane, rounds: int) -> None:
    """Aborted exchanges of every kind, ``rounds`` times eight of them."""
    heads = [b"", GET[:20], GET, POST, POST + b"x" * 5000, CHUNKED, GET * 3, b"GET / HTTP/1.1\r\nBad\r\n\r\n"]
    address = (plane.host, plane.port)
    linger = b"\x01\0\0\0\0\0\0\0"
    for i in range(rounds):
        socks = []
        for said in heads:
            sock = socket.socket()
            sock.connect(address)
            if said:
                sock.sendall(said)
            socks.append(sock)
        for sock in socks:
            if i & 1:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            sock.close()


class Careless(threading.Thread):
    """An upstream that answers some, streams to some, and hangs up on some."""

    def __init__(self, upstream: Upstream) -> None:
        super().__init__(daemon=True)
        self.listening = upstream.listening
        self.listening.settimeout(None)

    def run(self) -> None:
        answers = [OK, STREAM, b"", b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"y" * 70_000]
        kept: list[socket.socket] = []
        turn = 0
        while True:
            try:
                sock, _ = self.listening.accept()
            except OSError:
                break
            turn += 1
            with contextlib.suppress(OSError):
                sock.setblocking(False)
                if answers[turn % 4]:
                    sock.send(answers[turn % 4])
            kept.append(sock)
            if len(kept) > 50:
                kept.pop(0).close()
        for sock in kept:
            sock.close()


def grow(plane: Plane, rounds: int) -> int:
    before = footprint()
    for _ in range(rounds // BATCH):
        mixed(plane, BATCH)
        at_rest(plane)
        plane.error_log.said.clear()  # the test's own memory of it
    return grown_since(before)


def aborted(rounds: int, grown_at_most: int) -> None:
    with Upstream() as upstream, Plane(one_upstream(upstream, settings=SETTINGS), BOUNDS) as plane:
        careless = Careless(upstream)
        careless.start()
        grow(plane, 500)  # free lists fill, buffers find their size
        grown = grow(plane, rounds)
        began = plane.counters()["exchanges_started"]
        assert began > rounds * KINDS / 2
        assert grown < grown_at_most
        assert plane.statistics().channels <= 1 + 8  # the listener, and idle connections to the upstream
        upstream.listening.shutdown(socket.SHUT_RDWR)
        careless.join(5)


@pytest.mark.sanitize
def test_thousands_of_aborted_exchanges_leave_nothing_behind() -> None:
    aborted(500, 3 << 20)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_hundred_thousand_aborted_exchanges_leave_nothing_behind() -> None:
    aborted(100_000 // KINDS, 5 << 20)
