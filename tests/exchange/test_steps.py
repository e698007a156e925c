"""Async filters: what happens while one waits."""

import asyncio
import time
from typing import Any

import pytest
from tests.exchange.filtered import OK, filtered, get
from tests.plane.harness import Plane, Upstream, until

from tidegate import Filter, Later, Request, Response, ResponseHead
from tidegate.testing.classes import target_of


class Gate:
    """Where a filter waits until the test lets it through."""

    def __init__(self) -> None:
        self.waiting = 0
        self.passed = 0
        self.cancelled = 0
        self.is_open = False

    async def through(self) -> None:
        """Waits; counts what becomes of it."""
        self.waiting += 1
        try:
            while not self.is_open:  # noqa: ASYNC110
                await asyncio.sleep(0.001)  # an event would have to be set on the gateway's loop
            self.passed += 1
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.waiting -= 1


def test_others_are_served_while_a_filter_waits() -> None:
    gate = Gate()

    class Wait(Filter):
        async def on_request(self, request: Request) -> None:
            if request.path == "/slow":
                await gate.through()

    with filtered(Wait) as (plane, upstream), plane.connect() as slow, plane.connect() as quick:
        slow.send(get("/slow"))
        until(lambda: gate.waiting, "the filter waits")
        quick.send(get("/quick"))
        with upstream.accept() as server:
            assert "/quick" in server.request()[0]
            server.send(OK)
            assert quick.answer().status == 200
            gate.is_open = True
            assert "/slow" in server.request()[0]
            server.send(OK)
            assert slow.answer().status == 200
        slow.close()
        quick.close()


def test_request_views_stay_valid_over_a_wait() -> None:
    class Wait(Filter):
        async def on_request(self, request: Request) -> None:
            request.headers["X-Before"] = request.path
            await asyncio.sleep(0.005)
            request.headers["X-After"] = request.headers["X-Came"] + request.query("q", "")

        async def on_response(self, request: Request, response: ResponseHead) -> None:
            came = response.headers["X-Came"]
            await asyncio.sleep(0.005)
            assert response.headers["X-Came"] == came
            response.headers["X-After"] = request.path

    with filtered(Wait) as (plane, upstream), plane.connect() as one, plane.connect() as two:
        one.send(get("/1?q=a", "X-Came: first\r\n"))
        two.send(get("/2?q=b", "X-Came: second and longer\r\n"))
        with upstream.accept() as left, upstream.accept() as right:
            for server in (left, right):
                _, fields, _ = server.request()
                values = dict(fields)
                number = values["X-Before"]
                assert values["X-After"] == {"/1": "firsta", "/2": "second and longerb"}[number]
                server.send(f"HTTP/1.1 200 OK\r\nX-Came: {number * 50}\r\nContent-Length: 2\r\n\r\n{number}".encode())
            for client, number in ((one, "/1"), (two, "/2")):
                answer = client.answer()
                assert (answer.body, answer.get("X-After"), answer.get("X-Came")) == (
                    number.encode(),
                    number,
                    number * 50,
                )
        one.close()
        two.close()


@pytest.mark.parametrize("phase", ["on_request", "on_response"])
def test_client_that_goes_away_cancels_the_filter(phase: str) -> None:
    gate = Gate()

    async def wait(self: Any, *arguments: Any) -> None:
        await gate.through()

    with filtered(type("Wait", (Filter,), {phase: wait})) as (plane, upstream):
        clients = [plane.connect() for _ in range(20)]
        for client in clients:
            client.send(get())
        servers = []
        if phase == "on_response":
            servers = [upstream.accept() for _ in clients]
            for server in servers:
                server.request()
                server.send(OK)
        until(lambda: gate.waiting == 20, "all wait")
        for client in clients:
            client.reset()
        until(lambda: gate.cancelled == 20, "all are cancelled")
        assert gate.passed == 0
        until(plane.is_at_rest, "at rest")
        assert plane.call(lambda: len(asyncio.all_tasks(plane.loop))) == 0
        for server in servers:
            server.close()
        # Objects that were cut short serve others.
        gate.is_open = True
        with plane.connect() as client:
            client.send(get())
            with upstream.accept() as server:
                server.request()
                server.send(OK)
                assert client.answer().body == b"ok"
        assert not plane.error_log.said


