"""What a filter sees of an exchange."""

import json
from typing import Any

import pytest
from tests.exchange.filtered import HOST, OK, filtered, get, look, received
from tests.plane.harness import until

from tidegate import Filter, Headers, Identity, Request, Response, ResponseHead, testing

TRUSTING = 'trusted_proxies = ["127.0.0.0/8", "10.0.0.0/8"]'


def ask(name: str, request: bytes, **settings: str) -> Any:
    return look(lambda view: getattr(view, name), request, **settings)


# -- the request -----------------------------------------------------------------------------------------------------


def test_request_line() -> None:
    def see(request: Request) -> None:
        assert request.method == "PATCH"
        assert request.path == "/a/c~"
        assert request.target == "/a/./b/../c%7e?x=1&y=%20"
        assert request.query_string == "x=1&y=%20"
        assert request.host == "gateway.test"
        assert request.http_version == "1.1"
        assert request.scheme == "http"
        assert request.route == "all"
        assert request.upstream == "a"
        assert repr(request) == "<Request PATCH /a/c~ on all>"

    look(see, get("/a/./b/../c%7e?x=1&y=%20", method="PATCH"))


@pytest.mark.parametrize(
    ("lines", "server", "scheme"),
    [
        ("", TRUSTING, "http"),
        ("X-Forwarded-Proto: https\r\n", TRUSTING, "https"),
        ("X-Forwarded-Proto: HTTP\r\n", TRUSTING, "http"),
        ("X-Forwarded-Proto: gopher\r\n", TRUSTING, "http"),
        ("X-Forwarded-Proto: http\r\nX-Forwarded-Proto: https\r\n", TRUSTING, "https"),
        ("X_Forwarded_Proto: https\r\n", TRUSTING, "http"),
        ("X-Forwarded-Proto: https\r\n", "", "http"),
    ],
)
def test_scheme_is_what_a_trusted_proxy_says(lines: str, server: str, scheme: str) -> None:
    assert ask("scheme", get(headers=lines), server=server) == scheme


def test_client_of_http_1_0_without_host() -> None:
    def see(request: Request) -> None:
        assert (request.http_version, request.host, request.query_string) == ("1.0", "", "")

    look(see, b"GET / HTTP/1.0\r\n\r\n")


@pytest.mark.parametrize(
    ("query", "value"),
    [
        ("", None),
        ("a=1", "1"),
        ("b=2&a=1&a=3", "1"),
        ("a", ""),
        ("a=", ""),
        ("a=x%20y+z", "x y z"),
        ("%61=1", "1"),
        ("a=%C3%A4", "ä"),
        ("a=%ff", "\ufffd"),
        ("A=1", None),
        ("a=b=c", "b=c"),
    ],
)
def test_query_gives_the_first_value_decoded(query: str, value: str | None) -> None:
    assert look(lambda request: request.query("a"), get("/?" + query)) == value
    assert look(lambda request: request.query("a", 7), get("/?" + query)) == (7 if value is None else value)


@pytest.mark.parametrize(
    ("lines", "value"),
    [
        ("", None),
        ("Cookie: a=1\r\n", "1"),
        ("Cookie: b=2; a=1; a=3\r\n", "1"),
        ("Cookie: b=2\r\nCookie: a=1\r\n", "1"),
        ("Cookie: aa=2\r\n", None),
        ("Cookie: A=2\r\n", None),
        ("cookie: a=x%20y\r\n", "x%20y"),
        ("Cookie: a=\r\n", ""),
        ("Cookie: a=g\xfc\r\n", "gü"),
    ],
)
def test_cookie_gives_the_first_value_as_it_came(lines: str, value: str | None) -> None:
    assert look(lambda request: request.cookie("a"), get(headers=lines)) == value
    assert look(lambda request: request.cookie("a", "d"), get(headers=lines)) == ("d" if value is None else value)


@pytest.mark.parametrize(
    ("path", "target", "captures"),
    [
        ("/users/{id}/items/{item}", "/users/42/items/a%20b", {"id": "42", "item": "a%20b"}),
        ("/users/{id}", "/x/../users/%41", {"id": "A"}),
        ("~^/v(?P<version>[0-9]+)/", "/v12/x", {"version": "12"}),
        ("/*", "/x/y", {"*": "x/y"}),
    ],
)
def test_captures_by_name(path: str, target: str, captures: dict[str, str]) -> None:
    assert ask("captures", get(target), route=f"path = '{path}'") == captures


