"""A gateway to talk to, a socket that reads answers, and an upstream the test plays itself."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import struct
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, Self

import uvloop

from tidegate.config.allotment import room_of
from tidegate.config.check import check
from tidegate.config.snapshot import Snapshot
from tidegate.edge.server import Server, ServerStatistics
from tidegate.memory.region import Region, read_meters

TIMEOUT_S = 60.0  # only what hangs waits for so long; a machine that others use too may take a while

# Nobody listens there, and no kernel gives it to who asks for any port. One that was closed just now may belong to
# somebody else's test in the next moment.
REFUSING = "127.0.0.1:1"


def until(done: Callable[[], Any], what: str, timeout_s: float = TIMEOUT_S) -> Any:
    """Waits until ``done()`` is true and returns what it gave; fails with ``what`` after ``timeout_s``."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if found := done():
            return found
        time.sleep(0.005)
    raise AssertionError(f"not within {timeout_s} s: {what}")


class Answer(NamedTuple):
    """One answer as a client read it."""

    status: int
    reason: str
    headers: list[tuple[str, str]]
    body: bytes

    def get(self, name: str) -> str | None:
        """The first value of a field, or None."""
        return next((value for known, value in self.headers if known.lower() == name.lower()), None)

    def get_all(self, name: str) -> list[str]:
        """Every value of a field."""
        return [value for known, value in self.headers if known.lower() == name.lower()]


