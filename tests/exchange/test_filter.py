"""Filters on the way of an exchange: phases, order, answers, failures."""

import asyncio
from typing import Any

import pytest
from tests.exchange.filtered import OK, filtered, get
from tests.plane.harness import until

from tidegate import Filter, Request, Response, ResponseHead, option, required
from tidegate.config.filters import FilterUse
from tidegate.errors import GatewayError, Kind
from tidegate.exchange.filter import make_filters
from tidegate.testing.classes import target_of

pytestmark = pytest.mark.sanitize  # what runs the filters is compiled

# -- declaration ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", ["on_request_body", "on_response_body", "on_finish"])
def test_phase_that_cannot_wait_is_refused_when_async(phase: str) -> None:
    async def method(self: Any, *arguments: Any) -> None:
        pass

    with pytest.raises(TypeError, match=f"Wrong.{phase} cannot be async; only on_request and on_response may wait"):
        type("Wrong", (Filter,), {phase: method})


@pytest.mark.parametrize("phase", ["on_request", "on_response", "on_finish"])
def test_generator_is_refused(phase: str) -> None:
    def method(self: Any, *arguments: Any) -> Any:
        yield

    async def async_method(self: Any, *arguments: Any) -> Any:
        yield

    for generator in (method, async_method):
        with pytest.raises(TypeError, match=f"Wrong.{phase} is a generator"):
            type("Wrong", (Filter,), {phase: generator})


class Prepared(Filter):
    """Used below."""

    name: str = required("some text")
    size: int = option(3, "some number")
    order: list[str]

    def prepare(self) -> None:
        if self.name == "bad":
            raise LookupError("no such plan")
        self.order = ["prepared", self.name, str(self.size)]


def test_filters_are_made_with_their_options_and_prepared() -> None:
    made = make_filters({"p": FilterUse(target=target_of(Prepared), options={"name": "x", "size": 4})})
    assert isinstance(made["p"], Prepared)
    assert made["p"].order == ["prepared", "x", "4"]


@pytest.mark.parametrize(
    ("target", "options", "reason"),
    [
        ("nowhere.at.all:X", {}, "ModuleNotFoundError"),
        ("tidegate:Nothing", {}, "AttributeError"),
        (None, {}, "name"),
        (None, {"name": "bad"}, "LookupError: no such plan"),
        (None, {"name": 7}, "ValidationError"),
    ],
)
def test_filter_that_cannot_be_made_is_named(target: str | None, options: dict[str, Any], reason: str) -> None:
    target = target or target_of(Prepared)
    with pytest.raises(GatewayError, match=rf"filter plan \({target}\): .*{reason}") as caught:
        make_filters({"plan": FilterUse(target=target, options=options)})
    assert caught.value.kind is Kind.PROXY_CONFIGURATION_ERROR


# -- order ------------------------------------------------------------------------------------------------------------


def chain(seen: list[str], *, is_async: bool = False) -> list[type[Filter]]:
    """Three filters that say in ``seen`` when they were asked; the first and the last are async if wanted."""

    def make(name: str, may_wait: bool) -> type[Filter]:
        class Plain(Filter):
            def on_request(self, request: Request) -> None:
                seen.append(f"request {name}")

            def on_request_body(self, request: Request, piece: bytes, is_last: bool) -> bytes:
                seen.append(f"request body {name}")
                return piece + name.encode()

            def on_response(self, request: Request, response: ResponseHead) -> None:
                seen.append(f"response {name}")

            def on_response_body(self, request: Request, piece: bytes, is_last: bool) -> bytes:
                if is_last:
                    seen.append(f"response body {name}")
                    return piece + name.encode()
                return piece

            def on_finish(self, request: Request) -> None:
                seen.append(f"finish {name}")

        class Waiting(Plain):
            async def on_request(self, request: Request) -> None:  # type: ignore[override]
                await asyncio.sleep(0)
                seen.append(f"request {name}")

            async def on_response(self, request: Request, response: ResponseHead) -> None:  # type: ignore[override]
                seen.append(f"response {name}")
                await asyncio.sleep(0)

        return Waiting if may_wait else Plain

    return [make("1", is_async), make("2", False), make("3", is_async)]


@pytest.mark.parametrize("is_async", [False, True])
def test_request_runs_in_order_and_the_rest_in_reverse(is_async: bool) -> None:
    seen: list[str] = []
    with filtered(*chain(seen, is_async=is_async)) as (plane, upstream), plane.connect() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: gateway.test\r\nContent-Length: 1\r\n\r\nb")
        with upstream.accept() as server:
            assert server.request()[2] == b"b123"
            server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na")
            assert client.answer().body == b"a321"
        until(lambda: seen[-1] == "finish 1", "finish")
        client.close()
    forth, back = "123", "321"
    assert seen == (
        [f"request {n}" for n in forth]
        + [f"request body {n}" for n in forth]
        + [f"response {n}" for n in back]
        + [f"response body {n}" for n in back]
        + [f"finish {n}" for n in back]
    )