def test_id_is_the_one_that_is_sent_and_logged() -> None:
    ids = []

    class Keep(Filter):
        def on_request(self, request: Request) -> None:
            ids.append(request.id)

    with filtered(Keep) as (plane, upstream), plane.connect() as client:
        client.send(get())
        with upstream.accept() as server:
            assert dict(server.request()[1])["X-Request-ID"] == ids[0]
            server.send(OK)
            client.answer()
        assert json.loads(plane.log_lines(1)[0])["request_id"] == ids[0]
        client.close()


@pytest.mark.parametrize(
    ("lines", "server", "address"),
    [
        ("", "", "127.0.0.1"),
        ("X-Forwarded-For: 1.2.3.4\r\n", "", "127.0.0.1"),
        ("", TRUSTING, "127.0.0.1"),
        ("X-Forwarded-For: 1.2.3.4\r\n", TRUSTING, "1.2.3.4"),
        ("X-Forwarded-For: 6.6.6.6, 1.2.3.4, 10.1.1.1\r\n", TRUSTING, "1.2.3.4"),
        ("X-Forwarded-For: 1.2.3.4, unknown, 10.1.1.1\r\n", TRUSTING, "10.1.1.1"),
        # several lines are one list, as HAProxy writes it
        ("X-Forwarded-For: 6.6.6.6, 1.2.3.4\r\nX-Forwarded-For: 10.1.1.1\r\n", TRUSTING, "1.2.3.4"),
        ("X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 1.2.3.4\r\n", TRUSTING, "1.2.3.4"),
        ("X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: junk, 10.1.1.1\r\n", TRUSTING, "10.1.1.1"),
        ("X_Forwarded_For: 6.6.6.6\r\n", TRUSTING, "127.0.0.1"),
    ],
)
def test_client_address_is_what_trusted_proxies_vouch_for(lines: str, server: str, address: str) -> None:
    assert ask("client_ip", get(headers=lines), server=server) == address


# -- header fields ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["X-User-Id", "x-user-id", "X_User_Id", "x-USER_id"])
def test_names_are_compared_without_case_and_dashes(name: str) -> None:
    def see(request: Request) -> None:
        headers = request.headers
        assert headers[name] == headers.get(name) == "7"
        assert name in headers

    look(see, get(headers="X-User-Id: 7\r\n"))


def test_field_with_an_underscore_that_is_not_sent_on_is_not_seen() -> None:
    """Believing X_User_Id where the upstream gets X-User-Id would let a client put one past the filter."""

    def hidden(request: Request) -> None:
        assert request.headers.get_all("X-User-Id") == ["7"]
        assert request.headers.get("X-User-Id") == "7"
        assert request.headers.get("X-Other") is None
        assert [name for name in request.headers if "_" in name] == []

    def shown(request: Request) -> None:
        assert request.headers.get_all("X-User-Id") == ["6", "7"]
        assert "x-other" in request.headers

    request = get(headers="X_User_Id: 6\r\nX-User-Id: 7\r\nX_Other: 1\r\n")
    look(hidden, request)
    look(shown, request, listener="allow_underscores = true")


def test_absent_field() -> None:
    def see(request: Request) -> None:
        headers = request.headers
        assert headers.get("X-None") is None
        assert headers.get("X-None", "d") == "d"
        assert headers.get_all("X-None") == []
        assert "X-None" not in headers
        del headers["X-None"]
        with pytest.raises(KeyError, match="X-None"):
            headers["X-None"]
        with pytest.raises(TypeError):
            headers.get(None)  # type: ignore[call-overload]

    look(see)


def test_items_are_what_came() -> None:
    expected = [("Host", "gateway.test"), ("B", "2"), ("a", "1"), ("B", "3")]
    assert look(lambda request: request.headers.items(), get(headers="B:2\r\na: 1 \r\nB:\t3\r\n")) == expected
    assert look(lambda request: list(request.headers), get(headers="B:2\r\n")) == ["Host", "B"]


# -- the head of the answer ------------------------------------------------------------------------------------------


def test_response_head() -> None:
    class See(Filter):
        def on_response(self, request: Request, response: ResponseHead) -> None:
            assert response.status == 201
            assert not response.is_local
            assert response.headers.get_all("x-a") == ["1", "2"]
            assert repr(response) == "<ResponseHead 201>"
            response.status = 202
            assert response.status == 202
            response.headers["X-B"] = request.headers["host"]

    with filtered(See) as (plane, upstream), plane.connect() as client:
        client.send(get())
        with upstream.accept() as server:
            server.request()
            server.send(b"HTTP/1.1 201 Created\r\nX-A: 1\r\nx-a: 2\r\nContent-Length: 0\r\n\r\n")
            answer = client.answer()
        assert not plane.error_log.said
    assert (answer.status, answer.get("X-B")) == (202, "gateway.test")


