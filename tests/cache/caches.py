"""Caches under test: with a clock that stands, and an origin that counts and can be held."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

from tidegate.cache.cache import Cache
from tidegate.config.cache import Cache as Settings
from tidegate.memory.generations import GENERATIONS_SIZE, Generations


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
    clock: Callable[[], float] | None = None, *, generations: Generations | None = None, **settings: Any
) -> Cache:
    """One without jitter and early refresh, unless it is asked for."""
    return Cache(
        "test",
        Settings(**{"jitter": 0.0, "early_refresh": 0.0} | settings),
        generations or Generations(bytearray(GENERATIONS_SIZE)),
        chance=random.Random(1),
        clock=clock,
    )
