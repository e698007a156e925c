"""What a cached value costs who awaits it, from Python, the loop of the benchmark taken off."""

import asyncio
import atexit
import itertools
import shutil
import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from tidegate.cache.cache import Cache
from tidegate.cache.codec import codec_named
from tidegate.cache.freshness import Lifetimes
from tidegate.cache.machine import MachineTier
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


_folder = Path(tempfile.mkdtemp(prefix="tidegate-micro-", dir="/dev/shm"))
atexit.register(shutil.rmtree, _folder, ignore_errors=True)
_machine = MachineTier.open(_folder / "caches" / "bench", 64 << 20, print)
_shared = Cache("shared", Settings(ttl=86400.0, machine=64 << 20), _cache.generations, machine=_machine)


async def _machine_hits(n: int) -> None:
    find, lifetimes, codec = _machine.find, Lifetimes(60.0), codec_named("bytes")
    for _ in range(n):
        find("user:1", 1000.0, lifetimes, codec)


async def _machine_gets(n: int) -> None:
    get, close = _shared.get, _shared.close
    for _ in range(n):
        await get("user:1", _load)
        close()  # forgets what is at hand


async def _store() -> None:
    await _shared.set("user:1", b"v" * 1000)
    _shared.close()


async def _keep() -> None:
    await _cache.get("user:1", _load)


_loop.run_until_complete(_store())
_loop.run_until_complete(_keep())

CASES = {
    "nothing": _run(_loop_alone),
    "await get of what is at hand": _run(_hits),
    "get_nowait": _run(_plain),
    "1 KB found on the machine": _run(_machine_hits),
    "await get of 1 KB from the machine, kept at hand and forgotten again": _run(_machine_gets),
    "a miss whose load is at once": _run(_misses),
}
