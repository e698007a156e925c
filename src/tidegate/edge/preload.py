"""Filling caches before a worker is ready: what nobody has asked for yet, and everybody is about to.

All of it happens at the same time and within a bound. What cannot be had is said, and fetched when it is asked for: an
origin that is away keeps no gateway from starting.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from tidegate.exchange.filter import Filter

if TYPE_CHECKING:
    from tidegate.cache.cache import Cache

__all__ = ["PRELOAD_S", "preload"]

PRELOAD_S: Final = 60.0


async def preload(
    caches: "Mapping[str, Cache]", filters: Mapping[str, Filter], say: Callable[..., None], within_s: float = PRELOAD_S
) -> None:
    """Fills what the configuration and filters name; returns when that is done, or time is over.

    Args:
        caches: Of the worker, by name.
        filters: Of the snapshot, by name.
        say: Where it is said what could not be had.
        within_s: Seconds for each.
    """
    work = [
        _try(f"cache {name}", cache.preload(), say, within_s) for name, cache in caches.items() if cache.has_preload
    ]
    work += [_try(f"filter {name}", one.preload(), say, within_s) for name, one in filters.items()]
    await asyncio.gather(*work)


async def _try(what: str, filling: Awaitable[Any], say: Callable[..., None], within_s: float) -> None:
    try:
        async with asyncio.timeout(within_s):
            await filling
    except Exception as error:  # noqa: BLE001 - code of a filter, or of whoever it asks
        reason = f"not within {within_s:g} s" if isinstance(error, TimeoutError) else f"{type(error).__name__}: {error}"
        say("preload_failed", f"{what} was not filled before the worker was ready: {reason}", error=error)