class Peer:
    """A connected socket with a buffer: a client of the gateway, or the server end of a connection it dialled."""

    def __init__(self, sock: socket.socket) -> None:
        sock.settimeout(TIMEOUT_S)
        self.sock = sock
        self.buffer = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def send(self, data: bytes) -> None:
        """Sends all of it."""
        self.sock.sendall(data)

    def _more(self) -> bytes:
        data = self.sock.recv(65536)
        if not data:
            raise EOFError(f"closed after {self.buffer!r}")
        self.buffer += data
        return data

    def until(self, end: bytes) -> bytes:
        """Everything up to and including ``end``."""
        while end not in self.buffer:
            self._more()
        at = self.buffer.index(end) + len(end)
        taken, self.buffer = self.buffer[:at], self.buffer[at:]
        return taken

    def exactly(self, size: int) -> bytes:
        """The next ``size`` bytes."""
        while len(self.buffer) < size:
            self._more()
        taken, self.buffer = self.buffer[:size], self.buffer[size:]
        return taken

    def head(self) -> tuple[str, list[tuple[str, str]]]:
        """The next head: its first line and its fields."""
        lines = self.until(b"\r\n\r\n").decode("latin-1").split("\r\n")[:-2]
        fields = [line.split(": ", 1) if ": " in line else [line.rstrip(":"), ""] for line in lines[1:]]
        return lines[0], [(name, value) for name, value in fields]

    def chunked_body(self) -> bytes:
        """The next body in chunks, without trailer fields."""
        body = b""
        while True:
            size = int(self.until(b"\r\n")[:-2].split(b";")[0], 16)
            if size == 0:
                assert self.until(b"\r\n") == b"\r\n"
                return body
            body += self.exactly(size)
            assert self.exactly(2) == b"\r\n"

    def request(self) -> tuple[str, list[tuple[str, str]], bytes]:
        """The next request with its body: request line, fields, body."""
        line, fields = self.head()
        values = {name.lower(): value for name, value in fields}
        if values.get("transfer-encoding") == "chunked":
            return line, fields, self.chunked_body()
        return line, fields, self.exactly(int(values.get("content-length", "0")))

    def answer(self, *, to: str = "GET") -> Answer:
        """The next answer with its body."""
        line, fields = self.head()
        _, status, reason = (line + " ").split(" ", 2)
        values = {name.lower(): value for name, value in fields}
        code = int(status)
        if to == "HEAD" or code in (204, 304) or code < 200:
            body = b""
        elif values.get("transfer-encoding") == "chunked":
            body = self.chunked_body()
        elif "content-length" in values:
            body = self.exactly(int(values["content-length"]))
        else:
            body = self.rest()
        return Answer(code, reason.strip(), fields, body)

    def rest(self) -> bytes:
        """Everything until the other side closes; ConnectionResetError when it resets."""
        while True:
            try:
                self._more()
            except EOFError:
                taken, self.buffer = self.buffer, b""
                return taken

    def is_closed(self) -> bool:
        """Whether the other side ends the connection without another byte; waits for it."""
        try:
            return self.rest() == b""
        except ConnectionResetError:
            return True

    def close(self) -> None:
        """Closes it in the ordinary way."""
        self.sock.close()

    def reset(self) -> None:
        """Closes it with a reset, as a client does that was killed with data unread."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


def small_buffers(*peers: Peer) -> None:
    """The kernel keeps some 100 KiB for these ends from here on, whatever the machine would let them grow to."""
    for peer in peers:
        peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)


class Upstream:
    """A listening socket that the test answers by hand."""

    def __init__(self, backlog: int = 128, path: str | None = None) -> None:
        if path is None:
            self.listening = socket.create_server(("127.0.0.1", 0), backlog=backlog)
            self.port = self.listening.getsockname()[1]
            self.address = f"127.0.0.1:{self.port}"
        else:
            self.listening = socket.socket(socket.AF_UNIX)
            self.listening.bind(path)
            self.listening.listen(backlog)
            self.address = f"unix:{path}"
        self.listening.settimeout(TIMEOUT_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.listening.close()

    def refuse(self) -> None:
        """Listens no more, and keeps the port: nobody else can get it."""
        self.listening.shutdown(socket.SHUT_RDWR)

    def accept(self) -> Peer:
        """The next connection of the gateway."""
        return Peer(self.listening.accept()[0])


class ErrorLog:
    """Collects what the gateway says."""

    def __init__(self) -> None:
        self.said: list[tuple[str, str, dict[str, Any]]] = []

    def say(self, kind: str, message: str, **fields: Any) -> None:
        """As ``observe.error_log``."""
        self.said.append((kind, message, fields))

    def kinds(self) -> list[str]:
        """The kinds that were said, in order."""
        return [kind for kind, _, _ in self.said]


class Plane:
    """A gateway in this process.

    config: the TOML text, without listeners: one is added on a free port of loopback, with the lines of ``listener``.
    """

    def __init__(self, config: str, listener: str = "", server: str = "", host: str = "127.0.0.1") -> None:
        self.listening = socket.create_server(
            (host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=4096
        )
        self.port = self.listening.getsockname()[1]
        self.host = host
        self.snapshot = snapshot = self.checked(config, listener, server)
        self.prepared = [snapshot.number]
        self.region = Region.create(1, **room_of(snapshot.gateway.server.limits_memory))
        self.region.snapshot_number = snapshot.number
        self.reader = self.region.slot(0).log_reader()
        self.error_log = ErrorLog()
        self.loop = uvloop.new_event_loop()
        self._started = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="gateway", daemon=True)

    def checked(self, config: str, listener: str = "", server: str = "", number: int = 1) -> Snapshot:
        """The snapshot of that configuration, with the listener that this gateway has."""
        bind = f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
        text = f'[server]\n{server}\n\n[[listeners]]\nbind = "{bind}"\n{listener}\n\n{config}\n'
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "gateway.toml"
            path.write_text(text)
            snapshot, findings = check(path)
        errors = [str(finding) for finding in findings]
        assert snapshot is not None, "\n".join(errors)
        return replace(snapshot, number=number)

    def prepare(self, config: str, listener: str = "", server: str = "") -> int:
        """Has another snapshot prepared beside the active one; its number."""
        number = self.prepared[-1] + 1
        self.prepared.append(number)
        snapshot = self.checked(config, listener, server, number)
        asyncio.run_coroutine_threadsafe(self.server.prepare(snapshot), self.loop).result(TIMEOUT_S)
        return number

    def switch(self, number: int) -> None:
        """Makes a prepared snapshot the one that the shared word names; who is idle notices at the next tick."""
        self.region.snapshot_number = number

    def reload(self, config: str, listener: str = "", server: str = "") -> None:
        """Another configuration, active when this returns."""
        number = self.prepare(config, listener, server)
        self.switch(number)
        until(lambda: self.statistics().snapshot == number, f"snapshot {number} is active")

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)

        async def begin() -> None:
            listeners = [(self.snapshot.gateway.listeners[0], os.dup(self.listening.fileno()))]
            self.server = Server(self.loop, self.snapshot, 0, self.region, self.error_log, listeners=listeners)
            await self.server.prepare(self.snapshot)
            self.server.start()

        try:
            self.loop.run_until_complete(begin())
        except BaseException as error:  # noqa: BLE001 - handed to the test
            self._failure = error
            self._started.set()
            return
        self._started.set()
        self.loop.run_forever()
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()

    def __enter__(self) -> Self:
        self._thread.start()
        self._started.wait(TIMEOUT_S)
        if self._failure is not None:
            raise self._failure
        return self

    def __exit__(self, *_: object) -> None:
        def end() -> None:
            self.server.close()
            self.loop.call_soon(self.loop.stop)

        self.loop.call_soon_threadsafe(end)
        self._thread.join(TIMEOUT_S)
        self.listening.close()
        self.region.close()

    def connect(self) -> Peer:
        """A new client."""
        return Peer(socket.create_connection((self.host, self.port), timeout=TIMEOUT_S))

    def get(self, path: str = "/", headers: str = "") -> Answer:
        """One GET on a connection of its own."""
        with self.connect() as client:
            client.send(f"GET {path} HTTP/1.1\r\nHost: gateway.test\r\n{headers}\r\n".encode("latin-1"))
            return client.answer()

    def call(self, function: Callable[[], Any]) -> Any:
        """What ``function`` gives when the gateway's loop calls it."""
        result: list[Any] = []
        done = threading.Event()

        def run() -> None:
            try:
                result.append(function())
            except BaseException as error:  # noqa: BLE001 - handed to the test
                result.append(error)
            done.set()

        self.loop.call_soon_threadsafe(run)
        assert done.wait(TIMEOUT_S), "the gateway's loop does not answer"
        if isinstance(result[0], BaseException):
            raise result[0]
        return result[0]

    def statistics(self) -> ServerStatistics:
        """What the data plane is doing now."""
        found: ServerStatistics = self.call(self.server.statistics)
        return found

    def counters(self) -> dict[str, int]:
        """The meters, by name."""
        return dict(read_meters(self.region).counters)

    def log_lines(self, count: int) -> list[str]:
        """The next ``count`` lines of the access log."""
        lines: list[str] = []

        def read() -> bool:
            lines.extend(self.reader.read(1 << 20).decode().splitlines())
            return len(lines) >= count

        until(read, f"{count} lines in the access log, there are {lines}")
        return lines

    def log_records(self, count: int) -> list[dict[str, Any]]:
        """The same, each line as the JSON object that it is."""
        return [json.loads(line) for line in self.log_lines(count)]

    def is_at_rest(self) -> bool:
        """Nothing is left of any exchange: no client, none in flight, no connection in use, no fault."""
        now = self.statistics()
        return (
            now.connections == 0
            and now.exchanges == 0
            and now.inflight == 0
            and now.faults == 0
            and all(pool.open == pool.idle and pool.waiting == 0 for pool in now.pools)
        )
