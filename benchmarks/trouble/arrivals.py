"""Clients that come whether or not the last one was answered, over kept connections; they may try again."""

import asyncio
import http.client
import random
import re
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import cast

PATIENCE_S = 10.0
RETRY_S = 0.1


@dataclass
class Stream:
    """Requests of one kind, arriving as a Poisson process.

    ``rate``: how many a second at a moment; ``fields``: lines of the head, those of every ``nth`` request another one.
    """

    name: str
    path: str
    rate: Callable[[float], float]
    fields: str = ""
    retries: int = 0
    nth: int = 0
    nth_fields: str = ""
    # what came of it, by the second of coming
    came: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    kept: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    # by the second of the answer
    served: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    latencies_s: list[tuple[float, float]] = field(default_factory=list)
    """When an answer came, and how long it took."""

    def share(self, begin_s: int, end_s: int) -> float:
        """Which part of those who came in that time was served in the end."""
        came = sum(self.came[at] for at in range(begin_s, end_s))
        return sum(self.kept[at] for at in range(begin_s, end_s)) / came if came else 1.0

    def goodput(self, begin_s: int, end_s: int) -> float:
        """Answers a second in that time."""
        return sum(self.served[at] for at in range(begin_s, end_s)) / (end_s - begin_s)

    def quantile_s(self, begin_s: int, end_s: int, share: float) -> float:
        """How long answers of that time took at most, ``share`` of them; 0: there were none."""
        took = sorted(took_s for at_s, took_s in self.latencies_s if begin_s <= at_s < end_s)
        return took[min(len(took) - 1, int(share * len(took)))] if took else 0.0

    def recovered_s(self, healed_s: int, end_s: int, share: float = 0.95, steady_s: int = 3) -> int | None:
        """How long after ``healed_s`` those who came were served, for some seconds on end; None: never."""
        for second in range(healed_s, end_s - steady_s + 1):
            if self.share(second, second + steady_s) >= share:
                return second - healed_s
        return None

    def head(self, number: int) -> bytes:
        """The head of the request of that number."""
        fields = self.nth_fields if self.nth and number % self.nth == 0 else self.fields
        return f"GET {self.path} HTTP/1.1\r\nHost: a\r\n{fields}\r\n".encode()


class _Connection(asyncio.Protocol):
    """One connection, with one request at a time; of the answers only the status is looked at."""

    def __init__(self) -> None:
        self.answered: asyncio.Future[int] | None = None
        self.is_usable = True
        self.transport: asyncio.Transport | None = None
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's are no subclass

    def ask(self, head: bytes) -> "asyncio.Future[int]":
        """The status that comes; 0: the connection ended."""
        assert self.transport is not None
        self.answered = asyncio.get_running_loop().create_future()
        self.transport.write(head)
        return self.answered

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, rest = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return
        size = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
        if size is not None and len(rest) < int(size[1]):
            return
        self._buffer = b""
        self.is_usable = b"connection: close" not in head.lower()
        self._end(int(head.split(b" ", 2)[1]))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's
        self.is_usable = False
        self._end(0)

    def _end(self, status: int) -> None:
        if self.answered is not None and not self.answered.done():
            self.answered.set_result(status)


class Clients:
    """Those of all streams, which share their connections.

    Args:
        port: Whom to ask, on loopback.
        seed: Of all chance.
    """

    def __init__(self, port: int, seed: int = 1) -> None:
        self._port = port
        self._seed = seed
        self._idle: list[_Connection] = []
        self._began_s = 0.0

    def __repr__(self) -> str:
        return f"<Clients of port {self._port}, {len(self._idle)} connections idle>"

    async def come(self, streams: Sequence[Stream], seconds: float) -> None:
        """All streams at once for so long; returns when the last ones were answered or given up."""
        self._began_s = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for stream in streams:
                group.create_task(self._come(stream, seconds))
        for one in self._idle:
            if one.transport is not None:
                one.transport.close()
        self._idle.clear()

    @property
    def _now_s(self) -> float:
        return time.perf_counter() - self._began_s

    async def _come(self, stream: Stream, seconds: float) -> None:
        chance = random.Random(f"{self._seed} {stream.name}")
        due_s, number = 0.0, 0
        async with asyncio.TaskGroup() as group:
            while due_s < seconds:
                now_s = self._now_s
                while due_s <= now_s and due_s < seconds:
                    number += 1
                    group.create_task(self._request(stream, stream.head(number), chance))
                    due_s += chance.expovariate(stream.rate(due_s))
                await asyncio.sleep(max(0.0, due_s - self._now_s))

    async def _request(self, stream: Stream, head: bytes, chance: random.Random) -> None:
        came_s = self._now_s
        stream.came[int(came_s)] += 1
        for attempt in range(stream.retries + 1):
            asked_s = self._now_s
            status = await self._attempt(head)
            now_s = self._now_s
            if status == http.client.OK:
                stream.kept[int(came_s)] += 1
                stream.served[int(now_s)] += 1
                stream.latencies_s.append((now_s, now_s - asked_s))
                return
            if attempt < stream.retries:
                await asyncio.sleep(RETRY_S * 2**attempt * chance.uniform(0.5, 1.0))

    async def _attempt(self, head: bytes) -> int:
        """The status of one answer; 0: none came in time."""
        while self._idle:
            one = self._idle.pop()
            if one.is_usable:
                break
        else:
            try:
                _, one = await asyncio.get_running_loop().create_connection(_Connection, "127.0.0.1", self._port)
            except OSError:
                return 0
        done, _ = await asyncio.wait([one.ask(head)], timeout=PATIENCE_S)
        if done and one.is_usable:
            self._idle.append(one)
        elif one.transport is not None:
            one.transport.close()
        return done.pop().result() if done else 0