def test_one_filter_serves_many_routes() -> None:
    routes: list[tuple[str, int]] = []

    class Shared(Filter):
        def on_request(self, request: Request) -> Response:
            routes.append((request.route, id(self)))
            return Response(204)

    config = """
[[routes]]
name = "one"
path = "/one"
filters = ["f0"]
respond.status = 200

[[routes]]
name = "two"
path = "/two"
filters = ["f0"]
upstream = "a"
"""
    with filtered(Shared, config=config) as (plane, _):
        for path in ("/one", "/two", "/"):
            assert plane.get(path).status == 204
    assert [name for name, _ in routes] == ["one", "two", "all"]
    assert len({instance for _, instance in routes}) == 1


def test_route_without_filters_asks_none() -> None:
    class Never(Filter):
        def on_request(self, request: Request) -> Response:
            raise AssertionError

    with filtered(Never, config='[[routes]]\nname = "bare"\npath = "/bare"\nrespond.status = 200\n') as (plane, _):
        assert plane.get("/bare").status == 200
        assert plane.get("/").status == 500


# -- answers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_async", [False, True])
def test_answer_of_a_filter_ends_the_way_forth_and_takes_the_way_back(is_async: bool) -> None:
    seen: list[str] = []
    outer, _, inner = chain(seen)

    class Answer(Filter):
        def on_request(self, request: Request) -> Response:
            return Response(403, b"no")

        def on_response(self, request: Request, response: ResponseHead) -> None:
            assert response.is_local
            response.headers["X-Seen"] = str(response.status)

    class AnswerLater(Answer):
        async def on_request(self, request: Request) -> Response:  # type: ignore[override]
            await asyncio.sleep(0.001)
            return Response(403, b"no")

    with filtered(outer, AnswerLater if is_async else Answer, inner) as (plane, _), plane.connect() as client:
        client.send(get())
        answer = client.answer()
        assert (answer.status, answer.body, answer.get("X-Seen")) == (403, b"no31", "403")
        until(lambda: seen[-1] == "finish 1", "finish")
        client.send(get())  # the connection goes on
        assert client.answer().status == 403
        client.close()
    assert seen[:3] == ["request 1", "response 3", "response 1"]


@pytest.mark.parametrize("is_async", [False, True])
def test_replaced_answer_is_what_the_outer_filters_see(is_async: bool) -> None:
    class Outer(Filter):
        def on_response(self, request: Request, response: ResponseHead) -> None:
            heads.append((response.status, response.is_local, response.headers.get_all("x-a")))
            response.headers["X-Outer"] = "1"

    class Replace(Filter):
        def on_response(self, request: Request, response: ResponseHead) -> Response:
            return Response(503, b"later", {"X-A": "new"})

    class ReplaceLater(Filter):
        async def on_response(self, request: Request, response: ResponseHead) -> Response:
            await asyncio.sleep(0.001)
            return Response(503, b"later", {"X-A": "new"})

    class Inner(Filter):
        def on_response(self, request: Request, response: ResponseHead) -> None:
            heads.append((response.status, response.is_local, response.headers.get_all("x-a")))
            response.headers["X-Inner"] = "1"

    heads: list[Any] = []
    chosen = ReplaceLater if is_async else Replace
    route = 'response_headers.add = { "X-Route" = "1" }'
    with filtered(Outer, chosen, Inner, route=route) as (plane, upstream), plane.connect() as client:
        for _ in range(2):
            client.send(get())
            with upstream.accept() as server:
                server.request()
                server.send(b"HTTP/1.1 200 OK\r\nX-A: old\r\nDate: then\r\nContent-Length: 100\r\n\r\nhalf")
                answer = client.answer()
                assert server.is_closed()  # its body is of no use
            assert (answer.status, answer.body) == (503, b"later")
            assert (answer.get("X-Outer"), answer.get("X-Inner")) == ("1", None)
            assert (answer.get_all("X-A"), answer.get_all("X-Route"), len(answer.get_all("Date"))) == (
                ["new"],
                ["1"],
                1,
            )
        client.close()
    assert heads == [(200, False, ["old"]), (503, True, ["new"])] * 2


