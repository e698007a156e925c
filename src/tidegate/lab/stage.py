"""What a half has while it lasts: pieces that end with it, how long it is to be, a timeline.

Whatever ends a half, a failure and Ctrl-C included, ends what it has started, last things first.
"""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self, TypeVar

from tidegate.lab.pieces.gateway import Gateway
from tidegate.lab.pieces.program import Program
from tidegate.lab.pieces.relay import Relay
from tidegate.lab.pieces.service import Handler, Service
from tidegate.lab.pieces.valkey import Valkey
from tidegate.lab.timeline import Timeline
from tidegate.process.failure import StartError

__all__ = ["Length", "Stage", "until"]

PATIENCE_S = 60.0

Piece = TypeVar("Piece")


class Length(enum.Enum):
    """How long the load of a half lasts, in seconds."""

    SHORT = 1.5
    USUAL = 4.0
    FULL = 20.0


class Stage:
    """One half's; an asynchronous context manager."""

    timeline: Timeline
    folder: Path

    def __init__(self, length: Length = Length.USUAL) -> None:
        self.seconds = length.value
        self.notes: list[str] = []
        self._ends = AsyncExitStack()

    def __repr__(self) -> str:
        return f"<Stage of {self.seconds:g} s>"

    async def __aenter__(self) -> Self:
        self.folder = Path(self._ends.enter_context(TemporaryDirectory(prefix="tidegate-lab-")))
        self.timeline = Timeline()
        self._ends.callback(self.timeline.close)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._ends.aclose()

    async def gateway(self, text: str, *, workers: int = 2) -> Gateway:
        """A gateway of this configuration, ready; server, logs and listener are written for it."""
        return await self._started(Gateway(self._place("gateway"), text, workers=workers))

    async def valkey(self) -> Valkey:
        """A Valkey or Redis server that keeps nothing."""
        return await self._started(Valkey(self._place("valkey")))

    async def service(self, handler: Handler) -> Service:
        """An HTTP service of this process, on a free port."""
        return await self._started(Service(handler))

    async def relay(self, target: str) -> Relay:
        """A line to the server at ``target`` that can be made slow, narrow or silent."""
        relay = Relay(target)
        self._ends.push_async_callback(asyncio.to_thread, relay.close)
        return relay

    async def program(self, target: str, **arguments: Any) -> Program:
        """``module:function`` in a process of its own."""
        return await self._started(Program(target, arguments))

    async def _started(self, piece: AbstractAsyncContextManager[Piece]) -> Piece:
        started = await self._ends.enter_async_context(piece)
        self.timeline.restart()  # to start pieces is no part of what is drawn
        return started

    def _place(self, name: str) -> Path:
        number = sum(1 for _ in self.folder.glob(f"{name}-*"))
        place = self.folder / f"{name}-{number}"
        place.mkdir()
        return place


async def until(condition: Callable[[], bool], what: str) -> None:
    """Returns when it is so; StartError when it is not after a minute."""
    loop = asyncio.get_running_loop()
    end_s = loop.time() + PATIENCE_S
    while not condition():
        if loop.time() > end_s:
            raise StartError(f"the lab waited for {PATIENCE_S:g} s in vain until {what}")
        await asyncio.sleep(0.002)
