"""Upstreams for these tests: the configuration that names them, and one that answers by itself."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Self

from tests.plane.harness import Answer, Peer, Plane, Upstream, until

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
GET = b"GET / HTTP/1.1\r\nHost: gateway.test\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: gateway.test\r\nContent-Length: 5\r\n\r\nhello"

Fields = list[tuple[str, str]]
Handler = Callable[[Peer, str, Fields, bytes], bool | None]


def gateway(*addresses: str, upstream: str = "", route: str = "") -> str:
    """The configuration of one upstream with these addresses, and one route to it."""
    listed = ", ".join(f'"{address}"' for address in addresses)
    return f'[upstreams.a]\nendpoints = [{listed}]\n{upstream}\n\n[[routes]]\nname = "all"\nupstream = "a"\n{route}\n'


def proxy_error(answer: Answer) -> str:
    """What ``Proxy-Status`` calls the failure."""
    return (answer.get("Proxy-Status") or "").removeprefix("tidegate; error=").split(";")[0]


def check_failure(plane: Plane, answer: Answer, status: int, kind: str, *, records: int = 1) -> None:
    """The answer, the first of the log lines and what is left behind are those of a failure of this kind."""
    assert (answer.status, proxy_error(answer)) == (status, kind)
    assert answer.get("Content-Type") == "application/problem+json"
    record = plane.log_records(records)[0]
    assert (record["status"], record["error"]) == (status, kind)
    assert record["route"] == "all"
    assert record["upstream"] == "a"
    until(plane.is_at_rest, "at rest")


def idle(plane: Plane) -> int:
    return sum(pool.idle for pool in plane.statistics().pools)


@contextlib.contextmanager
def serve_one(upstream: Upstream, client: Peer, plane: Plane) -> Iterator[Peer]:
    """One exchange on a new connection of the upstream, which is idle afterwards."""
    client.send(GET)
    with upstream.accept() as server:
        server.request()
        server.send(OK)
        assert client.answer().body == b"ok"
        until(lambda: idle(plane) == 1, "the connection rests")
        yield server


@contextlib.contextmanager
def held(plane: Plane) -> Iterator[None]:
    """The gateway does nothing meanwhile: what comes in the block is there at once when it goes on."""
    holding, going_on = threading.Event(), threading.Event()

    def hold() -> None:
        holding.set()
        going_on.wait(10)

    plane.loop.call_soon_threadsafe(hold)
    assert holding.wait(10)
    try:
        yield
    finally:
        going_on.set()


def upload(client: Peer, size: int) -> threading.Thread:
    """Sends the body in a thread of its own: who answers early may not read it."""

    def send() -> None:
        with contextlib.suppress(OSError):
            client.send(b"x" * size)

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    return thread


class Serving(Upstream):
    """An upstream with a thread for each connection: ``handler(peer, line, fields, body)`` for each request.

    A handler that returns True ends the connection.
    """

    def __init__(self, handler: Handler, *, path: str | None = None, backlog: int = 1024) -> None:
        super().__init__(backlog=backlog, path=path)
        self.handler = handler
        self.accepted = 0
        self.failures: list[BaseException] = []
        self.listening.settimeout(None)
        self._open: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self.listening.shutdown(socket.SHUT_RDWR)
        self.listening.close()
        for sock in list(self._open):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        assert not self.failures

    def __enter__(self) -> Self:
        return self

    def _accept(self) -> None:
        while True:
            try:
                sock = self.listening.accept()[0]
            except OSError:
                return
            self.accepted += 1
            self._open.add(sock)
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        peer = self.peer(sock)
        if peer is None:
            return
        peer.sock.settimeout(None)
        try:
            with peer:
                while not self.handler(peer, *peer.request()):
                    pass
        except (EOFError, OSError):
            pass
        except BaseException as failure:  # noqa: BLE001 - shown when the test ends
            self.failures.append(failure)
        finally:
            self._open.discard(sock)

    def peer(self, sock: socket.socket) -> Peer | None:
        """The connection as requests are read from it; None when it came to nothing."""
        return Peer(sock)


def answering(body: bytes = b"ok", fields: str = "") -> Handler:
    """Answers every request with this body."""
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n{fields}\r\n".encode()

    def handle(peer: Peer, line: str, fields: Fields, body_in: bytes) -> None:
        peer.send(head + body)

    return handle
