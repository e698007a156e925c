"""A server behind a gateway under test: it remembers what it got, and answers as it is told."""

import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tidegate.exchange.views import Response

__all__ = ["Received", "ScriptedUpstream"]


@dataclass(frozen=True, slots=True)
class Received:
    """A request as the upstream got it."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def get(self, name: str) -> str | None:
        """The first value of a header field, or None."""
        return next(iter(self.get_all(name)), None)

    def get_all(self, name: str) -> list[str]:
        """Every value of a header field."""
        return [value for known, value in self.headers if known.lower() == name.lower()]


class ScriptedUpstream:
    """A small server on a free port of loopback.

    ``received`` has every request so far. ``answer`` is what it answers: a Response, or a function that makes one of
    the request (and may take its time: each connection has a thread of its own).
    """

    def __init__(self, answer: Response | Callable[[Received], Response] | None = None) -> None:
        self.answer = answer if answer is not None else Response(200, "hello\n")
        self.received: list[Received] = []
        self._server = _Server(self)
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), name="upstream", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Takes no further connection, and ends those there are."""
        self._server.shutdown()
        self._server.end_connections()
        self._server.server_close()
        self._thread.join()

    def __repr__(self) -> str:
        return f"<ScriptedUpstream {self.address}: {len(self.received)} requests>"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, scripted: ScriptedUpstream) -> None:
        self.scripted = scripted
        self.open: set[socket.socket] = set()
        super().__init__(("127.0.0.1", 0), _Handler)

    def end_connections(self) -> None:
        for one in list(self.open):
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that a test cut is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.server.open.add(self.connection)

    def finish(self) -> None:
        self.server.open.discard(self.connection)
        super().finish()

    def _serve(self) -> None:
        scripted = self.server.scripted
        got = Received(self.command, self.path, tuple(self.headers.items()), self._body())
        scripted.received.append(got)
        answer = scripted.answer(got) if callable(scripted.answer) else scripted.answer
        self.send_response(answer.status)
        for name, value in _lines(answer.headers):
            self.send_header(name, value)
        if answer.status not in (204, 304):
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", "0")))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def __getattr__(self, name: str) -> Any:
        if name.startswith("do_"):
            return self._serve
        raise AttributeError(name)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name for it
        """What came is in ``received``."""


def _lines(headers: Mapping[str, str | Sequence[str]]) -> list[tuple[str, str]]:
    return [
        (name, value) for name, values in headers.items() for value in ([values] if isinstance(values, str) else values)
    ]
