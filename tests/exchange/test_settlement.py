"""What is charged when an exchange has ended: the difference to what was charged when it came, exactly once."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tests.exchange.filtered import OK, filtered, get
from tests.plane.harness import Peer, Plane, Upstream, until

from tidegate import Filter, Request, Response, ResponseHead
from tidegate.config.allotment import SET_BYTES
from tidegate.config.limit_keys import parse_key_part
from tidegate.limits.keys import RequestKey
from tidegate.memory.quotas import QuotaTable

pytestmark = pytest.mark.sanitize

BYTES = 'window = "300d"\nwindow_kind = "first_use"\nquota = 1000000\ncost = "response.bytes"\n'
TIME = 'window = "300d"\nwindow_kind = "first_use"\nquota = 1000000\ncost = "upstream.seconds"\ncost_unit = "1ms"\n'
PLAIN = 'window = "300d"\nwindow_kind = "first_use"\nquota = 1000000\n'
ROUTE = 'limits = ["a"]\n'


@contextmanager
def limited(options: str, *classes: type[Filter], route: str = ROUTE) -> Iterator[tuple[Plane, Upstream]]:
    with filtered(*classes, config=f"[limits.a]\n{options}", route=route) as both:
        yield both


def counted(plane: Plane, *key: str) -> int:
    """What the quota "a" has counted for its key ``upstream``, or where it has none."""
    place = plane.snapshot.places["a"]
    table = QuotaTable(plane.region.mapping, place.at * SET_BYTES, place.units - 1)
    told_by = RequestKey(plane.region.secret, "a", tuple(parse_key_part(part) for part in key))
    fingerprint = told_by.fingerprint(get(), upstream=b"a")[0]
    return table.counted(fingerprint, time.monotonic_ns() // 1_000_000)[0]


def ended(plane: Plane, *key: str) -> int:
    """The same once nothing is under way."""
    until(lambda: plane.counters()["exchanges_open"] == 0, "all exchanges have ended")
    return counted(plane, *key)


def body(size: int) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size


def exchanged(client: Peer, server: Peer, answer: bytes) -> int:
    client.send(get())
    server.request()
    server.send(answer)
    return client.answer().status


def test_bytes_of_the_answer_are_charged_whatever_was_expected() -> None:
    with limited(BYTES) as (plane, upstream), plane.connect() as client:
        sizes = [100, 3000, 0, 17]
        client.send(get())
        with upstream.accept() as server:
            server.request()
            server.send(body(sizes[0]))
            assert client.answer().status == 200
            for size in sizes[1:]:
                assert exchanged(client, server, body(size)) == 200
        assert ended(plane) == sum(sizes)


def test_the_recent_mean_is_charged_while_it_is_under_way() -> None:
    with limited(BYTES) as (plane, upstream), plane.connect() as client:
        client.send(get())
        with upstream.accept() as server:
            server.request()
            assert counted(plane) == 1, "of nothing that has ended, one is expected"
            server.send(body(800))
            assert client.answer().status == 200
            assert ended(plane) == 800
            client.send(get())
            server.request()
            assert counted(plane) == 1600
            server.send(body(0))
            assert client.answer().status == 200
            assert ended(plane) == 800
            client.send(get())
            server.request()
            assert counted(plane) == 800 + 700
            server.send(body(5))
            assert client.answer().status == 200
        assert ended(plane) == 805


def test_time_of_the_upstream_is_charged_and_not_that_of_filters() -> None:
    class Slow(Filter):
        def on_request(self, request: Request) -> None:
            time.sleep(0.3)

    with limited(TIME, Slow) as (plane, upstream), plane.connect() as client:
        asked_s = time.monotonic()
        client.send(get())
        with upstream.accept() as server:
            server.request()
            began_s = time.monotonic()
            until(lambda: time.monotonic() - began_s > 0.05, "fifty milliseconds")
            held_s = time.monotonic() - began_s
            server.send(OK)
            assert client.answer().status == 200
        took_s = time.monotonic() - asked_s
        # The gateway's own clock is read once an event: a millisecond or two may be on either side.
        assert held_s * 1000 - 3 <= ended(plane) <= (took_s - 0.3) * 1000 + 3


@pytest.mark.parametrize("how", ["client", "upstream", "time"])
def test_an_exchange_that_is_cut_short_has_taken_what_it_took(how: str) -> None:
    """100 of 1,000 bytes have come when it ends."""
    with limited(BYTES, route=ROUTE + 'timeout = "1s"\n') as (plane, upstream), plane.connect() as client:
        client.send(get())
        with upstream.accept() as server:
            server.request()
            server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + b"x" * 100)
            client.until(b"x" * 100)
            if how == "client":
                client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                client.sock.close()
            elif how == "upstream":
                server.sock.close()
            assert ended(plane) == 100


def test_what_no_upstream_was_asked_for_takes_nothing() -> None:
    class Answers(Filter):
        def on_request(self, request: Request) -> Response:
            return Response(200, "made here")

    edge = BYTES + 'key = "client.ip"\n'
    with limited(edge, Answers) as (plane, _), plane.connect() as client:
        client.send(get())
        assert client.answer().status == 200
        assert ended(plane) == 0


def test_an_upstream_that_fails_leaves_nothing_charged() -> None:
    with limited(BYTES) as (plane, upstream), plane.connect() as client:
        client.send(get(method="POST", headers="Content-Length: 0\r\n"))
        with upstream.accept() as server:
            server.request()
            assert counted(plane) == 1
        assert client.answer().status == 502
        assert ended(plane) == 0


def test_filter_says_what_a_request_takes_before_it_is_charged() -> None:
    class Says(Filter):
        def on_request(self, request: Request) -> None:
            request.limits.cost("a", 40)

    with limited(PLAIN + 'key = "upstream"\n', Says) as (plane, upstream), plane.connect() as client:
        client.send(get())
        with upstream.accept() as server:
            server.request()
            assert counted(plane, "upstream") == 40
            server.send(OK)
            assert client.answer().status == 200
        assert ended(plane, "upstream") == 40


@pytest.mark.parametrize("cost", [0, 7, 0.5])
def test_filter_says_it_when_the_answer_is_known_and_the_difference_is_settled(cost: float) -> None:
    class Says(Filter):
        def on_response(self, request: Request, response: ResponseHead) -> None:
            request.limits.cost("a", float(response.headers["X-Cost"]))

    with limited(PLAIN + "cost = 3\n", Says) as (plane, upstream), plane.connect() as client:
        client.send(get())
        with upstream.accept() as server:
            server.request()
            assert counted(plane) == 3
            server.send(b"HTTP/1.1 200 OK\r\nX-Cost: %a\r\nContent-Length: 0\r\n\r\n" % cost)
            assert client.answer().status == 200
        assert ended(plane) == (1 if cost == 0.5 else cost)  # a quota counts begun ones


def test_what_a_filter_says_takes_the_place_of_what_is_measured() -> None:
    class Says(Filter):
        def on_request(self, request: Request) -> None:
            request.limits.cost("a", 5)

    with limited(BYTES, Says) as (plane, upstream), plane.connect() as client:
        client.send(get())
        with upstream.accept() as server:
            server.request()
            server.send(body(300))
            assert client.answer().status == 200
        assert ended(plane) == 5


def test_a_rate_lets_less_in_after_what_took_long() -> None:
    """Debt of a request that took more than expected is paid back by those who come next."""
    options = 'rate = "5/min"\nburst = 999\ncost = "response.bytes"\n'
    with limited(options) as (plane, upstream), plane.connect() as client:
        client.send(get())
        with upstream.accept() as server:
            server.request()
            server.send(body(1500))
            assert client.answer().status == 200
            until(lambda: plane.counters()["exchanges_open"] == 0, "it has ended")
            client.send(get())
            assert client.answer().status == 429
