"""What is sent a second time, and where; and what never is."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Iterator

import pytest
from tests.plane.harness import REFUSING, Plane, Upstream, until
from tests.plane.serving import GET, OK, POST, Serving, answering, check_failure, gateway, idle, proxy_error, serve_one

pytestmark = pytest.mark.sanitize

METHODS = {"GET": True, "HEAD": True, "PUT": True, "DELETE": True, "OPTIONS": True, "POST": False, "PATCH": False}


def dialled(plane: Plane) -> int:
    return sum(pool.dialled for pool in plane.statistics().pools)


def bare(method: str) -> bytes:
    return f"{method} /again HTTP/1.1\r\nHost: gateway.test\r\n\r\n".encode()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("end", ["close", "reset"])
def test_reused_connection_that_dies_with_the_request(method: str, end: str) -> None:
    """An idempotent request is sent once more, on a fresh connection; any other might have been carried out."""
    with Upstream() as upstream, Plane(gateway(upstream.address)) as plane:
        with plane.connect() as client, serve_one(upstream, client, plane) as server:
            client.send(bare(method))
            assert server.request()[0] == f"{method} /again HTTP/1.1"
            server.close() if end == "close" else server.reset()
            if METHODS[method]:
                with upstream.accept() as again:
                    assert again.request()[0] == f"{method} /again HTTP/1.1"
                    again.send(OK[:-2] if method == "HEAD" else OK)
                    assert client.answer(to=method).status == 200
            else:
                answer = client.answer()
        until(plane.is_at_rest, "at rest")
        record = plane.log_records(2)[1]
        assert plane.counters()["upstream_retries"] == METHODS[method]
        assert dialled(plane) == (2 if METHODS[method] else 1)
        if METHODS[method]:
            assert (record["attempts"], record["status"], record["upstream_connection_uses"]) == (2, 200, 1)
            assert "error" not in record
        else:
            assert (answer.status, proxy_error(answer), record["error"]) == (
                502,
                "connection_terminated",
                "connection_terminated",
            )
        (pool,) = plane.statistics().pools
        assert pool.crossed == 0


def test_body_that_was_handed_over_is_not_sent_twice() -> None:
    """PUT is idempotent, but its body has gone through and is kept nowhere."""
    with Upstream() as upstream, Plane(gateway(upstream.address)) as plane:
        with plane.connect() as client, serve_one(upstream, client, plane) as server:
            client.send(POST.replace(b"POST", b"PUT"))
            server.request()
            server.close()
            answer = client.answer()
        assert (answer.status, proxy_error(answer)) == (502, "connection_terminated")
        assert dialled(plane) == 1
        until(plane.is_at_rest, "at rest")


def test_answer_that_has_begun_is_not_asked_for_again() -> None:
    with Upstream() as upstream, Plane(gateway(upstream.address)) as plane:
        with plane.connect() as client, serve_one(upstream, client, plane) as server:
            client.send(GET)
            server.request()
            server.send(b"HTTP/1.1 2")
            server.close()
            answer = client.answer()
        assert (answer.status, proxy_error(answer)) == (502, "http_response_incomplete")
        assert dialled(plane) == 1
        until(plane.is_at_rest, "at rest")


def test_second_attempt_does_not_take_another_dead_connection() -> None:
    """A server that restarts has closed every connection that rested, though the gateway has heard of one only."""
    with Upstream() as upstream, Plane(gateway(upstream.address)) as plane:
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(plane.connect()) for _ in range(5)]
            servers = []
            for client in clients:
                client.send(GET)
                servers.append(stack.enter_context(upstream.accept()))
                servers[-1].request()
            for client, server in zip(clients, servers, strict=True):
                server.send(OK)
                assert client.answer().status == 200
            until(lambda: idle(plane) == 5, "five rest")
            held, go_on = threading.Event(), threading.Event()

            def hold() -> None:
                held.set()
                go_on.wait(10)

            # While the loop is held up, a request arrives first and then the connections close.
            plane.loop.call_soon_threadsafe(hold)
            assert held.wait(10)
            clients[0].send(GET)
            for server in servers:
                server.close()
            go_on.set()
            with upstream.accept() as fresh:
                fresh.request()
                fresh.send(OK)
                assert clients[0].answer().status == 200
        until(plane.is_at_rest, "at rest")


def test_refused_dial_is_tried_at_another_endpoint_once() -> None:
    with (
        Serving(answering()) as serving,
        Plane(gateway(REFUSING, serving.address, upstream='balance = "round_robin"')) as plane,
    ):
        for _ in range(10):
            with plane.connect() as client:
                client.send(POST)
                assert client.answer().status == 200
        until(plane.is_at_rest, "at rest")
        records = plane.log_records(10)
        assert {record["endpoint"] for record in records} == {serving.address}
        assert sorted({record["attempts"] for record in records}) == [1, 2]
        assert not any("error" in record for record in records)


def test_two_refused_dials_are_enough() -> None:
    """Three endpoints refuse: one retry, then the answer."""
    with Plane(gateway(REFUSING, "127.0.0.2:1", "127.0.0.3:1")) as plane:
        answer = plane.get()
        assert dialled(plane) == 2
        check_failure(plane, answer, 502, "connection_refused")
        assert plane.counters()["upstream_retries"] == 1
        assert plane.counters()["upstream_dial_failures"] == 2


def test_only_endpoint_is_not_dialled_twice() -> None:
    with Plane(gateway(REFUSING)) as plane:
        assert plane.get().status == 502
        assert dialled(plane) == 1


@contextlib.contextmanager
def named_servers(count: int) -> Iterator[list[Serving]]:
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(Serving(answering(f"{i}".encode()))) for i in range(count)]


def test_sticky_client_keeps_its_server_when_a_resting_connection_was_closed() -> None:
    """The server is there and has the session: that it closed an idle connection sends nobody away from it."""
    with Upstream() as one, Upstream() as two:
        config = gateway(one.address, two.address, upstream='sticky = { cookie = "s" }\nbalance = "round_robin"')
        with Plane(config) as plane, plane.connect() as client:
            client.send(GET)
            one.listening.settimeout(0.3)
            try:
                server, home = one.accept(), one
            except TimeoutError:
                server, home = two.accept(), two
            one.listening.settimeout(10)
            with server:
                server.request()
                server.send(OK)
                cookie = (client.answer().get("Set-Cookie") or "").split(";")[0]
                assert cookie.startswith("s=")
                until(lambda: idle(plane) == 1, "it rests")
                client.send(GET.replace(b"\r\n\r\n", f"\r\nCookie: {cookie}\r\n\r\n".encode()))
                server.request()
                server.close()
            with home.accept() as again:
                again.request()
                again.send(OK)
                answer = client.answer()
                assert answer.status == 200
                assert answer.get("Set-Cookie") is None


def test_sticky_client_whose_server_is_gone_gets_another_and_a_new_cookie() -> None:
    with named_servers(2) as servers:
        addresses = [server.address for server in servers]
        with Plane(gateway(*addresses, upstream='sticky = { cookie = "s" }')) as plane:
            first = plane.get()
            cookie = re.match(r"s=[^;]+", first.get("Set-Cookie") or "")
            assert cookie is not None
            header = f"Cookie: {cookie[0]}\r\n"
            for _ in range(5):
                answer = plane.get(headers=header)
                assert (answer.body, answer.get("Set-Cookie")) == (first.body, None)
            servers[int(first.body)].__exit__()
            until(lambda: idle(plane) == 0, "its connections are gone")
            moved = plane.get(headers=header)
            assert moved.status == 200
            assert moved.body != first.body
            assert (moved.get("Set-Cookie") or "").startswith("s=")


def test_half_sent_upload_to_a_dead_connection_is_no_retry() -> None:
    """Bytes of the body are gone: even before an answer the request cannot be sent again."""
    with Upstream() as upstream, Plane(gateway(upstream.address)) as plane:
        with plane.connect() as client, serve_one(upstream, client, plane) as server:
            client.send(b"PUT / HTTP/1.1\r\nHost: gateway.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
            server.until(b"hello")
            server.reset()
            answer = client.answer()
            assert (answer.status, proxy_error(answer)) == (502, "connection_terminated")
        assert dialled(plane) == 1
        until(plane.is_at_rest, "at rest")
