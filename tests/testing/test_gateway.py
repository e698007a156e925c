"""A gateway in this process, for tests of filters."""

import asyncio
from typing import Annotated

import pytest

from tidegate import Duration, Filter, Request, Response, ResponseHead, option, required, testing
from tidegate.errors import GatewayError
from tidegate.testing import Received


class Mark(Filter):
    """Marks what passes."""

    value: str = option("1", "what to say")
    wait: Annotated[float, Duration()] = option(0.0001, "how long to wait")

    async def on_request(self, request: Request) -> None:
        await asyncio.sleep(self.wait)
        request.headers["X-Mark"] = self.value
        request.log["mark"] = self.value

    def on_response(self, request: Request, response: ResponseHead) -> None:
        response.headers.add("X-Mark", self.value)


def test_request_goes_through_the_filters_to_the_upstream() -> None:
    with testing.gateway(testing.use(Mark, value="a", wait="1ms"), Mark) as gw:
        answer = gw.get("/x", {"X-A": "1"})
        assert (answer.status, answer.body) == (200, b"hello\n")
        assert answer.get_all("X-Mark") == ["1", "a"]
        [got] = gw.upstream.received
        assert (got.target, got.get("x-a"), got.get("X-Mark")) == ("/x", "1", "1")
        assert gw.log(1)[0]["mark"] == "1"
        assert gw.errors == []


def test_upstream_answers_as_told() -> None:
    def answer(got: Received) -> Response:
        return Response.json({"got": got.body.decode()}, 201)

    with testing.gateway(answer=answer) as gw:
        answered = gw.post("/x", "hello")
        assert (answered.status, answered.json()) == (201, {"got": "hello"})
        gw.upstream.answer = Response(404)
        assert gw.request("DELETE", "/x").status == 404
        assert len(gw.log(2)) == 2


def test_errors_are_there_to_see() -> None:
    class Fail(Filter):
        def on_request(self, request: Request) -> None:
            raise LookupError("why")

    with testing.gateway(Fail) as gw:
        answer = gw.get()
        assert (answer.status, answer.get("none")) == (500, None)
        [said] = gw.errors
        assert (said.kind, said.message, said.fields["filter"]) == ("filter_failed", "LookupError: why", "filter0")


def test_configuration_can_be_said() -> None:
    class Move(Filter):
        def on_request(self, request: Request) -> None:
            request.upstream = "two"

    with testing.gateway(
        Move,
        route={"path": "/users/{id}", "timeout": "1s"},
        listener={"allow_underscores": True},
        config={"routes": [{"name": "other", "respond": {"status": 418}, "filters": []}]},
        upstreams=("one", "two"),
    ) as gw:
        assert gw.get("/users/7", {"X_A": "1"}).status == 200
        assert gw.upstream is gw.upstreams["one"]
        assert not gw.upstream.received
        assert gw.upstreams["two"].received[0].get("X_A") == "1"
        assert gw.get("/other").status == 418
    with testing.gateway(route={"respond": {"status": 204}}) as gw:
        assert gw.get().status == 204


def test_wrong_configuration_is_said_with_every_finding() -> None:
    with (
        pytest.raises(ValueError, match=r"(?s)wait.*valeu|valeu.*wait"),
        testing.gateway(testing.use(Mark, valeu="a", wait="long")),
    ):
        pass


def test_filter_that_cannot_be_prepared_is_raised() -> None:
    class Broken(Filter):
        def prepare(self) -> None:
            raise LookupError("no table")

    with pytest.raises(GatewayError, match="no table"), testing.gateway(Broken):
        pass


def test_make_gives_a_filter_as_the_gateway_makes_it() -> None:
    class Prepared(Filter):
        name: str = required("some text")

        def prepare(self) -> None:
            self.shout = self.name.upper()

    assert testing.make(Prepared, name="a").shout == "A"
    assert testing.make(Mark, wait="250ms").wait == 0.25
    with pytest.raises(ValueError, match="name"):
        testing.make(Prepared)
