"""What chaos and close reading have found, each by itself and in a second."""

import pytest
from tests.plane.harness import Peer, Plane, Upstream, until

pytestmark = pytest.mark.sanitize

FILTERED = """
[filters.bodies]
class = "tests.plane.chaos_filters:Bodies"
[filters.async]
class = "tests.plane.chaos_filters:Waiting"

[upstreams.a]
endpoints = ["{address}"]

[[routes]]
name = "all"
upstream = "a"
filters = [{filters}]
timeout = "300ms"
"""
SERVER = 'filter_packages = ["tests"]'


def ask(client: Peer, headers: str = "", version: str = "1.1") -> None:
    client.send(f"GET / HTTP/{version}\r\nHost: gateway.test\r\n{headers}\r\n".encode())


def test_cut_answer_without_length_ends_in_a_reset_for_a_client_of_http_1_0() -> None:
    # A body filter takes the length away, so only a reset tells such a client that it has half of it.
    with (
        Upstream() as upstream,
        Plane(FILTERED.format(address=upstream.address, filters='"bodies"'), server=SERVER) as plane,
        plane.connect() as client,
    ):
        ask(client, version="1.0")
        with upstream.accept() as server:
            server.head()
            server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
            assert client.until(b"half").endswith(b"half")
        with pytest.raises(ConnectionResetError):
            client.rest()


def test_filter_that_never_comes_back_on_the_way_out_ends_with_the_exchange() -> None:
    with (
        Upstream() as upstream,
        Plane(FILTERED.format(address=upstream.address, filters='"async"'), server=SERVER) as plane,
    ):
        with plane.connect() as client:
            ask(client, "X-Mood: hang-response\r\n")
            with upstream.accept() as server:
                server.head()
                server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                assert client.answer().status == 504
        until(plane.is_at_rest, "at rest")
        assert "filter_failed" not in plane.error_log.kinds()


def test_open_connections_to_upstreams_are_a_gauge() -> None:
    with Upstream() as upstream, Plane(FILTERED.format(address=upstream.address, filters=""), server=SERVER) as plane:
        with plane.connect() as client:
            ask(client)
            with upstream.accept() as server:
                server.head()
                until(lambda: plane.counters()["upstream_open"] == 1, "one open")
                server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                assert client.answer().status == 200
        until(lambda: plane.counters()["upstream_open"] == 0, "none open")


@pytest.mark.parametrize("filters", ["", '"bodies"'])
def test_end_of_an_empty_body_in_chunks_is_never_left_out(filters: str) -> None:
    # It had been taken from the client before the connection turned out to be dead; a second server would wait for it.
    with (
        Upstream() as upstream,
        Plane(FILTERED.format(address=upstream.address, filters=filters), server=SERVER) as plane,
        plane.connect() as client,
    ):
        ask(client)
        with upstream.accept() as server:
            server.head()
            server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            assert client.answer().status == 200
            client.send(b"PUT / HTTP/1.1\r\nHost: gateway.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
            server.head()
        assert client.answer().status == 502