@pytest.mark.parametrize("phase", ["on_request", "on_response"])
def test_filter_that_does_not_end_is_cut_short_by_the_deadline(phase: str) -> None:
    gate = Gate()

    async def wait(self: Any, *arguments: Any) -> None:
        await gate.through()

    cls = type("Wait", (Filter,), {phase: wait})
    with filtered(cls, route='timeout = "200ms"') as (plane, upstream), plane.connect() as client:
        client.send(get())
        if phase == "on_response":
            with upstream.accept() as server:
                server.request()
                server.send(OK)
                answer = client.answer()
        else:
            answer = client.answer()
        assert answer.status == 504
        until(lambda: gate.cancelled == 1 and gate.waiting == 0, "the filter is cancelled")
        client.close()


def test_plain_filters_see_the_answer_to_a_deadline() -> None:
    class Mark(Filter):
        def on_response(self, request: Request, response: ResponseHead) -> None:
            response.headers.add("X-Mark", str(response.status))

    class Wait(Filter):
        async def on_response(self, request: Request, response: ResponseHead) -> None:
            await asyncio.sleep(60)

    with filtered(Mark, Wait, route='timeout = "200ms"') as (plane, upstream), plane.connect() as client:
        client.send(get())
        with upstream.accept() as server:
            server.request()
            server.send(OK)
            answer = client.answer()
        assert (answer.status, answer.get_all("X-Mark"), len(answer.get_all("Date"))) == (504, ["504"], 1)
        client.close()


@pytest.mark.parametrize("result", ["goes on", "answers", "raises"])
def test_filter_that_swallows_its_cancellation_has_no_say_any_more(result: str) -> None:
    swallowed = []

    class Stubborn(Filter):
        async def on_request(self, request: Request) -> Response | None:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                swallowed.append(1)
            if result == "raises":
                raise LookupError
            return Response(200, b"too late") if result == "answers" else None

        async def on_response(self, request: Request, response: ResponseHead) -> None:
            raise AssertionError("the time is up: nobody is waited for")

    with filtered(Stubborn, route='timeout = "200ms"') as (plane, _), plane.connect() as client:
        client.send(get())
        assert client.answer().status == 504
        until(lambda: swallowed, "cancelled")
        assert not plane.error_log.said
        client.close()


def test_filter_that_held_the_loop_up_takes_no_time_from_the_upstream() -> None:
    class Block(Filter):
        def on_request(self, request: Request) -> None:
            time.sleep(0.5)

    with Upstream() as upstream:
        text = f"""
[filters.block]
class = "{target_of(Block)}"

[upstreams.a]
endpoints = ["{upstream.address}"]
connect_timeout = "200ms"

[[routes]]
name = "all"
upstream = "a"
filters = ["block"]
"""
        with Plane(text, server='filter_packages = ["tidegate.testing"]') as plane, plane.connect() as client:
            client.send(get())
            with upstream.accept() as server:
                server.request()
                server.send(OK)
                assert client.answer().status == 200


def test_timeout_of_asyncio_works_in_a_filter() -> None:
    class Slow(Filter):
        async def on_request(self, request: Request) -> Response:
            started = time.monotonic()
            try:
                async with asyncio.timeout(0.05):
                    await asyncio.sleep(60)
            except TimeoutError:
                return Response.json({"waited": time.monotonic() - started, "task": asyncio.current_task().get_name()})  # type: ignore[union-attr]
            raise AssertionError

    with filtered(Slow) as (plane, _):
        answer = plane.get()
        assert answer.status == 200, plane.error_log.said
        assert b'"task":"f0"' in answer.body


