"""Which objects live in this process, by type: how many, and how large they are themselves.

Counted are those that the cyclic collector knows, containers of all kinds and instances of classes; numbers and texts
are in none of its lists. What a worker made before it began to serve was frozen then and is left out, which is as well:
what a leak leaves behind came later.

Taking the list holds the loop for about a millisecond with 100,000 objects (`python -m benchmarks profile-cost`); the
counting is done in steps.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Generator

__all__ = ["Census", "count_objects"]

_STEP = 100

Census = dict[str, list[int]]
"""By ``module.qualified name``: how many, and bytes."""


def count_objects() -> Generator[None, None, Census]:
    """The census, in steps: a generator that yields after each hundred objects and returns it."""
    found: dict[type, list[int]] = {}
    objects = gc.get_objects()
    yield
    while objects:
        for _ in range(min(_STEP, len(objects))):
            one = objects.pop()
            # By type, never by __class__: a proxy of something dead raises when it is asked.
            kind = type(one)
            entry = found.get(kind)
            if entry is None:
                entry = found[kind] = [0, 0]
            entry[0] += 1
            entry[1] += _size_of(one)
        one = None
        yield
    census: Census = {}
    for kind, (count, size) in found.items():
        entry = census.setdefault(f"{kind.__module__}.{kind.__qualname__}", [0, 0])
        entry[0] += count
        entry[1] += size
    return census


def _size_of(one: object) -> int:
    try:
        return sys.getsizeof(one)
    except Exception:  # noqa: BLE001 - a class may say anything about its size, or raise
        return 0
