"""The kinds of clients and requests there are: old ones, proxies' ones, odd ones."""

import pytest
from tests.plane.client_side import OK, at_rest, is_refused, nobody_called, one_upstream, problem_type
from tests.plane.harness import Plane, Upstream

pytestmark = pytest.mark.sanitize

ROUTES = """
[[routes]]
name = "reports"
path = "/reports/*"
methods = ["GET", "POST"]
upstream = "a"
"""


def test_http_1_0_client_gets_a_closed_connection() -> None:
    with Upstream() as upstream, Plane(one_upstream(upstream)) as plane:
        with plane.connect() as client:
            client.send(b"GET /old HTTP/1.0\r\n\r\n")
            with upstream.accept() as server:
                line, fields, _ = server.request()
                assert line == "GET /old HTTP/1.1"
                assert dict(fields)["Host"]
                assert dict(fields)["Via"] == "1.0 tidegate"
                server.send(OK)
                answer = client.answer()
                assert (answer.body, answer.get("Connection")) == (b"ok", "close")
                assert client.is_closed()
        at_rest(plane)


def test_http_1_0_client_may_keep_its_connection() -> None:
    with Upstream() as upstream, Plane(one_upstream(upstream)) as plane:
        with plane.connect() as client:
            with_keep_alive = b"GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n"
            client.send(with_keep_alive * 2)
            with upstream.accept() as server:
                for _ in range(2):
                    server.request()
                    server.send(OK)
                    answer = client.answer()
                    assert (answer.body, answer.get("Connection")) == (b"ok", "keep-alive")
        at_rest(plane)


@pytest.mark.parametrize("keep_alive", [b"", b"Connection: keep-alive\r\n"])
def test_http_1_0_client_gets_no_chunks(keep_alive: bytes) -> None:
    with Upstream() as upstream, Plane(one_upstream(upstream)) as plane:
        with plane.connect() as client:
            client.send(b"GET / HTTP/1.0\r\nHost: a\r\n" + keep_alive + b"\r\n")
            with upstream.accept() as server:
                server.request()
                server.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
                server.send(b"3\r\ndef\r\n0\r\n\r\n")
                answer = client.answer()
                assert answer.body == b"abcdef"
                assert answer.get("Transfer-Encoding") is None
                assert answer.get("Connection") == "close"
        at_rest(plane)


