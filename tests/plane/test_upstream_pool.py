"""The bounds of a pool, met by real requests."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.plane.harness import Answer, Peer, Plane, Upstream, until
from tests.plane.serving import (
    GET,
    OK,
    Fields,
    Serving,
    answering,
    check_failure,
    gateway,
    idle,
    proxy_error,
    serve_one,
)

from tidegate.upstream.pool import PoolStatistics

pytestmark = pytest.mark.sanitize


def pool_of(plane: Plane) -> PoolStatistics:
    (pool,) = plane.statistics().pools
    return pool


def ask(client: Peer, path: str) -> None:
    client.send(f"GET {path} HTTP/1.1\r\nHost: gateway.test\r\n\r\n".encode())


@contextlib.contextmanager
def clients(plane: Plane, count: int) -> Iterator[list[Peer]]:
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(plane.connect()) for _ in range(count)]


def test_who_waits_is_served_in_order() -> None:
    with Upstream() as upstream, Plane(gateway(upstream.address, upstream="pool = { max = 1 }")) as plane:
        with clients(plane, 5) as waiting:
            for i, client in enumerate(waiting):
                ask(client, f"/{i}")
                until(lambda i=i: (pool_of(plane).open, pool_of(plane).waiting) == (1, i), "it waits")
            with upstream.accept() as server:
                for i, client in enumerate(waiting):
                    assert server.request()[0] == f"GET /{i} HTTP/1.1"
                    server.send(OK)
                    assert client.answer().body == b"ok"
        until(plane.is_at_rest, "at rest")
        assert (pool_of(plane).dialled, pool_of(plane).reused) == (1, 4)
        assert plane.counters()["exchanges_async_pool"] == 4


def test_full_queue_is_said_at_once() -> None:
    config = gateway("{}", upstream='pool = { max = 1, wait = 1, wait_timeout = "1m" }')
    with Upstream() as upstream, Plane(config.replace("{}", upstream.address)) as plane:
        with clients(plane, 3) as (first, second, third):
            ask(first, "/1")
            with upstream.accept() as server:
                server.request()
                ask(second, "/2")
                until(lambda: pool_of(plane).waiting == 1, "one waits")
                ask(third, "/3")
                refused = third.answer()
                server.send(OK)
                assert first.answer().status == 200
                server.request()
                server.send(OK)
                assert second.answer().status == 200
        check_failure(plane, refused, 503, "connection_limit_reached", records=3)
        assert pool_of(plane).refused == 1


def test_wait_has_an_end() -> None:
    config = gateway("{}", upstream='pool = { max = 1, wait_timeout = "200ms" }')
    with Upstream() as upstream, Plane(config.replace("{}", upstream.address)) as plane:
        with clients(plane, 2) as (first, second):
            ask(first, "/1")
            with upstream.accept() as server:
                server.request()
                ask(second, "/2")
                refused = second.answer()
                # … and it was not the only chance of this client.
                server.send(OK)
                assert first.answer().status == 200
                ask(second, "/3")
                server.request()
                server.send(OK)
                assert second.answer().status == 200
        check_failure(plane, refused, 503, "connection_limit_reached", records=3)
        assert pool_of(plane).timed_out == 1
        assert plane.counters()["upstream_retries"] == 0


def test_client_that_leaves_while_it_waits_leaves_the_queue() -> None:
    with Upstream() as upstream, Plane(gateway(upstream.address, upstream="pool = { max = 1 }")) as plane:
        with clients(plane, 4) as (first, second, third, fourth):
            ask(first, "/1")
            with upstream.accept() as server:
                server.request()
                for i, client in enumerate((second, third, fourth)):
                    ask(client, f"/{i + 2}")
                    until(lambda i=i: pool_of(plane).waiting == i + 1, "it waits")
                third.reset()
                until(lambda: pool_of(plane).waiting == 2, "one has left")
                server.send(OK)
                assert server.request()[0] == "GET /2 HTTP/1.1"
                server.send(OK)
                assert server.request()[0] == "GET /4 HTTP/1.1"
                server.send(OK)
                assert fourth.answer().status == 200
        until(plane.is_at_rest, "at rest")


def test_waiter_gets_the_place_of_a_connection_that_was_lost() -> None:
    with Upstream() as upstream, Plane(gateway(upstream.address, upstream="pool = { max = 1 }")) as plane:
        with clients(plane, 2) as (first, second):
            ask(first, "/1")
            with upstream.accept() as server:
                server.request()
                ask(second, "/2")
                until(lambda: pool_of(plane).waiting == 1, "one waits")
                server.close()
                with upstream.accept() as again:
                    assert again.request()[0] == "GET /2 HTTP/1.1"
                    again.send(OK)
                    assert second.answer().status == 200
            assert first.answer().status == 502
        until(plane.is_at_rest, "at rest")


def test_waiters_of_a_server_that_went_away_all_get_an_answer() -> None:
    """Each dial fails at once, within the call that freed its place: nobody is lost and nothing recurses."""
    with contextlib.ExitStack() as stack:
        upstream = stack.enter_context(Upstream())
        plane = stack.enter_context(Plane(gateway(upstream.address, upstream="pool = { max = 1 }")))
        waiting = stack.enter_context(clients(plane, 300))
        for client in waiting:
            ask(client, "/")
        with upstream.accept() as server:
            server.request()
            until(lambda: pool_of(plane).waiting == 299, "they wait")
            upstream.refuse()
            server.close()
        assert {client.answer().status for client in waiting} == {502}
        for client in waiting:
            client.close()
        until(plane.is_at_rest, "at rest")
        assert pool_of(plane).open == 0


def test_many_requests_through_few_connections(tmp_path: Path) -> None:
    """500 at once, 4 connections: no socket more is opened, and nothing is closed that could be used again."""
    lock = threading.Lock()
    at_once, most = 0, 0

    def handle(peer: Peer, line: str, fields: Fields, body: bytes) -> None:
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        token = line.split()[1].encode()
        with lock:
            at_once -= 1
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(token), token))

    config = 'pool = { max = 4, wait = 1000, wait_timeout = "30s" }'
    with Serving(handle) as serving, Plane(gateway(serving.address, upstream=config)) as plane:
        before = time_wait(serving.port)
        with clients(plane, 500) as asking:
            for repeat in range(3):
                for i, client in enumerate(asking):
                    ask(client, f"/{repeat}/{i}")
                for i, client in enumerate(asking):
                    assert client.answer().body == f"/{repeat}/{i}".encode()
            assert serving.accepted == 4
            assert most <= 4
            pool = pool_of(plane)
            assert (pool.open, pool.dialled, pool.waiting) == (4, 4, 0)
            assert time_wait(serving.port) <= before  # of whoever had the port before
        until(plane.is_at_rest, "at rest")


def time_wait(port: int) -> int:
    """Sockets in TIME_WAIT from or to a port."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return sum(1 for line in lines if line.split()[3] == "06" and f":{port:04X}" in line)


