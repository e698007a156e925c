"""While a filter's code runs, the worker's mark says whose it is, in every phase and each time it is resumed."""

import asyncio
from typing import Any

from tests.exchange.filtered import OK, filtered, get
from tests.plane.harness import until

from tidegate import Filter, Request, Response, ResponseHead
from tidegate.exchange.filter import PHASES
from tidegate.memory.marks import MarkReader, Place, read_place
from tidegate.process import tasks

NUMBER = 1  # of the snapshot


class Watch:
    """Reads the mark of the plane from within a filter."""

    def __init__(self) -> None:
        self.region: Any = None
        self.seen: list[tuple[str, Place | None]] = []

    def here(self, what: str) -> None:
        """Notes what the mark says now; None: in no callback."""
        since, place = MarkReader(self.region.mapping).read(0)
        self.seen.append((what, read_place(place) if since else None))


def place(phase: str, number: int = 0) -> Place:
    return Place(PHASES.index(phase) + 1, number, 0, NUMBER)


def test_every_phase_of_every_filter_is_marked_as_its_own() -> None:
    watch = Watch()

    class Outer(Filter):
        def on_request(self, request: Request) -> None:
            watch.here("outer")

        def on_response(self, request: Request, response: ResponseHead) -> None:
            watch.here("outer back")

    class Inner(Filter):
        def on_request(self, request: Request) -> None:
            watch.here("inner")

        def on_request_body(self, request: Request, piece: bytes, is_last: bool) -> None:
            if is_last:
                watch.here("body")

        def on_response(self, request: Request, response: ResponseHead) -> None:
            watch.here("inner back")

        def on_response_body(self, request: Request, piece: bytes, is_last: bool) -> None:
            if is_last:
                watch.here("body back")

        def on_finish(self, request: Request) -> None:
            watch.here("finish")

    with filtered(Outer, Inner) as (plane, upstream), plane.connect() as client:
        watch.region = plane.region
        client.send(b"POST / HTTP/1.1\r\nHost: gateway.test\r\nContent-Length: 2\r\n\r\nhi")
        with upstream.accept() as server:
            server.request()
            server.send(OK)
            assert client.answer().status == 200
        client.close()
    assert watch.seen == [
        ("outer", place("on_request", 0)),
        ("inner", place("on_request", 1)),
        ("body", place("on_request_body", 1)),
        ("inner back", place("on_response", 1)),
        ("outer back", place("on_response", 0)),
        ("body back", place("on_response_body", 1)),
        ("finish", place("on_finish", 1)),
    ]


def test_coroutine_is_marked_each_time_it_is_resumed_and_not_while_it_waits() -> None:
    watch = Watch()

    class Waits(Filter):
        async def on_request(self, request: Request) -> Response:
            watch.here("first")
            await asyncio.sleep(0)
            watch.here("after a turn")
            loop = asyncio.get_running_loop()
            loop.call_soon(watch.here, "somebody else meanwhile")
            await asyncio.sleep(0.01)
            watch.here("after a while")
            try:
                await asyncio.wait_for(asyncio.Event().wait(), 0.01)
            except TimeoutError:
                watch.here("after a time-out")
            return Response(204)

        def on_finish(self, request: Request) -> None:
            watch.here("finish")

    with filtered(Waits, upstream=False, route="respond = {}") as (plane, _), plane.connect() as client:
        watch.region = plane.region
        client.send(get())
        assert client.answer(to="HEAD").status == 204
        client.close()
        until(lambda: watch.seen[-1][0] == "finish", "it is over")
        mine = place("on_request")
        assert watch.seen == [
            ("first", mine),
            ("after a turn", mine),
            ("somebody else meanwhile", None),
            ("after a while", mine),
            ("after a time-out", mine),
            ("finish", place("on_finish")),
        ]
        until(lambda: MarkReader(plane.region.mapping).read(0) == (0, 0), "the loop waits, and its mark says so")


def test_what_a_plain_method_returns_to_be_awaited_is_marked() -> None:
    watch = Watch()

    class Sometimes(Filter):
        def on_request(self, request: Request) -> Any:
            watch.here("called")
            return tasks.start(self.later(), "later")

        async def later(self) -> None:
            watch.here("in a task of its own")
            await asyncio.sleep(0)

        async def on_response(self, request: Request, response: ResponseHead) -> None:
            watch.here("back")

    with filtered(Sometimes) as (plane, upstream), plane.connect() as client:
        watch.region = plane.region
        client.send(get())
        with upstream.accept() as server:
            server.request()
            server.send(OK)
            assert client.answer().status == 200
        client.close()
    # A task that a filter starts is the filter's business: the loop is late then, but in no callback of the gateway's.
    assert watch.seen == [
        ("called", place("on_request")),
        ("in a task of its own", None),
        ("back", place("on_response")),
    ]


def test_filter_that_fails_or_is_cancelled_leaves_no_mark_behind() -> None:
    watch = Watch()

    class Fails(Filter):
        def on_request(self, request: Request) -> Any:
            if request.path == "/plain":
                raise ValueError("no")
            return self.later(request.path)

        async def later(self, path: str) -> None:
            if path == "/cancelled":
                try:
                    await asyncio.Event().wait()
                finally:
                    watch.here("cancelled")
            await asyncio.sleep(0)
            raise ValueError("no")

    with filtered(Fails, upstream=False, route="respond = {}") as (plane, _):
        watch.region = plane.region
        for target in ("/plain", "/awaited"):
            with plane.connect() as client:
                client.send(get(target))
                assert client.answer().status == 500
        with plane.connect() as client:
            client.send(get("/cancelled"))
            until(lambda: plane.statistics().exchanges == 1, "it waits")
            client.reset()
        until(lambda: watch.seen == [("cancelled", place("on_request"))], "its coroutine has heard of it")
        until(lambda: MarkReader(plane.region.mapping).read(0) == (0, 0), "the loop waits, and its mark says so")