@pytest.mark.parametrize("kind", ["no route", "no upstream", "fixed", "redirect"])
def test_answers_of_the_gateway_are_shown_to_filters_of_the_route(kind: str) -> None:
    class Mark(Filter):
        def on_response(self, request: Request, response: ResponseHead) -> None:
            assert response.is_local
            response.headers["X-Mark"] = request.route

    config = """
[[routes]]
name = "fixed"
path = "/fixed"
filters = ["f0"]
respond.status = 404

[[routes]]
name = "redirect"
path = "/redirect"
filters = ["f0"]
redirect = { to = "/x", status = 302 }
"""
    with filtered(Mark, config=config, route='path = "/up"') as (plane, upstream):
        upstream.refuse()
        path, status, mark = {
            "no route": ("/nowhere", 404, None),
            "no upstream": ("/up", 502, "all"),
            "fixed": ("/fixed", 404, "fixed"),
            "redirect": ("/redirect", 302, "redirect"),
        }[kind]
        answer = plane.get(path)
        assert (answer.status, answer.get("X-Mark")) == (status, mark)


def test_answer_while_the_client_still_sends_its_body_arrives() -> None:
    class Refuse(Filter):
        def on_request(self, request: Request) -> Response:
            return Response(401, b"who?")

    with filtered(Refuse) as (plane, _), plane.connect() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: gateway.test\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 1000)
        answer = client.answer()
        assert (answer.status, answer.get("Connection")) == (401, "close")
        client.close()


def test_answer_to_expect_continue_asks_for_no_body() -> None:
    class Refuse(Filter):
        def on_request(self, request: Request) -> Response:
            return Response(401, b"who?")

    with filtered(Refuse) as (plane, _), plane.connect() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: gateway.test\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        assert client.answer().status == 401
        client.close()


# -- failures ---------------------------------------------------------------------------------------------------------


class Failing(Filter):
    """Raises in the phase that the path names."""

    def fail(self, request: Request, phase: str) -> None:
        if request.path == f"/{phase}":
            raise LookupError("secret detail")

    def on_request(self, request: Request) -> None:
        self.fail(request, "request")

    def on_request_body(self, request: Request, piece: bytes, is_last: bool) -> None:
        self.fail(request, "request_body")

    def on_response(self, request: Request, response: ResponseHead) -> None:
        self.fail(request, "response")

    def on_response_body(self, request: Request, piece: bytes, is_last: bool) -> None:
        self.fail(request, "response_body")


class FailingLater(Failing):
    """The same, in a task of its own."""

    async def on_request(self, request: Request) -> None:  # type: ignore[override]
        await asyncio.sleep(0.001)
        self.fail(request, "request")

    async def on_response(self, request: Request, response: ResponseHead) -> None:  # type: ignore[override]
        await asyncio.sleep(0.001)
        self.fail(request, "response")


@pytest.mark.parametrize("cls", [Failing, FailingLater])
@pytest.mark.parametrize("phase", ["request", "request_body", "response", "response_body"])
def test_failing_filter_is_a_500_and_the_connection_goes_on(cls: type[Filter], phase: str) -> None:
    with filtered(cls) as (plane, upstream), plane.connect() as client:
        client.send(f"POST /{phase} HTTP/1.1\r\nHost: gateway.test\r\nContent-Length: 1\r\n\r\nb".encode())
        if phase != "request":
            with upstream.accept() as server:
                if phase == "request_body":
                    with pytest.raises(EOFError):
                        server.request()
                else:
                    server.request()
                    server.send(OK)
                    assert server.is_closed()
        answer = client.answer()
        assert (answer.status, answer.get("Content-Type")) == (500, "application/problem+json")
        assert b"secret" not in answer.body
        assert "proxy_internal_error" in str(answer.get("Proxy-Status"))
        client.send(b"POST / HTTP/1.1\r\nHost: gateway.test\r\nContent-Length: 1\r\n\r\nb")
        with upstream.accept() as server:
            server.request()
            server.send(OK)
            assert client.answer().body == b"ok"
        client.close()
        [(kind, message, fields)] = plane.error_log.said
        assert (kind, message, fields["filter"]) == ("filter_failed", "LookupError: secret detail", "f0")
        first = plane.log_lines(2)[0]
        assert '"status":500' in first and '"detail":"f0"' in first


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("result", ["text", 7, b"x", {"status": 200}, (200, "x"), True])
def test_answer_of_another_type_is_a_500(result: object, is_async: bool) -> None:
    class Wrong(Filter):
        def on_request(self, request: Request) -> Any:
            return result

    class WrongLater(Filter):
        async def on_request(self, request: Request) -> Any:
            return result

    with filtered(WrongLater if is_async else Wrong) as (plane, _):
        assert plane.get().status == 500
        assert f"a filter answers with a Response or None, not {type(result).__name__}" in plane.error_log.said[0][1]


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, asyncio.CancelledError, GeneratorExit])
def test_filter_that_raises_what_ends_programs_ends_its_exchange(error: type[BaseException], is_async: bool) -> None:
    if is_async and error is GeneratorExit:
        pytest.skip("that is the loop's own word to a coroutine")

    class Exit(Filter):
        def on_request(self, request: Request) -> None:
            raise error

    class ExitLater(Filter):
        async def on_request(self, request: Request) -> None:
            await asyncio.sleep(0)
            raise error

    with filtered(ExitLater if is_async else Exit) as (plane, _), plane.connect() as client:
        for _ in range(2):
            client.send(get())
            assert client.answer().status == 500
        client.close()


