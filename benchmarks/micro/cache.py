"""What a cached value costs who awaits it, from Python, the loop of the benchmark taken off."""

import asyncio
import itertools
from collections.abc import Callable, Coroutine
from typing import Any

from tidegate.cache.cache import Cache
from tidegate.config.cache import Cache as Settings
from tidegate.memory.generations import GENERATIONS_SIZE, Generations

_cache = Cache("bench", Settings(ttl=86400.0), Generations(bytearray(GENERATIONS_SIZE)))
_numbers = itertools.count()
_loop = asyncio.new_event_loop()


async def _load(key: Any) -> bytes:
    del key
    return b"v" * 1000


async def _hits(n: int) -> None:
    get = _cache.get
    for _ in range(n):
        await get("user:1", _load, ttl=60.0)


async def _plain(n: int) -> None:
    get = _cache.get_nowait
    for _ in range(n):
        get("user:1")


async def _misses(n: int) -> None:
    for _ in range(n):
        await _cache.get(b"%d" % next(_numbers), _load)


async def _loop_alone(n: int) -> None:
    for _ in range(n):
        pass


def _run(case: Callable[[int], Coroutine[Any, Any, None]]) -> Callable[[int], None]:
    return lambda n: _loop.run_until_complete(case(n))


_loop.run_until_complete(_cache.get("user:1", _load))  # type: ignore[arg-type]

CASES = {
    "nothing": _run(_loop_alone),
    "await get of what is at hand": _run(_hits),
    "get_nowait": _run(_plain),
    "a miss whose load is at once": _run(_misses),
}
