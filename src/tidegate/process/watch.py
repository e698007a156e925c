"""Looks once a second whether the source of the configuration has changed, and has it read when it has come to rest.

Polling sees what any editor does: one that writes in place, one that renames, a link that is turned to another
directory (as configuration maps of Kubernetes are), a file system that is mounted over. A change is acted on when two
looks in a row agree, so that half a file is not read; an attempt that failed is not repeated until the next change.
"""

import asyncio
from collections.abc import Awaitable, Callable

from tidegate.config.source import Source, Unreadable, digest_of

__all__ = ["watch"]


async def watch(
    source: Callable[[], Source | None],
    known_digest: Callable[[], str],
    changed: Callable[[], Awaitable[object]],
    *,
    period_s: float = 1.0,
) -> None:
    """Calls ``changed`` after each change, for ever.

    Args:
        source: what is to be watched now; None: nothing.
        known_digest: of the text that was read last; what differs from it at the first look is a change too.
        changed: has it read.
        period_s: between two looks.
    """
    seen: str | None = None  # acted on
    last = ""
    while True:
        watched = source()
        if watched is None:
            seen = None
        else:
            now = await asyncio.to_thread(watched.fingerprint)
            if seen is None:
                seen = now if await asyncio.to_thread(_digest, watched) == known_digest() else ""
            if now and now != seen and now == last:
                seen = now
                await changed()
            last = now
        await asyncio.sleep(period_s)


def _digest(source: Source) -> str:
    try:
        return digest_of(source.read().text)
    except Unreadable:
        return ""
