"""Caches under test: with a clock that stands, and an origin that counts and can be held."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

from tests.redis.links import Log, until

from tidegate.cache.cache import Cache
from tidegate.cache.fetch import MachineFlights
from tidegate.cache.machine import MachineTier
from tidegate.config.cache import Cache as Settings
from tidegate.memory.generations import GENERATIONS_SIZE, Generations
from tidegate.redis.link import Link


class Clock:
    """Stands until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Origin:
    """What a cache stands before: answers at once, or when it is let go, and counts.

    ``answer``: what it answers with; an exception is raised.
    """

    def __init__(self, answer: Any = b"value") -> None:
        self.answer = answer
        self.asked: list[Any] = []
        self.cancelled = 0
        self._gate = asyncio.Event()
        self._gate.set()

    def hold(self) -> None:
        self._gate.clear()

    def release(self) -> None:
        self._gate.set()

    async def load(self, key: Any) -> Any:
        self.asked.append(key)
        try:
            await self._gate.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        answer = self.answer(key) if callable(self.answer) else self.answer
        if isinstance(answer, BaseException):
            raise answer
        return answer


def cache(
    clock: Callable[[], float] | None = None,
    *,
    generations: Generations | None = None,
    link: Link | None = None,
    flights: MachineFlights | None = None,
    machine: MachineTier | None = None,
    say: Callable[..., None] | None = None,
    **settings: Any,
) -> Cache:
    """One without jitter and early refresh, unless it is asked for."""
    return Cache(
        "test",
        Settings(**{"jitter": 0.0, "early_refresh": 0.0} | settings),
        generations or Generations(bytearray(GENERATIONS_SIZE)),
        link=link,
        flights=flights,
        machine=machine,
        chance=random.Random(1),
        clock=clock,
        say=say or Log().say,
    )


async def stored(one: Cache, count: int) -> None:
    """Returns when so many values have been stored in Redis: nobody who waits for a value waits for that."""
    await until(lambda: one.statistics().redis.stored >= count)  # type: ignore[union-attr]


class Landing:
    """Flights of the machine as a table in this process: what the ones in shared memory do."""

    def __init__(self) -> None:
        self.flying: set[bytes] = set()
        self.led = 0

    def lead(self, key: bytes, lease_s: float) -> Leading | None:
        if key in self.flying:
            return None
        self.flying.add(key)
        self.led += 1
        return Leading(self, key)

    async def wait(self, key: bytes) -> None:
        await until(lambda: key not in self.flying)


class Leading:
    """One that has begun."""

    def __init__(self, landing: Landing, key: bytes) -> None:
        self._landing = landing
        self._key = key

    def land(self) -> bool:
        self._landing.flying.discard(self._key)
        return True
