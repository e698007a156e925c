"""One request from head to finish: once, whatever happens, and nothing of it in the next one."""

import contextlib

import pytest
from tests.exchange.filtered import OK, filtered, get
from tests.plane.harness import Peer, Plane, until

from tidegate import Filter, Request, ResponseHead

ENDS = {
    "answered": 200,
    "upstream closes": 502,
    "upstream speaks nonsense": 502,
    "answer is cut": 200,
    "client leaves before the answer": 499,
    "client leaves in the middle": 200,
    "no route": 404,
    "refused": 400,
}


def play(end: str, client: Peer, accept: "contextlib.AbstractContextManager[Peer]") -> None:
    if end == "no route":
        client.send(get("/elsewhere"))
        assert client.answer().status == 404
        return
    if end == "refused":
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
        assert client.answer().status == 400
        return
    client.send(get("/here"))
    with accept as server:
        server.request()
        if end == "answered":
            server.send(OK)
            assert client.answer().status == 200
        elif end == "upstream closes":
            server.close()
            assert client.answer().status == 502
        elif end == "upstream speaks nonsense":
            server.send(b"nonsense\r\n")
            assert client.answer().status == 502
        elif end == "answer is cut":
            server.send(OK[:-1])
            server.close()
            with pytest.raises(EOFError):
                client.answer()
        elif end == "client leaves before the answer":
            client.reset()
            assert server.is_closed()
        else:
            server.send(OK[:-1])
            client.head()
            client.reset()
            assert server.is_closed()


@pytest.mark.parametrize("end", ENDS)
def test_finish_comes_once(end: str) -> None:
    """One line in the log, one call of each filter, one count in the meters, nothing in flight."""
    finished: list[str] = []

    class Count(Filter):
        def on_finish(self, request: Request) -> None:
            finished.append(request.path)

    with filtered(Count, route='path = "/here"') as (plane, upstream):
        with plane.connect() as client:
            play(end, client, Accepting(upstream))
        until(plane.is_at_rest, "at rest")
        (record,) = plane.log_records(1)
        assert record["status"] == ENDS[end]
        assert plane.reader.read(1 << 16) == b""
        counters = plane.counters()
        assert (counters["exchanges_started"], counters["exchanges_open"]) == (1, 0)
    if ENDS[end] in (404, 400):
        assert finished == []  # no route, so no filters either
    else:
        assert len(finished) == 1


class Accepting:
    """The next connection, once it is asked for."""

    def __init__(self, upstream: object) -> None:
        self.upstream = upstream

    def __enter__(self) -> Peer:
        self.peer: Peer = self.upstream.accept()  # type: ignore[attr-defined]
        return self.peer

    def __exit__(self, *_: object) -> None:
        self.peer.close()


def test_what_one_exchange_set_is_not_in_the_next() -> None:
    """The objects are used again: header changes, captures, log fields, errors, cookies, upgrade, body counts."""

    class First(Filter):
        def on_request(self, request: Request) -> None:
            if request.path == "/first":
                request.headers["X-Only-First"] = "1"
                request.log["only"] = "first"
                request.store["kept"] = 1
            else:
                assert "kept" not in request.store

        def on_response(self, request: Request, response: ResponseHead) -> None:
            if request.path == "/first":
                response.headers["X-Answer-First"] = "1"

    with filtered(First, route='request_headers = { add = { "X-All" = "1" } }') as (plane, upstream):
        with plane.connect() as client:
            client.send(b"POST /first HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
            with upstream.accept() as server:
                _, fields, body = server.request()
                assert ("X-Only-First", "1") in fields
                assert body == b"hello"
                server.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n")
                assert client.answer().get("X-Answer-First") == "1"
                assert plane.statistics().spare_exchanges == 1
                client.send(get("/second"))
                _, fields, body = server.request()
                assert "X-Only-First" not in dict(fields)
                assert [value for name, value in fields if name == "X-All"] == ["1"]
                assert "Transfer-Encoding" not in dict(fields)
                server.send(OK)
                answer = client.answer()
                assert answer.get("X-Answer-First") is None
                assert answer.get("Transfer-Encoding") is None
        first, second = plane.log_records(2)
        assert first["only"] == "first"
        assert (first["bytes_in"], second["bytes_in"]) == (5, 0)
        assert "only" not in second


def test_synchronous_path_is_the_usual_one() -> None:
    """What waited is told by cause: a dial, here; a reused connection waits for nothing."""
    with filtered() as (plane, upstream), plane.connect() as client:
        client.send(get())
        with upstream.accept() as server:
            for i in range(5):
                if i:
                    client.send(get())
                server.request()
                server.send(OK)
                assert client.answer().status == 200
        counters = plane.counters()
        assert (counters["exchanges_async_dial"], counters["exchanges_sync"]) == (1, 4)
        client.close()


def test_few_used_objects_are_kept() -> None:
    def none_in_flight(plane: Plane) -> bool:
        return plane.statistics().exchanges == 0

    with (
        filtered(config='[[routes]]\nname = "own"\npath = "/own"\nrespond = { status = 204 }\n') as (plane, _),
        contextlib.ExitStack() as stack,
    ):
        clients = [stack.enter_context(plane.connect()) for _ in range(400)]
        for client in clients:
            client.send(b"GET /own HTT")  # each holds one while its head is read
        until(lambda: plane.statistics().connections == 400, "all are there")
        for client in clients:
            client.send(b"P/1.1\r\nHost: a\r\n\r\n")
        assert {client.answer(to="HEAD").status for client in clients} == {204}
        until(lambda: none_in_flight(plane), "done")
        assert plane.statistics().spare_exchanges <= 256