def test_task_group_and_shielded_cancellation_work_in_a_filter() -> None:
    """As aiohttp and anyio use tasks: children, cancellation of one's own children, uncancel."""

    class Group(Filter):
        async def on_request(self, request: Request) -> Response:
            async def fetch(number: int) -> int:
                await asyncio.sleep(0.001 * number)
                return number

            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(fetch(number)) for number in range(3)]
            with pytest.raises(ExceptionGroup):  # noqa: PT012
                async with asyncio.TaskGroup() as group:
                    group.create_task(asyncio.sleep(60))
                    group.create_task(self.fail())
            child = asyncio.get_running_loop().create_future()
            child.cancel()
            with pytest.raises(asyncio.CancelledError):
                await child
            return Response.json([task.result() for task in tasks])

        async def fail(self) -> None:
            raise LookupError

    with filtered(Group) as (plane, _):
        answer = plane.get()
        assert answer.body == b"[0,1,2]", plane.error_log.said


def test_anyio_works_in_a_filter() -> None:
    anyio = pytest.importorskip("anyio")

    class Scopes(Filter):
        async def on_request(self, request: Request) -> Response:
            with anyio.move_on_after(0.02) as scope:
                await anyio.sleep(60)
            async with anyio.create_task_group() as group:
                group.start_soon(anyio.sleep, 0.001)
            found = await anyio.to_thread.run_sync(lambda: 7)
            return Response.json([scope.cancelled_caught, found])

    with filtered(Scopes) as (plane, _):
        assert plane.get().body == b"[true,7]", plane.error_log.said