def test_cut_answer_to_an_http_1_0_client_is_a_reset() -> None:
    """Where the end of the connection ends the body, an ordinary close would make half an answer a whole one."""
    with Upstream() as upstream, Plane(one_upstream(upstream)) as plane:
        with plane.connect() as client:
            client.send(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n")
            with upstream.accept() as server:
                server.request()
                server.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
                client.until(b"abc")
                server.close()
                with pytest.raises(ConnectionResetError):
                    client.rest()
        at_rest(plane)


def test_head_is_answered_with_a_head() -> None:
    with Upstream() as upstream, Plane(one_upstream(upstream)) as plane:
        with plane.connect() as client:
            client.send(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n" * 2)
            with upstream.accept() as server:
                for framing in ("Content-Length: 1000", "Transfer-Encoding: chunked"):
                    assert server.request()[0] == "HEAD / HTTP/1.1"
                    server.send(f"HTTP/1.1 200 OK\r\n{framing}\r\n\r\n".encode())
                    answer = client.answer(to="HEAD")
                    assert answer.status == 200
                    if "Length" in framing:
                        assert answer.get("Content-Length") == "1000"
        at_rest(plane)


def test_head_to_what_the_gateway_answers_itself_has_no_body() -> None:
    with Upstream() as upstream, Plane(one_upstream(upstream, route='path = "/"')) as plane:
        with plane.connect() as client:
            client.send(b"HEAD /nowhere HTTP/1.1\r\nHost: a\r\n\r\nGET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n")
            assert client.answer(to="HEAD").status == 404
            assert problem_type(client.answer()) == "no_route"
        at_rest(plane)


def test_options_asterisk_goes_on_as_it_came() -> None:
    with Upstream() as upstream, Plane(one_upstream(upstream)) as plane:
        with plane.connect() as client:
            client.send(b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n")
            with upstream.accept() as server:
                assert server.request()[0] == "OPTIONS * HTTP/1.1"
                server.send(OK)
                assert client.answer().status == 200
        at_rest(plane)


def test_absolute_form_becomes_origin_form() -> None:
    with Upstream() as upstream, Plane(one_upstream(upstream)) as plane:
        with plane.connect() as client:
            client.send(b"GET http://Shop.test/a?b HTTP/1.1\r\nHost: shop.test\r\n\r\n")
            with upstream.accept() as server:
                line, fields, _ = server.request()
                assert line == "GET /a?b HTTP/1.1"
                assert dict(fields)["Host"].lower() == "shop.test"
                server.send(OK)
                assert client.answer().status == 200
        at_rest(plane)


def test_absolute_form_for_another_host_is_refused() -> None:
    with Upstream() as upstream, Plane(one_upstream(upstream)) as plane:
        with plane.connect() as client:
            client.send(b"GET http://other.test/ HTTP/1.1\r\nHost: gateway.test\r\n\r\n")
            is_refused(client, 400, "target_host_mismatch")
        assert nobody_called(upstream)
        at_rest(plane)


def test_connect_is_refused() -> None:
    with Upstream() as upstream, Plane(one_upstream(upstream)) as plane:
        with plane.connect() as client:
            client.send(b"CONNECT other.test:443 HTTP/1.1\r\nHost: other.test:443\r\n\r\n")
            is_refused(client, 501, "connect_refused")
        assert nobody_called(upstream)
        at_rest(plane)


def test_unknown_method_goes_on_where_the_route_takes_any() -> None:
    with Upstream() as upstream, Plane(one_upstream(upstream)) as plane:
        with plane.connect() as client:
            client.send(b"BREW /pot HTTP/1.1\r\nHost: a\r\n\r\n")
            with upstream.accept() as server:
                assert server.request()[0] == "BREW /pot HTTP/1.1"
                server.send(OK)
                assert client.answer().status == 200
        at_rest(plane)


def test_method_that_no_route_takes_is_405_with_what_is_allowed() -> None:
    with Upstream() as upstream, Plane(one_upstream(upstream, route='path = "/"', more=ROUTES)) as plane:
        with plane.connect() as client:
            client.send(b"DELETE /reports/1 HTTP/1.1\r\nHost: a\r\n\r\n" + b"GET /else HTTP/1.1\r\nHost: a\r\n\r\n")
            answer = client.answer()
            assert (answer.status, problem_type(answer)) == (405, "method_not_allowed")
            assert {word.strip() for word in (answer.get("Allow") or "").split(",")} == {"GET", "HEAD", "POST"}
            answer = client.answer()
            assert (answer.status, problem_type(answer)) == (404, "no_route")
        assert nobody_called(upstream)
        at_rest(plane)


def test_connection_close_is_honoured() -> None:
    with Upstream() as upstream, Plane(one_upstream(upstream)) as plane:
        with plane.connect() as client:
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n")
            with upstream.accept() as server:
                _, fields, _ = server.request()
                assert "Connection" not in dict(fields)
                server.send(OK)
                answer = client.answer()
                assert (answer.body, answer.get("Connection")) == (b"ok", "close")
                assert client.is_closed()
                server.sock.setblocking(False)
                with pytest.raises(BlockingIOError):
                    server.sock.recv(1)
        at_rest(plane)


def test_upstreams_connection_close_is_not_the_clients() -> None:
    with Upstream() as upstream, Plane(one_upstream(upstream)) as plane:
        with plane.connect() as client:
            for _ in range(2):
                client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                with upstream.accept() as server:
                    server.request()
                    server.send(b"HTTP/1.1 200 OK\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\nContent-Length: 0\r\n\r\n")
                    answer = client.answer()
                    assert answer.status == 200
                    assert answer.get("Connection") is None
                    assert answer.get("X-Hop") is None
                    assert server.is_closed()
        at_rest(plane)


@pytest.mark.parametrize("status", [204, 304])
def test_answer_without_a_body_leaves_the_connection_fit_for_the_next(status: int) -> None:
    with Upstream() as upstream, Plane(one_upstream(upstream)) as plane:
        with plane.connect() as client:
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 2)
            with upstream.accept() as server:
                server.request()
                server.send(f"HTTP/1.1 {status} X\r\nETag: 1\r\n\r\n".encode())
                assert client.answer().status == status
                server.request()
                server.send(OK)
                assert client.answer().body == b"ok"
        at_rest(plane)