@pytest.mark.parametrize(
    ("before", "after"), [(200, 199), (200, 600), (200, 101), (200, 204), (200, 304), (204, 200), (304, 200)]
)
def test_status_cannot_change_whether_there_is_a_body(before: int, after: int) -> None:
    def change(response: ResponseHead) -> None:
        with pytest.raises(ValueError, match=f"status {before} cannot become {after}"):
            response.status = after

    received(change, f"HTTP/1.1 {before} X\r\nContent-Length: 0\r\n\r\n".encode())


# -- the end of a view -----------------------------------------------------------------------------------------------


def over(use: Any) -> None:
    with pytest.raises(RuntimeError, match="exchange is over"):
        use()


def test_views_kept_past_the_exchange_say_so() -> None:
    kept: list[Any] = []

    class Keep(Filter):
        def on_response(self, request: Request, response: ResponseHead) -> None:
            kept[:] = [request, request.headers, response, response.headers]

    with filtered(Keep) as (plane, upstream), plane.connect() as client:
        client.send(get())
        with upstream.accept() as server:
            server.request()
            server.send(OK)
            client.answer()
            until(lambda: plane.statistics().exchanges == 0, "the exchange is over")
            request, request_headers, response, response_headers = kept
            for name in (
                "method", "path", "target", "query_string", "host", "scheme", "http_version", "client_ip", "id",
                "route", "captures", "upstream", "store", "log",
            ):  # fmt: skip
                over(lambda name=name: getattr(request, name))
            over(lambda: request.query("a"))
            over(lambda: request.cookie("a"))
            over(lambda: setattr(request, "upstream", "a"))
            over(lambda: response.status)
            over(lambda: setattr(response, "status", 200))
            over(lambda: response.is_local)
            for headers in (request_headers, response_headers):
                over(lambda headers=headers: headers.get("a"))
                over(lambda headers=headers: headers.get_all("a"))
                over(lambda headers=headers: headers["a"])
                over(lambda headers=headers: headers.__setitem__("a", "b"))
                over(lambda headers=headers: headers.__delitem__("a"))
                over(lambda headers=headers: headers.add("a", "b"))
                over(headers.items)
                over(lambda headers=headers: "a" in headers)
                over(lambda headers=headers: len(headers))
            assert [repr(one) for one in kept] == [
                "<Request, over>", "<Headers, over>", "<ResponseHead, over>", "<Headers, over>"
            ]  # fmt: skip
            # The next exchange has views of its own; those that were kept stay cut off.
            before = list(kept)
            client.send(get("/second"))
            server.request()
            server.send(OK)
            client.answer()
            assert not any(one is other for one, other in zip(before, kept, strict=True))
            over(lambda: before[0].path)
        client.close()


def test_views_that_nobody_kept_are_used_again() -> None:
    """Two objects less for the cyclic collector on each request."""
    seen: list[tuple[int, ...]] = []
    taken = []

    class See(Filter):
        def on_response(self, request: Request, response: ResponseHead) -> None:
            seen.append(tuple(map(id, (request, request.headers, response, response.headers))))

    with filtered(See, route="respond.status = 204", upstream=False) as (plane, _), plane.connect() as client:
        for _ in range(3):
            client.send(get())
            client.answer()
            until(lambda: plane.statistics().exchanges == 0, "over")
            # What was let go of would be found by these, and another address be given to the next.
            taken += [testing.response(testing.request()) for _ in range(50)]
        client.close()
    assert len(set(seen)) == 1


def test_header_view_kept_alone_is_cut_off_too() -> None:
    kept: list[Headers] = []

    class Keep(Filter):
        def on_request(self, request: Request) -> Response:
            kept.append(request.headers)
            return Response.json(request.headers.items())

    with filtered(Keep) as (plane, _), plane.connect() as client:
        client.send(get("/", "X-Secret: 1\r\n"))
        assert b"X-Secret" in client.answer().body
        client.send(get("/"))
        assert b"X-Secret" not in client.answer().body
        until(lambda: plane.statistics().exchanges == 0, "over")
        assert kept[0] is not kept[1]
        over(lambda: kept[0].get("X-Secret"))
        client.close()


def test_nothing_of_one_exchange_is_seen_in_the_next() -> None:
    seen: list[Any] = []

    class See(Filter):
        def on_request(self, request: Request) -> None:
            seen.append(
                (request.path, request.headers.items(), dict(request.store), dict(request.log), request.cookie("c"))
            )
            request.store["mine"] = request.path
            request.log["mine"] = request.path
            request.headers["X-Mine"] = request.path

    with filtered(See) as (plane, upstream), plane.connect() as client:
        client.send(get("/first", "Cookie: c=1\r\nX-Long: " + "x" * 3000 + "\r\n"))
        with upstream.accept() as server:
            for path in ("/first", "/second"):
                fields = dict(server.request()[1])
                assert fields["X-Mine"] == path
                server.send(OK)
                client.answer()
                client.send(get("/second"))
            server.request()
            server.send(OK)
            client.answer()
        client.close()
        lines = [json.loads(line)["mine"] for line in plane.log_lines(3)]
    assert lines == ["/first", "/second", "/second"]
    assert seen[1] == seen[2] == ("/second", [("Host", "gateway.test")], {}, {}, None)


