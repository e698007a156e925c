"""Links under test: a loop, a link to a server, what it said, and waiting for what is to happen."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, NamedTuple, TypeVar

import uvloop

from tidegate.config.values import Address, parse_address
from tidegate.process import tasks
from tidegate.redis.connection import Greeting
from tidegate.redis.lane import LaneSettings
from tidegate.redis.node import LANES, NodeSettings
from tidegate.redis.single import SingleLink

T = TypeVar("T")

FAR_S = 60.0


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """On the loop that workers have."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(coroutine)


async def until(is_so: Callable[[], Any], within_s: float = FAR_S) -> None:
    deadline = asyncio.get_running_loop().time() + within_s
    while not is_so():  # any condition, which nobody announces
        assert asyncio.get_running_loop().time() < deadline, "it did not happen in time"
        await asyncio.sleep(0.005)


def background(coroutine: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """A caller of his own."""
    return tasks.start(coroutine, "a caller")


class Said(NamedTuple):
    """One line of the log."""

    kind: str
    message: str
    fields: dict[str, Any]


class Log(list[Said]):
    """What would stand in the error log."""

    def say(self, kind: str, message: str, **fields: Any) -> None:
        self.append(Said(kind, message, fields))

    @property
    def kinds(self) -> list[str]:
        return [one.kind for one in self]


def lanes(**options: Any) -> NodeSettings:
    """All three lanes with these options; ``greeting`` is that of the connections."""
    greeting = options.pop("greeting", Greeting(connect_timeout_s=FAR_S))
    return NodeSettings(
        greeting, dict.fromkeys(LANES, LaneSettings(**{"timeout_s": FAR_S, "wait_timeout_s": FAR_S} | options))
    )


@contextlib.asynccontextmanager
async def link_to(
    address: str | Address, settings: NodeSettings | None = None, log: Log | None = None
) -> AsyncIterator[SingleLink]:
    """A link, closed at the end of the block."""
    where = parse_address(address) if isinstance(address, str) else address
    say = (log if log is not None else Log()).say
    link = SingleLink("main", where, settings or lanes(), say, chance=random.Random(1))
    try:
        yield link
    finally:
        link.close()
        await asyncio.sleep(0)