def test_plain_method_may_return_what_is_to_be_awaited() -> None:
    """So that only those requests leave the synchronous path that really have to wait."""
    seen: list[str] = []

    class Sometimes(Filter):
        def on_request(self, request: Request) -> Any:
            return self.look_up(request) if request.path == "/slow" else None

        async def look_up(self, request: Request) -> Response:
            await asyncio.sleep(0.001)
            return Response(200, b"slow")

        def on_response(self, request: Request, response: ResponseHead) -> Any:
            return self.mark(response) if response.status == 200 else None

        async def mark(self, response: ResponseHead) -> None:
            await asyncio.sleep(0.001)
            response.headers["X-Marked"] = "1"

    class After(Filter):
        def on_request(self, request: Request) -> None:
            seen.append(request.path)

    with filtered(Sometimes, After) as (plane, upstream), plane.connect() as client:
        client.send(get("/slow"))
        answer = client.answer()
        assert (answer.body, answer.get("X-Marked")) == (b"slow", "1")
        client.send(get("/quick"))
        with upstream.accept() as server:
            server.request()
            server.send(b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n")
            answer = client.answer()
            assert (answer.status, answer.get("X-Marked")) == (404, None)
        client.close()
    assert seen == ["/quick"]


def test_what_a_plain_method_returned_is_closed_when_nobody_waits_any_more() -> None:
    """Otherwise Python warns of a coroutine that was never awaited, and the test fails of that."""

    class Sometimes(Filter):
        def on_request(self, request: Request) -> Any:
            return self.look_up()

        async def look_up(self) -> None:
            await asyncio.sleep(60)

        def on_response(self, request: Request, response: ResponseHead) -> Any:
            return self.look_up()

    with filtered(Sometimes, route='timeout = "100ms"') as (plane, _), plane.connect() as client:
        client.send(get())
        assert client.answer().status == 504
        client.close()


class Asked:
    """Futures that filters wait for without a task, by the path of their request."""

    def __init__(self) -> None:
        self.futures: dict[str, asyncio.Future[Any]] = {}

    def later(self, request: Request, then: Any) -> Later[Any]:
        future = self.futures[request.path] = asyncio.get_running_loop().create_future()
        return Later(future, then)


def test_a_later_is_waited_for_without_a_task_in_both_phases() -> None:
    asked = Asked()

    class Ask(Filter):
        def on_request(self, request: Request) -> Any:
            def then(future: asyncio.Future[Any]) -> Response | None:
                request.headers["X-Found"] = future.result()
                return Response(403, b"no") if future.result() == "bad" else None

            return asked.later(request, then)

        def on_response(self, request: Request, response: ResponseHead) -> Any:
            def then(future: asyncio.Future[Any]) -> None:
                response.headers["X-After"] = future.result()

            return asked.later(request, then)

    with filtered(Ask) as (plane, upstream), plane.connect() as client:
        client.send(get("/good"))
        until(lambda: asked.futures, "it waits")
        assert plane.call(lambda: len(asyncio.all_tasks(plane.loop))) == 0
        plane.call(lambda: asked.futures.pop("/good").set_result("good"))
        with upstream.accept() as server:
            assert ("X-Found", "good") in server.request()[1]
            server.send(OK)
            until(lambda: asked.futures, "it waits again")
            plane.call(lambda: asked.futures.pop("/good").set_result("seen"))
            answer = client.answer()
            assert (answer.body, answer.get("X-After")) == (b"ok", "seen")
        client.send(get("/bad"))
        until(lambda: asked.futures, "it waits")
        plane.call(lambda: asked.futures.pop("/bad").set_result("bad"))
        until(lambda: asked.futures, "the answer passes the filter too")
        plane.call(lambda: asked.futures.pop("/bad").set_result("seen"))
        answer = client.answer()
        assert (answer.status, answer.body, answer.get("X-After")) == (403, b"no", "seen")
        client.close()


@pytest.mark.parametrize("ending", ["raised", "failed", "cancelled"])
def test_a_later_that_comes_to_nothing_is_a_500_and_the_connection_goes_on(ending: str) -> None:
    asked = Asked()

    class Ask(Filter):
        def on_request(self, request: Request) -> Any:
            def then(future: asyncio.Future[Any]) -> None:
                future.result()
                raise KeyError("then")

            return asked.later(request, then) if request.path == "/slow" else None

    def end() -> None:
        future = asked.futures["/slow"]
        if ending == "cancelled":
            future.cancel()
        elif ending == "failed":
            future.set_exception(OSError("gone"))
        else:
            future.set_result(None)

    with filtered(Ask) as (plane, upstream), plane.connect() as client:
        client.send(get("/slow"))
        until(lambda: asked.futures, "it waits")
        plane.call(end)
        assert client.answer().status == 500
        client.send(get("/quick"))
        with upstream.accept() as server:
            server.request()
            server.send(OK)
            assert client.answer().status == 200
        client.close()


@pytest.mark.parametrize("ending", ["the client leaves", "the time is up"])
def test_a_later_that_nobody_waits_for_any_more_is_let_go_and_has_no_say(ending: str) -> None:
    asked, called = Asked(), []

    class Ask(Filter):
        def on_request(self, request: Request) -> Any:
            return asked.later(request, called.append)

    route = 'timeout = "100ms"' if ending == "the time is up" else ""
    with filtered(Ask, route=route) as (plane, _), plane.connect() as client:
        client.send(get("/slow"))
        until(lambda: asked.futures, "it waits")
        if ending == "the client leaves":
            client.reset()
        else:
            assert client.answer().status == 504
            client.close()
        until(asked.futures["/slow"].cancelled, "it is let go")
        until(plane.is_at_rest, "at rest")
    assert not called


# -- the upstream's side of a wait ------------------------------------------------------------------------------------


def two_waits() -> list[type[Filter]]:
    class Wait(Filter):
        async def on_response(self, request: Request, response: ResponseHead) -> None:
            await asyncio.sleep(0.02)
            response.headers.add("X-Waited", "1")

    class Again(Wait):
        pass

    return [Wait, Again]


@pytest.mark.parametrize("cut", [0, 1, 30, 38, 60])
@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
def test_body_that_came_with_the_head_follows_it_after_waits(framing: str, cut: int) -> None:
    body = bytes(range(256)) * 40
    head = b"HTTP/1.1 200 OK\r\nX-Pad: 0123456789\r\n"
    if framing == "length":
        answer = head + b"Content-Length: %d\r\n\r\n" % len(body) + body
    elif framing == "chunked":
        half = len(body) // 2
        answer = head + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n%x\r\n%b\r\n0\r\n\r\n" % (
            half, body[:half], half, body[half:],
        )  # fmt: skip
    else:
        answer = head + b"\r\n" + body
    with filtered(*two_waits()) as (plane, upstream), plane.connect() as client:
        client.send(get())
        with upstream.accept() as server:
            server.request()
            server.send(answer[:cut])
            if cut:
                time.sleep(0.01)  # another read; whether it is one makes no difference to what is asserted
            server.send(answer[cut:5000])
            until(lambda: plane.counters()["bytes_upstream_in"] > 0, "the head is there")
            server.send(answer[5000:])
            server.close()  # while the filter waits: what it sent is whole all the same
            found = client.answer()
        assert (found.status, found.get_all("X-Waited")) == (200, ["1", "1"])
        assert found.body == body
        client.close()
        assert not plane.error_log.said


