"""A document that is read once for all who share a cache: the workers of a machine, or the machines of a fleet.

Readings are a chain: the first is found under the document's name, each later one under the name and the time of the
one it follows. Whoever needs a newer one than he has asks for the next; the first who does has it read, and all others
find it, whether they ask because theirs is old or because it lacks a key. So however many ask, the publisher is read
once for all who had the same.
"""

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

import msgspec

from tidegate.filters.jwt.source import Reading

if TYPE_CHECKING:
    from tidegate.cache.cache import Cache

__all__ = ["SharedDocument"]


class SharedDocument:
    """The document as one worker follows it.

    Args:
        cache: The cache, asked for whenever it is needed: a reload may make another.
        name: Of the document, among others in the cache.
        read: Reads it from its publisher; it may block. What it raises is raised by `next`.
        life_s: How long others find it.
        timeout_s: How long a reading may take, with the wait for another one's.
    """

    def __init__(
        self, cache: "Callable[[], Cache]", name: str, read: Callable[[], bytes], *, life_s: float, timeout_s: float
    ) -> None:
        self._cache = cache
        self._name = name
        self._read = read
        self._life_s = life_s
        self._timeout_s = timeout_s
        self._loop = asyncio.get_running_loop()
        self._read_at: float | None = None  # the one that this worker has, by the wall clock of who has read it

    def next(self) -> Reading:
        """One that is newer than the last; it blocks, and is for a thread that is not the loop's."""
        following = asyncio.run_coroutine_threadsafe(self._follow(), self._loop)
        # Here and not there: one that comes too late is not what this worker has.
        self._read_at, content = following.result(self._timeout_s)
        return Reading(content, max(0.0, time.time() - self._read_at))

    async def _follow(self) -> tuple[float, bytes]:
        cache = self._cache()
        key = self._name if self._read_at is None else f"{self._name} {self._read_at!r}"

        async def load(_: Any) -> Any:
            packed = (time.time(), (await self._read_aside()).decode())
            return packed if cache.settings.codec == "json" else msgspec.json.encode(packed)

        found = await cache.get(key, load, ttl=self._life_s, timeout=self._timeout_s)
        if found is None:
            raise ValueError(f"cache {cache.name} loads nothing by itself")
        read_at, text = msgspec.json.decode(found) if isinstance(found, bytes) else found
        return read_at, text.encode()

    async def _read_aside(self) -> bytes:
        content: Future[bytes] = Future()

        def read() -> None:
            try:
                content.set_result(self._read())
            except Exception as error:  # noqa: BLE001 - for who waits
                content.set_exception(error)

        # A daemon: one that hangs in the system's resolver keeps no worker from ending.
        threading.Thread(target=read, name="keys of tokens for all", daemon=True).start()
        return await asyncio.wrap_future(content)

    def __repr__(self) -> str:
        return f"<SharedDocument {self._name}, of {self._read_at}>"
