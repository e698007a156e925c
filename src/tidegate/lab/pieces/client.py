"""Requests one by one, and at a rate that does not depend on who answers.

`tidegate bench` sends more and measures better; this tells of each single request what came of it, and runs in the loop
that changes the scene.
"""

from __future__ import annotations

import asyncio
import itertools
import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

__all__ = ["Load", "Told", "ask"]

_BODY_MAX = 64 << 20
OPEN_MAX = 2_000
"""Requests under way beyond which no more are sent: a load of the lab stays one that every machine bears."""


class Told(NamedTuple):
    """What came of a request.

    ``at_s``: when it was due, on the loop's clock. ``status``: 0 without an answer; ``trouble`` says why.
    """

    at_s: float
    took_s: float
    status: int
    body: bytes = b""
    fields: Mapping[str, str] = MappingProxyType({})
    trouble: str = ""

    @property
    def is_served(self) -> bool:
        """Whether it was answered with 2xx."""
        return 200 <= self.status < 300

    @property
    def ended_s(self) -> float:
        """When the answer came, or nobody waited any more."""
        return self.at_s + self.took_s


async def ask(
    address: str,
    target: str = "/",
    fields: Mapping[str, str] | None = None,
    *,
    patience_s: float = 10.0,
    due_s: float | None = None,
) -> Told:
    """GET over a connection of its own.

    Args:
        address: ``host:port``.
        target: Path and query.
        fields: Of the head.
        patience_s: From when it was due until nobody waits for the answer any more.
        due_s: When it was due; None: now.
    """
    loop = asyncio.get_running_loop()
    began_s = loop.time() if due_s is None else due_s
    try:
        async with asyncio.timeout_at(began_s + patience_s):
            status, got, body = await _exchange(address, target, fields or {})
    except TimeoutError:
        return Told(began_s, loop.time() - began_s, 0, trouble="timeout")
    except (OSError, EOFError, ValueError) as error:
        return Told(began_s, loop.time() - began_s, 0, trouble=type(error).__name__)
    return Told(began_s, loop.time() - began_s, status, body, got)


async def _exchange(address: str, target: str, fields: Mapping[str, str]) -> tuple[int, dict[str, str], bytes]:
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        writer.write(f"GET {target} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{lines}\r\n".encode())
        first, *rest = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        got = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in rest if line)}
        body = await reader.readexactly(min(int(got.get("content-length", "0")), _BODY_MAX))
        return int(first.split()[1]), got, body
    finally:
        writer.transport.abort()
        await asyncio.sleep(0)  # it is closed in the loop's next turn


class Load:
    """Requests to ``address`` at ``per_s`` a second, each due at its time whatever became of those before.

    Args:
        address: Whom to ask.
        per_s: How many a second.
        target: Path and query, or a function of the request's number.
        fields: Of each head, or a function of the request's number.
        patience_s: Of each request.
    """

    def __init__(
        self,
        address: str,
        *,
        per_s: float,
        target: str | Callable[[int], str] = "/",
        fields: Mapping[str, str] | Callable[[int], Mapping[str, str]] | None = None,
        patience_s: float = 10.0,
    ) -> None:
        self.address = address
        self.per_s = per_s
        self.told: list[Told] = []
        self.under_way = 0
        self._target = target if callable(target) else lambda _: target
        self._fields = fields if callable(fields) else lambda _: fields or {}
        self._patience_s = patience_s
        self._is_stopped = False

    def __repr__(self) -> str:
        return f"<Load of {self.per_s:g}/s on {self.address}, {len(self.told)} told, {self.under_way} under way>"

    async def run(self, seconds: float = math.inf) -> None:
        """Sends for so long, or until it is stopped, and returns when all are told."""
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        async with asyncio.TaskGroup() as group:
            for number in itertools.count():
                if number >= max(1.0, seconds * self.per_s - 1e-6) or self._is_stopped:
                    break
                due_s = began_s + number / self.per_s
                await asyncio.sleep(max(0.0, due_s - loop.time()))
                while self.under_way >= OPEN_MAX:  # noqa: ASYNC110 - a bound that hardly any load meets
                    await asyncio.sleep(0.01)
                self.under_way += 1
                group.create_task(self._one(number, due_s))

    def stop(self) -> None:
        """Sends no more."""
        self._is_stopped = True

    async def _one(self, number: int, due_s: float) -> None:
        try:
            self.told.append(
                await ask(
                    self.address,
                    self._target(number),
                    self._fields(number),
                    patience_s=self._patience_s,
                    due_s=due_s,
                )
            )
        finally:
            self.under_way -= 1

    def count(self, is_one: Callable[[Told], bool]) -> int:
        """How many of those told are such."""
        return sum(map(is_one, self.told))