# -- what is left for others -----------------------------------------------------------------------------------------


def test_store_is_the_exchanges_own_through_all_phases() -> None:
    class Outer(Filter):
        def on_request(self, request: Request) -> None:
            request.store["seen"] = ["outer"]

        def on_finish(self, request: Request) -> None:
            finished.append(request.store["seen"])

    class Inner(Filter):
        async def on_request(self, request: Request) -> None:
            request.store["seen"].append("inner")

        def on_response(self, request: Request, response: ResponseHead) -> None:
            request.store["seen"].append("response")

        def on_response_body(self, request: Request, piece: bytes, is_last: bool) -> None:
            request.store["seen"].append("body")

    finished: list[list[str]] = []
    with filtered(Outer, Inner) as (plane, upstream), plane.connect() as client:
        client.send(get())
        with upstream.accept() as server:
            server.request()
            server.send(OK)
            client.answer()
        until(lambda: finished, "finish")
        client.close()
    assert finished == [["outer", "inner", "response", "body"]]


def test_request_can_go_to_another_upstream() -> None:
    class Move(Filter):
        def on_request(self, request: Request) -> None:
            assert request.upstream == "a"
            with pytest.raises(ValueError, match="no upstream is named c; there are a, b"):
                request.upstream = "c"
            request.upstream = "b"
            assert request.upstream == "b"

        def on_response(self, request: Request, response: ResponseHead) -> None:
            assert request.upstream == "b"
            with pytest.raises(RuntimeError, match="on its way already"):
                request.upstream = "a"

        def on_finish(self, request: Request) -> None:
            with pytest.raises(RuntimeError, match="on its way already"):
                request.upstream = "a"

    from tests.plane.harness import Upstream

    with Upstream() as other:
        config = f'[upstreams.b]\nendpoints = ["{other.address}"]'
        with filtered(Move, config=config) as (plane, _), plane.connect() as client:
            client.send(get())
            with other.accept() as server:
                server.request()
                server.send(OK)
                assert client.answer().body == b"ok"
            client.close()
            assert json.loads(plane.log_lines(1)[0])["upstream"] == "b"
            assert not plane.error_log.said


def test_filter_says_whom_the_request_is_from_and_not_when_it_is_on_its_way() -> None:
    class Finds(Filter):
        def on_request(self, request: Request) -> None:
            assert request.auth.subject == ""
            with pytest.raises(TypeError):
                request.auth = None  # type: ignore[assignment]
            request.auth = Identity("ann", "acme", "gold", 7)
            assert (request.auth.subject, request.auth.tenant) == ("ann", "acme")

        def on_response(self, request: Request, response: ResponseHead) -> None:
            assert request.auth.subject == "ann"
            with pytest.raises(RuntimeError, match="on its way already"):
                request.auth = Identity("eve")

    with filtered(Finds) as (plane, upstream), plane.connect() as client:
        client.send(get())
        with upstream.accept() as server:
            server.request()
            server.send(OK)
            assert client.answer().body == b"ok"
        client.close()
        assert not plane.error_log.said


def test_upstream_cannot_change_once_an_async_filter_has_seen_the_answer() -> None:
    class Late(Filter):
        async def on_response(self, request: Request, response: ResponseHead) -> None:
            with pytest.raises(RuntimeError, match="on its way already"):
                request.upstream = "a"
            response.headers["X-Late"] = "1"

    class Later(Filter):
        def on_response(self, request: Request, response: ResponseHead) -> None:
            with pytest.raises(RuntimeError, match="on its way already"):
                request.upstream = "a"

    with filtered(Later, Late) as (plane, upstream), plane.connect() as client:
        client.send(get())
        with upstream.accept() as server:
            server.request()
            server.send(OK)
            assert client.answer().get("X-Late") == "1"
        client.close()
        assert not plane.error_log.said


def test_raw_bytes_in_a_head_are_latin_1_text() -> None:
    request = b"GET /?q=%e4 HTTP/1.1\r\n" + HOST + b"X-A: \xe4\xff\r\n\r\n"
    assert look(lambda view: view.headers["x-a"], request) == "äÿ"
