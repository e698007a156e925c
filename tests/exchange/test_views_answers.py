"""What a filter leaves: fields of the access log line, and answers."""

import json
from typing import Any

import pytest
from tests.exchange.filtered import filtered, get

from tidegate import Filter, Request, Response, ResponseHead

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
