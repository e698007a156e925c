"""Clients with a WebSocket each that send in fixed steps and wait for the echo: who was closed, when, by which worker.

Each asks for ``/pid`` first, on the connection that then becomes the WebSocket, and so knows who has it.
"""

import asyncio
import threading
import time
from typing import NamedTuple, Self

from tidegate.process import tasks

MESSAGE = b"\x81\x84\0\0\0\0tide"  # RFC 6455, section 5.2: a text of four bytes under a mask of zeros
ECHO = b"\x81\x04tide"
OPENING = (
    b"GET /ws HTTP/1.1\r\nHost: %b\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
PATIENCE_S = 60.0


class Ending(NamedTuple):
    """A WebSocket that was closed from the other side, or could not be opened; times are since 1970."""

    opened_s: float  # of one that could not be: when that was tried
    at_s: float
    worker: int  # pid; 0: not known yet
    why: str


class WebSockets(threading.Thread):
    """``count`` of them while the block lasts: one that is closed is opened anew."""

    def __init__(self, port: int, count: int, *, host: str = "demo.example.com", step_s: float = 1.0) -> None:
        super().__init__(name="websockets")
        self.endings: list[Ending] = []
        self.refused: list[Ending] = []  # could not be opened
        self.echoes = 0
        self.slowest_s = 0.0
        self._port = port
        self._host = host.encode()
        self._count = count
        self._step_s = step_s
        self._opened = 0
        self._are_open = threading.Event()
        self._is_over = False

    def __enter__(self) -> Self:
        self.start()
        if not self._are_open.wait(PATIENCE_S):
            self.__exit__()
            raise TimeoutError(f"only {self._opened} of {self._count} WebSockets could be opened: {self.refused[:3]}")
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over = True
        self.join()

    def run(self) -> None:
        """Until they are to end."""
        asyncio.run(self._live())

    async def _live(self) -> None:
        await asyncio.gather(*(tasks.start(self._client(n), f"client {n}") for n in range(self._count)))

    async def _client(self, number: int) -> None:
        await asyncio.sleep(self._step_s * number / self._count)  # spread over the step
        was_open = False
        while not self._is_over:
            opened_s = time.time()
            try:
                async with asyncio.timeout(PATIENCE_S):
                    reader, writer, worker = await self._open()
            except (OSError, EOFError, TimeoutError, ValueError) as error:
                self.refused.append(Ending(opened_s, time.time(), 0, f"{type(error).__name__}: {error}"))
                await asyncio.sleep(0.1)
                continue
            if not was_open:
                was_open = True
                self._opened += 1
                if self._opened == self._count:
                    self._are_open.set()
            opened_s = time.time()
            try:
                await self._echo(reader, writer)
            except (OSError, EOFError, TimeoutError, ValueError) as error:
                self.endings.append(Ending(opened_s, time.time(), worker, f"{type(error).__name__}: {error}"))
            writer.transport.abort()

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, int]:
        """A WebSocket, and the pid of the worker that has it."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            return reader, writer, await self._switch(reader, writer)
        except BaseException:
            writer.transport.abort()
            raise

    async def _switch(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> int:
        writer.write(b"GET /pid HTTP/1.1\r\nHost: %b\r\n\r\n" % self._host)
        head = await reader.readuntil(b"\r\n\r\n")
        size = int(head.lower().partition(b"content-length:")[2].split(maxsplit=1)[0])
        worker = int(await reader.readexactly(size))
        writer.write(OPENING % self._host)
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 101 "):
            raise ValueError(head[:40].decode("latin-1"))
        return worker

    async def _echo(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Sends until it is over. Raises what the end was when the other side ends it."""
        due_s = time.perf_counter()
        while not self._is_over:
            writer.write(MESSAGE)
            async with asyncio.timeout(PATIENCE_S):
                echo = await reader.readexactly(len(ECHO))
            if echo != ECHO:
                raise ValueError(f"answered {echo!r}")
            self.echoes += 1
            self.slowest_s = max(self.slowest_s, time.perf_counter() - due_s)
            due_s = max(due_s + self._step_s, time.perf_counter())
            await asyncio.sleep(due_s - time.perf_counter())