def test_failing_finish_is_said_and_harms_nobody() -> None:
    finished = []

    class Last(Filter):
        def on_finish(self, request: Request) -> None:
            finished.append(request.path)

    class Raise(Filter):
        def on_finish(self, request: Request) -> None:
            raise LookupError("at the end")

    with filtered(Last, Raise) as (plane, upstream), plane.connect() as client:
        client.send(get())
        with upstream.accept() as server:
            server.request()
            server.send(OK)
            assert client.answer().status == 200
            until(lambda: finished, "finish of the other filter")
            assert plane.error_log.said[0][:2] == ("filter_failed", "LookupError: at the end")
        client.close()


def test_filter_that_fails_on_an_answer_of_a_filter_is_a_500() -> None:
    class Fail(Filter):
        def on_request(self, request: Request) -> Response:
            return Response(200)

        def on_response(self, request: Request, response: ResponseHead) -> None:
            raise LookupError

    with filtered(Fail) as (plane, _):
        answer = plane.get()
        assert answer.status == 500
        assert len(answer.get_all("date")) == 1


def test_changes_over_the_room_for_a_head_are_a_500() -> None:
    class Large(Filter):
        def on_response(self, request: Request, response: ResponseHead) -> None:
            response.headers["X-A"] = "a" * 70_000

    with filtered(Large) as (plane, upstream), plane.connect() as client:
        client.send(get())
        with upstream.accept() as server:
            server.request()
            server.send(OK)
            assert client.answer().status == 500
        client.close()


# -- finish -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "ending",
    [
        "answered", "local", "filter failed", "client aborted", "refused", "closed", "garbage", "half an answer",
        "timed out", "client gone in a wait", "half a body", "body too large",
    ],
)  # fmt: skip
def test_finish_runs_once_whatever_the_end(ending: str) -> None:
    finished: list[str] = []

    class Count(Filter):
        async def on_request(self, request: Request) -> Response | None:
            if ending == "local":
                return Response(204)
            if ending == "filter failed":
                raise LookupError
            if ending == "client gone in a wait":
                await asyncio.sleep(60)
            return None

        def on_finish(self, request: Request) -> None:
            finished.append(request.path)

    route = 'max_body = "10B"' if ending == "body too large" else 'timeout = "300ms"'
    with filtered(Count, route=route) as (plane, upstream):
        client = plane.connect()
        if ending == "refused":
            upstream.refuse()
        if ending == "half a body":
            client.send(b"POST / HTTP/1.1\r\nHost: gateway.test\r\nContent-Length: 10\r\n\r\nhalf")
        elif ending == "body too large":
            client.send(
                b"POST / HTTP/1.1\r\nHost: gateway.test\r\nTransfer-Encoding: chunked\r\n\r\nB\r\n01234567890\r\n"
            )
        else:
            client.send(get())
        if ending in {"local", "filter failed", "refused"}:
            client.answer()
        elif ending == "client gone in a wait":
            until(lambda: plane.statistics().exchanges == 1, "begun")
            client.reset()
        else:
            with upstream.accept() as server:
                if ending == "answered":
                    server.request()
                    server.send(OK)
                    assert client.answer().status == 200
                elif ending == "client aborted":
                    server.request()
                    client.reset()
                    assert server.is_closed()
                elif ending == "closed":
                    server.request()
                    server.close()
                    assert client.answer().status == 502
                elif ending == "garbage":
                    server.request()
                    server.send(b"what?\r\n\r\n")
                    assert client.answer().status == 502
                elif ending == "half an answer":
                    server.request()
                    server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
                    client.until(b"half")
                    server.close()
                    assert client.is_closed()
                elif ending == "timed out":
                    server.request()
                    assert client.answer().status == 504
                elif ending == "half a body":
                    server.until(b"half")
                    client.reset()
                elif ending == "body too large":
                    assert client.answer().status == 413
        until(lambda: finished, "finish")
        client.close()
        until(plane.is_at_rest, "at rest")
        assert finished == ["/"]
        # The next exchange, likely in the same object, has a finish of its own.
        if ending == "answered":
            with plane.connect() as other:
                other.send(get("/next"))
                with upstream.accept() as server:
                    server.request()
                    server.send(OK)
                    other.answer()
            until(lambda: finished == ["/", "/next"], "finish of the next")
