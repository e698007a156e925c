"""What a filter sees of an exchange."""

import json
from typing import Any

import pytest
from tests.exchange.filtered import HOST, OK, filtered, get, look, received
from tests.plane.harness import until

from tidegate import Filter, Headers, Request, Response, ResponseHead


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


TRUSTING = 'trusted_proxies = ["127.0.0.0/8", "10.0.0.0/8"]'


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


# -- the access log --------------------------------------------------------------------------------------------------


def logged(fields: dict[Any, Any]) -> tuple[dict[str, Any], list[str]]:
    """The access log line of an exchange with these fields of a filter's own, and what the error log says."""

    class Log(Filter):
        def on_request(self, request: Request) -> Response:
            request.log.update(fields)
            return Response(204)

    def distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in pairs]
        assert len(set(names)) == len(names), names
        return dict(pairs)

    with filtered(Log) as (plane, _):
        plane.get()
        line = json.loads(plane.log_lines(1)[0], object_pairs_hook=distinct)
        return line, [message for _, message, _ in plane.error_log.said]


def test_log_fields_are_members_of_the_line() -> None:
    line, said = logged({"tenant": "acme", "n": 3, "deep": {"a": [1, None, "ä\n"]}})
    assert (line["tenant"], line["n"], line["deep"]) == ("acme", 3, {"a": [1, None, "ä\n"]})
    assert line["status"] == 204
    assert not said


def test_log_field_named_like_one_of_the_logs_own_goes_out_under_another_name() -> None:
    line, _ = logged({"status": "gold", "filter_route": 1, "route": 2, "extra_dropped": 3})
    assert line["status"] == 204
    assert line["filter_status"] == "gold"
    assert (line["route"], line["filter_route"], line["filter_filter_route"]) == ("all", 1, 2)
    assert line["filter_extra_dropped"] == 3


def test_log_field_that_json_cannot_hold_is_left_out_and_said() -> None:
    line, said = logged({"good": 1, "bad": object(), 7: "x", "\ud800": 1})
    assert line["good"] == 1
    assert "bad" not in line
    assert len(said) == 3
    assert any("request.log['bad']" in message for message in said)


def test_log_fields_that_are_too_large_cost_only_themselves() -> None:
    line, _ = logged({"big": "x" * 10_000})
    assert line["extra_dropped"] is True
    assert line["status"] == 204


# -- answers ---------------------------------------------------------------------------------------------------------


def given(response: Response) -> Any:
    class Give(Filter):
        def on_request(self, request: Request) -> Response:
            return response

    with filtered(Give) as (plane, _):
        return plane.get()


def test_answer_with_bytes() -> None:
    answer = given(Response(418, b"\0\xff", {"X-A": "grün", "Content-Length": "77", "connection": "close"}))
    assert (answer.status, answer.reason, answer.body) == (418, "I'm a Teapot", b"\0\xff")
    assert answer.get("X-A") == "grün"
    assert answer.get_all("content-length") == ["2"]
    assert answer.get("connection") is None
    assert len(answer.get_all("Date")) == 1


def test_answer_with_text_is_utf_8() -> None:
    answer = given(Response(200, "ä"))
    assert (answer.body, answer.get_all("content-type")) == ("ä".encode(), ["text/plain; charset=utf-8"])
    answer = given(Response(200, "<p>", {"content-TYPE": "text/html"}))
    assert answer.get_all("content-type") == ["text/html"]


def test_answer_with_a_field_several_times() -> None:
    answer = given(Response(200, b"", {"Set-Cookie": ["a=1", "b=2"], "X-None": [], "Date": "today"}))
    assert answer.get_all("set-cookie") == ["a=1", "b=2"]
    assert answer.get("X-None") is None
    assert answer.get_all("date") == ["today"]


