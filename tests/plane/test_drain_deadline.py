"""What is left when a drain's time is over: cut, and told apart from clients that left."""

import pytest
from tests.plane.harness import Plane, Upstream, until
from tests.plane.serving import GET, gateway
from tests.plane.test_websocket import upgraded

pytestmark = pytest.mark.sanitize


def drain(plane: Plane, seconds: float = 0.2) -> None:
    plane.call(lambda: plane.server.drain(plane.loop.time() + seconds))


def test_exchange_without_an_answer_is_cut_by_the_gateway_not_by_its_client() -> None:
    with Upstream() as upstream, Plane(gateway(upstream.address)) as plane, plane.connect() as client:
        client.send(GET)
        with upstream.accept() as server:
            server.request()
            drain(plane)
            assert client.is_closed()
            assert server.is_closed()
        (record,) = plane.log_records(1)
        assert (record["status"], record["error"], record["detail"]) == (504, "http_response_timeout", "drain_deadline")
        assert plane.counters()["client_aborts"] == 0
        until(plane.is_at_rest, "at rest")


def test_answer_that_was_begun_keeps_its_status() -> None:
    with Upstream() as upstream, Plane(gateway(upstream.address)) as plane, plane.connect() as client:
        client.send(GET)
        with upstream.accept() as server:
            server.request()
            server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
            client.head()
            drain(plane)
            assert server.is_closed()
        (record,) = plane.log_records(1)
        assert (record["status"], record["error"], record["detail"]) == (200, "http_response_timeout", "drain_deadline")
        assert plane.counters()["client_aborts"] == 0


def test_upgraded_connection_says_what_ended_it() -> None:
    with Upstream() as upstream, Plane(gateway(upstream.address)) as plane:
        with upgraded(upstream, plane) as (client, server):
            drain(plane)
            assert client.is_closed()
            assert server.is_closed()
        opened, closed = plane.log_records(2)
        assert (opened["event"], closed["event"]) == ("upgrade_opened", "upgrade_closed")
        assert "error" not in opened
        assert (closed["status"], closed["detail"]) == (101, "drain_deadline")


def test_client_that_leaves_during_the_drain_is_still_the_one_that_left() -> None:
    with Upstream() as upstream, Plane(gateway(upstream.address)) as plane:
        client = plane.connect()
        client.send(GET)
        with upstream.accept() as server:
            server.request()
            drain(plane, 30)
            client.reset()
            assert server.is_closed()
        (record,) = plane.log_records(1)
        assert (record["status"], record["detail"]) == (499, "client closed")


def test_gateway_that_is_closed_without_a_drain_says_so() -> None:
    with Upstream() as upstream, Plane(gateway(upstream.address)) as plane, plane.connect() as client:
        client.send(GET)
        with upstream.accept() as server:
            server.request()
            plane.call(plane.server.close)
            assert client.is_closed()
        (record,) = plane.log_records(1)
        assert (record["status"], record["detail"]) == (504, "stopped")