def test_requests_one_after_another_use_one_connection() -> None:
    with Serving(answering()) as serving, Plane(gateway(serving.address)) as plane:
        before = time_wait(serving.port)
        for _ in range(50):
            assert plane.get().body == b"ok"
        assert serving.accepted == 1
        assert time_wait(serving.port) <= before
        records = plane.log_records(50)
        assert [record["upstream_connection_uses"] for record in records] == list(range(1, 51))
        assert len({record["upstream_connection"] for record in records}) == 1


def test_connection_is_used_max_requests_times() -> None:
    with (
        Serving(answering()) as serving,
        Plane(gateway(serving.address, upstream="pool = { max_requests = 3 }")) as plane,
    ):
        for _ in range(7):
            assert plane.get().body == b"ok"
        assert serving.accepted == 3
        uses = [record["upstream_connection_uses"] for record in plane.log_records(7)]
        assert uses == [1, 2, 3, 1, 2, 3, 1]
        until(plane.is_at_rest, "at rest")


def test_connection_of_a_certain_age_is_not_used_again() -> None:
    with (
        Serving(answering()) as serving,
        Plane(gateway(serving.address, upstream='pool = { max_age = "200ms" }')) as plane,
    ):
        began = time.monotonic()
        assert plane.get().body == b"ok"
        until(lambda: plane.get().body == b"ok" and serving.accepted >= 2, "a second connection")
        assert time.monotonic() - began > 0.19


def test_connection_that_rests_too_long_is_closed() -> None:
    config = gateway("{}", upstream='pool = { idle_timeout = "200ms" }')
    with Upstream() as upstream, Plane(config.replace("{}", upstream.address)) as plane:
        with plane.connect() as client, serve_one(upstream, client, plane) as server:
            assert server.is_closed()
            until(lambda: pool_of(plane).open == 0, "counted out")
        until(plane.is_at_rest, "at rest")


def test_no_more_rest_than_may() -> None:
    with contextlib.ExitStack() as stack:
        upstream = stack.enter_context(Upstream())
        plane = stack.enter_context(Plane(gateway(upstream.address, upstream="pool = { idle = 2 }")))
        asking = stack.enter_context(clients(plane, 5))
        servers = []
        for client in asking:
            ask(client, "/")
            servers.append(stack.enter_context(upstream.accept()))
            servers[-1].request()
        for client, server in zip(asking, servers, strict=True):
            server.send(OK)
            assert client.answer().status == 200
        until(lambda: (pool_of(plane).open, idle(plane)) == (2, 2), "two rest")


def test_answer_and_next_request_need_no_second_connection() -> None:
    """A connection is back in its pool before the client can have read the end of the answer."""
    with Serving(answering()) as serving, Plane(gateway(serving.address)) as plane, plane.connect() as client:
        for _ in range(200):
            client.send(GET)
            assert client.answer().status == 200
        assert serving.accepted == 1


def test_deadline_of_the_exchange_ends_a_wait() -> None:
    config = gateway("{}", upstream='pool = { max = 1, wait_timeout = "1m" }', route='timeout = "300ms"')
    answers: list[Answer] = []
    with Upstream() as upstream, Plane(config.replace("{}", upstream.address)) as plane:
        with clients(plane, 2) as both:
            for client in both:
                ask(client, "/")
            with upstream.accept() as server:
                server.request()
                answers = [client.answer() for client in both]
        assert {(answer.status, proxy_error(answer)) for answer in answers} == {(504, "http_response_timeout")}
        until(plane.is_at_rest, "at rest")
