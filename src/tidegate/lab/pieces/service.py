"""An HTTP/1.1 server in this process: what stands behind a gateway, and the gateways of the originals.

It trusts its clients, which are the lab's or a gateway, to send well-formed requests without a body.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Self, cast

from tidegate.process import tasks

__all__ = ["Answer", "Handler", "Request", "Service"]


@dataclass(frozen=True, slots=True)
class Request:
    """The head of a request; names of fields in lower case."""

    method: str
    target: str
    fields: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Answer:
    """What is answered."""

    status: int = 200
    body: bytes = b"ok"


_BACKLOG = 1024

Handler = Callable[[Request], Awaitable[Answer]]


class Service:
    """Answers with what ``handler`` returns; who leaves cancels it.

    ``in_flight``: requests that the handler has now. ``most_in_flight``: the most there ever were. ``taken``: all that
    it was ever handed. ``connections``: all that were ever opened to it.
    """

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self.address = ""
        self.in_flight = 0
        self.most_in_flight = 0
        self.taken = 0
        self.connections = 0
        self._open: set[_Exchanges] = set()
        self._server: asyncio.Server | None = None
        self._is_over = False

    def __repr__(self) -> str:
        return f"<Service {self.address}: {self.in_flight} in flight, {self.taken} taken>"

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._accept, "127.0.0.1", 0, backlog=_BACKLOG)
        self.address = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._is_over = True
        if self._server is not None:
            self._server.close()
        self.drop()
        await asyncio.sleep(0)  # what is closed is told so in the loop's next turn

    @property
    def open_connections(self) -> int:
        """Connections at this moment."""
        return len(self._open)

    def drop(self) -> None:
        """Closes every connection."""
        for one in list(self._open):
            one.transport.abort()

    def _accept(self) -> _Exchanges:
        self.connections += 1
        return _Exchanges(self)

    def _welcome(self, exchanges: _Exchanges) -> None:
        """Keeps a connection, unless it was accepted while the service ended."""
        if self._is_over:
            exchanges.transport.abort()
        else:
            self._open.add(exchanges)

    async def serve(self, request: Request) -> Answer:
        """One request, counted."""
        self.taken += 1
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            return await self.handler(request)
        finally:
            self.in_flight -= 1


class _Exchanges(asyncio.Protocol):
    """A connection: one request after the other."""

    transport: asyncio.Transport

    def __init__(self, service: Service) -> None:
        self._service = service
        self._came = b""
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._service._welcome(self)  # noqa: SLF001 - the service's own connection

    def connection_lost(self, _: Exception | None) -> None:
        self._service._open.discard(self)  # noqa: SLF001 - the service's own connection
        if self._task is not None:
            self._task.cancel()

    def data_received(self, data: bytes) -> None:
        self._came += data
        self._next()

    def _next(self) -> None:
        if self._task is None and b"\r\n\r\n" in self._came:
            head, _, self._came = self._came.partition(b"\r\n\r\n")
            self._task = tasks.start(self._answer(_parsed(head)), "answer of a service of the lab")

    async def _answer(self, request: Request) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            answer = await self._service.serve(request)
            is_last = request.fields.get("connection", "").lower() == "close"
            last = "Connection: close\r\n" if is_last else ""
            head = f"HTTP/1.1 {answer.status} -\r\nContent-Length: {len(answer.body)}\r\n{last}\r\n"
            self.transport.write(head.encode() + answer.body)
            self._task = None
            if is_last:
                self.transport.close()
            else:
                self._next()


def _parsed(head: bytes) -> Request:
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ", 2)
    pairs = (line.partition(":") for line in lines)
    return Request(method, target, {name.lower(): value.strip() for name, _, value in pairs})
