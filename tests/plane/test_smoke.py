"""One request through the data plane."""

from tests.plane.harness import Plane, Upstream, until

CONFIG = """
[upstreams.a]
endpoints = ["{address}"]

[[routes]]
name = "all"
upstream = "a"
"""


def test_request_goes_through_and_leaves_nothing_behind() -> None:
    with Upstream() as upstream, Plane(CONFIG.format(address=upstream.address)) as plane:
        with plane.connect() as client:
            client.send(b"POST /a?b=c HTTP/1.1\r\nHost: gateway.test\r\nContent-Length: 5\r\nX-User_Id: 1\r\n\r\nhello")
            with upstream.accept() as server:
                line, fields, body = server.request()
                assert line == "POST /a?b=c HTTP/1.1"
                assert ("Host", "gateway.test") in fields
                assert ("X-Forwarded-For", "127.0.0.1") in fields
                assert "X-User_Id" not in dict(fields)
                assert body == b"hello"
                server.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
                answer = client.answer()
                assert (answer.status, answer.body) == (200, b"abc")
                client.send(b"GET / HTTP/1.1\r\nHost: gateway.test\r\n\r\n")
                assert server.request()[0] == "GET / HTTP/1.1"
                server.send(b"HTTP/1.1 204 No Content\r\n\r\n")
                assert client.answer().status == 204
        until(plane.is_at_rest, "at rest")
        assert not plane.error_log.said


def test_client_that_resets_while_it_waits_ends_its_exchange() -> None:
    with Upstream() as upstream, Plane(CONFIG.format(address=upstream.address)) as plane:
        for _ in range(300):
            client = plane.connect()
            client.send(b"GET / HTTP/1.1\r\nHost: gateway.test\r\n\r\n")
            with upstream.accept() as server:
                server.head()
                client.reset()
                assert server.is_closed()
        until(plane.is_at_rest, "at rest")
        assert plane.counters()["client_aborts"] == 300
