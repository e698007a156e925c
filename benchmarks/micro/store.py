"""What it costs to read a value out of the machine store, and to put one in; a store of its own on /dev/shm."""

import asyncio
import atexit
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tidegate.memory.region import Region
from tidegate.memory.single_flight import SingleFlight
from tidegate.memory.store import Store, boot_s

_PLACE = Path(f"/dev/shm/tidegate-micro-store-{os.getpid()}")
_NOW_S = boot_s()
_LATE_S = _NOW_S + 1e6
_LOOP = asyncio.new_event_loop()
_REGION = Region.create(4, 1, 1)
_FLIGHTS = SingleFlight(_REGION.mapping, _REGION.secret, 1)
_opened: list[Store] = []


def store() -> Store:
    """Made at first use: other micro-benchmarks import this file as well."""
    if not _opened:
        made = Store.open(_PLACE, 256 << 20, say=print)
        atexit.register(shutil.rmtree, _PLACE, ignore_errors=True)
        _LOOP.run_until_complete(_fill(made))
        _opened.append(made)
    return _opened[0]


async def _fill(made: Store) -> None:
    for i in range(100):
        await asyncio.gather(*(made.put(b"filling:%d:%d" % (i, j), bytes(100), b"", _LATE_S) for j in range(100)))
    for size in (100, 1024, 65536, 20_000_000):
        assert await made.put(b"%d" % size, bytes(size), b"m" * 40, _LATE_S)


def get(size: int) -> Callable[[int], None]:
    """A read of a value of so many bytes."""

    def run(n: int) -> None:
        made, key = store(), b"%d" % size
        for _ in range(n):
            made.get(key, _NOW_S)

    return run


def get_nothing(n: int) -> None:
    made = store()
    for _ in range(n):
        made.get(b"nothing", _NOW_S)


def put(size: int, at_once: int = 1) -> Callable[[int], int]:
    """A value of so many bytes stored, ``at_once`` of them waiting together."""

    def run(n: int) -> int:
        made, value = store(), bytes(size)
        rounds = (n + at_once - 1) // at_once

        async def main() -> None:
            for turn in range(rounds):
                waiting: list[Any] = [
                    made.put(b"%d" % ((turn * at_once + i) % 5000), value, b"", _LATE_S) for i in range(at_once)
                ]
                await asyncio.gather(*waiting)

        _LOOP.run_until_complete(main())
        return rounds * at_once

    return run


def lead_and_land(n: int) -> None:
    for _ in range(n):
        flight = _FLIGHTS.lead(b"key", 1.0)
        if flight is not None:
            flight.land()


CASES = {
    "get, nothing there": get_nothing,
    "get 100 bytes": get(100),
    "get 1 KB": get(1024),
    "get 64 KB": get(65536),
    "map 20 MB": get(20_000_000),
    "put 1 KB, one at a time": put(1024),
    "put 1 KB, 64 at once": put(1024, 64),
    "put 64 KB, one at a time": put(65536),
    "put 20 MB": put(20_000_000),
    "lead a flight and land": lead_and_land,
}