def test_connection_is_used_again_after_a_wait() -> None:
    with filtered(*two_waits()) as (plane, upstream), plane.connect() as client:
        client.send(get())
        with upstream.accept() as server:
            for _ in range(3):
                server.request()
                server.send(OK)
                assert client.answer().body == b"ok"
                client.send(get())
            server.request()
            server.send(OK)
            client.answer()
        client.close()


def test_upload_goes_on_after_an_early_answer_waited() -> None:
    with filtered(*two_waits()) as (plane, upstream), plane.connect() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: gateway.test\r\nContent-Length: 10\r\n\r\n01234")
        with upstream.accept() as server:
            server.until(b"01234")
            server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
            until(lambda: plane.counters()["bytes_upstream_in"] > 0, "the head is there")
            client.send(b"56789")  # while the filter waits
            assert server.exactly(5) == b"56789"
            server.send(b"ok")
            assert client.answer().body == b"ok"
        client.close()


def test_upstream_that_breaks_while_a_filter_waits_is_a_502() -> None:
    gate = Gate()

    class Wait(Filter):
        async def on_response(self, request: Request, response: ResponseHead) -> None:
            if response.status == 200:
                await gate.through()

    with filtered(Wait) as (plane, upstream), plane.connect() as client:
        client.send(get())
        server = upstream.accept()
        server.request()
        server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        until(lambda: gate.waiting, "the filter waits")
        server.reset()
        gate.is_open = True
        # Its head was good; what it has of the body goes out, and the end of the connection says that this was not all.
        client.until(b"half")
        assert client.is_closed()


def test_pipelined_requests_wait_for_their_turn() -> None:
    class Wait(Filter):
        async def on_request(self, request: Request) -> Response:
            await asyncio.sleep(0.01 if request.path == "/0" else 0)
            return Response(200, request.path)

    with filtered(Wait) as (plane, _), plane.connect() as client:
        client.send(b"".join(get(f"/{number}") for number in range(5)))
        assert [client.answer().body for _ in range(5)] == [b"/0", b"/1", b"/2", b"/3", b"/4"]
        client.close()


def test_exchanges_that_waited_are_counted() -> None:
    class Plain(Filter):
        def on_request(self, request: Request) -> Response:
            return Response(204)

    class Later(Filter):
        async def on_request(self, request: Request) -> Response:
            return Response(204)

    for cls, name in ((Plain, "exchanges_sync"), (Later, "exchanges_async_filter")):
        with filtered(cls) as (plane, _):
            plane.get()
            assert plane.counters()[name] == 1


def test_requests_that_a_filter_answers_with_401_are_counted_and_answers_of_an_upstream_are_not() -> None:
    class Judge(Filter):
        def on_request(self, request: Request) -> Any:
            if request.path == "/later":
                return self.judge_later()
            return Response(401 if request.path == "/no" else 403, "") if request.path != "/in" else None

        async def judge_later(self) -> Response:
            await asyncio.sleep(0)
            return Response(401, "")

        def on_response(self, request: Request, response: ResponseHead) -> Response | None:
            return Response(401, "not of who asks") if request.path == "/in" else None

    with filtered(Judge) as (plane, upstream), plane.connect() as client:
        for path, counted in (("/no", 1), ("/later", 2), ("/other", 2)):
            client.send(get(path))
            assert client.answer().status == (403 if path == "/other" else 401)
            assert plane.counters()["requests_unauthenticated"] == counted
        client.send(get("/in"))
        with upstream.accept() as server:
            server.request()
            server.send(OK)
            assert client.answer().status == 401
        assert plane.counters()["requests_unauthenticated"] == 2