def test_answer_with_json_and_problem() -> None:
    answer = given(Response.json({"a": [1]}, 201, {"X-A": "1"}))
    assert (answer.status, json.loads(answer.body), answer.get("X-A")) == (201, {"a": [1]}, "1")
    assert answer.get_all("content-type") == ["application/json"]
    answer = given(Response.problem(403, "No", "because", "urn:x", {"X-A": "1"}, plan="free"))
    assert json.loads(answer.body) == {
        "type": "urn:x", "title": "No", "status": 403, "detail": "because", "plan": "free"
    }  # fmt: skip
    assert answer.get_all("content-type") == ["application/problem+json"]


def test_redirect() -> None:
    answer = given(Response.redirect("/new?a=%20&b=ü", 308))
    assert (answer.status, answer.get("Location")) == (308, "/new?a=%20&b=%C3%BC")
    assert Response.redirect("/").status == 302
    for status in (200, 304, 404):
        with pytest.raises(ValueError, match="a redirect has a status"):
            Response.redirect("/", status)


@pytest.mark.parametrize("status", [204, 304])
def test_answer_without_a_body(status: int) -> None:
    answer = given(Response(status))
    assert (answer.status, answer.body, answer.get("content-length")) == (status, b"", None)
    with pytest.raises(ValueError, match="has no body"):
        Response(status, b"x")


def test_answer_to_head_says_how_long_it_would_be() -> None:
    class Give(Filter):
        def on_request(self, request: Request) -> Response:
            return Response(200, b"12345")

    with filtered(Give) as (plane, _), plane.connect() as client:
        client.send(get(method="HEAD"))
        assert client.answer(to="HEAD").get("Content-Length") == "5"
        client.send(get())
        assert client.answer().body == b"12345"
        client.close()


@pytest.mark.parametrize("status", [0, 100, 199, 600, 1000])
def test_status_of_no_final_answer_is_refused(status: int) -> None:
    with pytest.raises(ValueError, match="from 200 to 599"):
        Response(status)


@pytest.mark.parametrize(
    ("headers", "error"),
    [
        ({"X-A": "a\r\nSet-Cookie: b"}, "control characters"),
        ({"X-A\r\nX-B": "a"}, "not the name"),
        ({"": "a"}, "not the name"),
        ({"X A": "a"}, "not the name"),
        ({"X-A": "€"}, "latin-1"),
        ({f"X-{number}": "1" for number in range(200)}, "at most 100 fields"),
        ({"X-A": "a" * 70_000}, "at most 100 fields and 65536 bytes"),
    ],
)
def test_answer_that_could_not_be_sent_is_refused_where_it_is_made(headers: dict[str, str], error: str) -> None:
    with pytest.raises(ValueError, match=error):
        Response(200, b"", headers)


@pytest.mark.parametrize(
    "arguments", [(200, None), (200, 7), (200, bytearray(b"x")), (200, b"", {"X": 1}), (200, b"", {1: "X"}), ("200",)]
)
def test_answer_of_wrong_types_is_refused(arguments: tuple[Any, ...]) -> None:
    with pytest.raises(TypeError):
        Response(*arguments)


def test_answer_does_not_change_once_made() -> None:
    response = Response(200, b"x", {"X-A": "1"})
    assert repr(response) == "<Response 200, 1 bytes>"
    with pytest.raises(TypeError):
        response.headers["X-B"] = "2"  # type: ignore[index]
    with pytest.raises(AttributeError):
        response.status = 404


def test_one_answer_may_be_given_again_and_again() -> None:
    constant = Response(200, b"same", {"X-A": "1"})

    class Give(Filter):
        def on_request(self, request: Request) -> Response:
            return constant

        def on_response(self, request: Request, response: ResponseHead) -> None:
            response.headers.add("X-Path", request.path)

    with filtered(Give) as (plane, _), plane.connect() as client:
        for path in ("/1", "/2", "/3"):
            client.send(get(path))
            answer = client.answer()
            assert (answer.body, answer.get_all("X-Path"), answer.get_all("X-A")) == (b"same", [path], ["1"])
        client.close()


def test_raw_bytes_in_a_head_are_latin_1_text() -> None:
    request = b"GET /?q=%e4 HTTP/1.1\r\n" + HOST + b"X-A: \xe4\xff\r\n\r\n"
    assert look(lambda view: view.headers["x-a"], request) == "äÿ"
