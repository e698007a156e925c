"""The data plane's beginning and end: draining, deadlines, closing."""

import asyncio
import time
from concurrent.futures import Future
from contextlib import ExitStack

import pytest
from tests.plane.client_side import GET, OK, at_rest, one_upstream
from tests.plane.harness import TIMEOUT_S, Plane, Upstream, until

LOCAL = """
[[routes]]
name = "here"
respond = { status = 200, body = "here" }
"""


def drain(plane: Plane, within_s: float) -> Future[None]:
    """Begins to drain; the future is done when the last connection has ended."""
    plane.call(lambda: plane.server.drain(plane.loop.time() + within_s))
    return asyncio.run_coroutine_threadsafe(plane.server.drained(), plane.loop)


def test_draining_serves_idle_connections_once_more() -> None:
    with Plane(LOCAL) as plane, ExitStack() as stack:
        clients = [stack.enter_context(plane.connect()) for _ in range(5)]
        for client in clients:
            client.send(GET)
            assert client.answer().get("Connection") is None
        drained = drain(plane, 30)
        for client in clients:
            client.send(GET)
            answer = client.answer()
            assert (answer.body, answer.get("Connection")) == (b"here", "close")
            assert client.is_closed()
        drained.result(5)
        at_rest(plane)


def test_draining_lets_what_is_in_flight_finish() -> None:
    with Upstream() as upstream, Plane(one_upstream(upstream)) as plane, plane.connect() as client:
        client.send(GET)
        with upstream.accept() as server:
            server.request()
            drained = drain(plane, 30)
            assert not drained.done()
            server.send(OK)
            answer = client.answer()
            assert (answer.body, answer.get("Connection")) == (b"ok", "close")
            assert client.is_closed()
            drained.result(5)
        at_rest(plane)


def test_draining_serves_what_waited_to_be_accepted() -> None:
    """More than one callback accepts: with the socket closed behind the first, the rest would be reset."""
    count = 300
    with Plane(LOCAL) as plane:
        clients = []

        def connect_and_drain() -> None:
            # On the gateway's own thread, so that it cannot accept meanwhile.
            clients.extend(plane.connect() for _ in range(count))
            plane.server.drain(plane.loop.time() + 30)

        plane.call(connect_and_drain)
        for client in clients:
            client.send(GET)
            answer = client.answer()
            assert (answer.body, answer.get("Connection")) == (b"here", "close")
            client.close()
        at_rest(plane)


def test_draining_accepts_nobody_else() -> None:
    with Plane(LOCAL) as plane, plane.connect() as before:
        before.send(GET)
        before.answer()
        drain(plane, 30)
        with plane.connect() as after:  # the socket is the supervisor's, and lives on for a successor
            after.send(GET)
            after.sock.settimeout(0.3)
            with pytest.raises(TimeoutError):
                after.answer()
        assert plane.statistics().connections == 1


def test_what_is_left_at_the_deadline_is_closed() -> None:
    with Upstream() as upstream, Plane(one_upstream(upstream)) as plane, ExitStack() as stack:
        idle, busy, silent = (stack.enter_context(plane.connect()) for _ in range(3))
        idle.send(GET)
        with upstream.accept() as server:
            server.request()
            server.send(OK)
            assert idle.answer().body == b"ok"
            busy.send(GET)
            server.request()
            server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc")
            busy.until(b"abc")
            began = time.monotonic()
            drained = drain(plane, 0.4)
            drained.result(TIMEOUT_S)
            assert time.monotonic() - began > 0.3
            for client in (idle, busy, silent):
                assert client.is_closed()
            assert server.is_closed()
        at_rest(plane)


def test_drain_of_an_idle_server_is_over_at_once() -> None:
    with Plane(LOCAL) as plane:
        drain(plane, 30).result(2)


def test_close_ends_everything_at_once() -> None:
    with Upstream() as upstream, ExitStack() as stack:
        with Plane(one_upstream(upstream)) as plane:
            idle, waiting, uploading = (stack.enter_context(plane.connect()) for _ in range(3))
            waiting.send(GET)
            server = stack.enter_context(upstream.accept())
            server.request()
            uploading.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc")
            other = stack.enter_context(upstream.accept())
            other.until(b"abc")
            until(lambda: plane.statistics().connections == 3, "accepted")
        for peer in (idle, waiting, uploading, server, other):
            assert peer.is_closed()


def test_link_and_cache_that_a_reload_removes_answer_until_the_last_exchange_that_has_them_ended() -> None:
    asks = (
        '[filters.asks]\nclass = "tests.plane.reload_filters:AsksLate"\n'
        '[redis.gone]\nurl = "redis://127.0.0.1:1"\n[cache.gone]\nredis = "gone"\n'
    )
    with Upstream() as upstream:
        old = one_upstream(upstream, route='filters = ["asks"]', more=asks)
        with Plane(old, server='filter_packages = ["tests"]') as plane, plane.connect() as client:
            client.send(GET)
            with upstream.accept() as server:
                server.request()
                plane.reload(LOCAL)
                plane.reload(LOCAL.replace('"here" }', '"there" }'))
                server.send(OK)
                answer = client.answer()
                assert (answer.status, answer.get("X-Link"), answer.get("X-Cache")) == (200, "gone", "gone")
            until(lambda: not plane.server.links and not plane.server.caches, "nobody can ask for them any more")


def test_server_shows_what_it_does() -> None:
    with Plane(LOCAL) as plane, plane.connect() as client:
        client.send(GET)
        client.answer()
        shown = plane.call(lambda: repr(plane.server))
        assert "accepting, 1 connections, 1 accepted" in shown
        assert plane.statistics().connections == 1
        assert plane.statistics().exchanges == 0
