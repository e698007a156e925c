"""Keys of a Redis that begin with a prefix, as a source that a cache watches.

The whole is read, and changes are heard, over a connection to each server of its own (`tidegate.redis.tracker`): lanes
are for those who wait. In a cluster that is each master. A slot that moves from one to another is a change of its keys
on both; when there are other masters than before, all begins anew.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Any, Final

from tidegate.cache.codec import Codec
from tidegate.cache.follower import Changed, Whole
from tidegate.cache.names import unwire, wire
from tidegate.cache.shelf import Key
from tidegate.errors import GatewayError, Kind
from tidegate.redis.tracker import Tracker

if TYPE_CHECKING:
    from tidegate.redis.link import Link

__all__ = ["RedisKeys"]

ASK_S: Final = 1.0
"""How often servers are asked whether all has been heard."""


class RedisKeys:
    """The source.

    Args:
        link: To the Redis.
        prefix: Of the keys; what comes behind it is the key in the cache.
        codec: What values are.
    """

    def __init__(self, link: "Link", prefix: str, codec: Codec) -> None:
        self.name = f"{prefix}* of redis {link.name}"
        self.link = link
        self.unreadable = 0  # of another codec
        self._prefix = wire(prefix)
        self._codec = codec

    async def load(self, key: Key) -> Any:
        """One value, None when there is none."""
        data = await self.link.bulk.get(self._prefix + wire(key))  # on this lane, as nobody knows yet how long it is
        return None if data is None else self._decode(data)

    async def say(self) -> AsyncGenerator[Whole | Changed, None]:
        """The whole, then changes; see `tidegate.cache.follower.Source`."""
        changed: set[bytes] = set()
        heard = asyncio.Event()

        def hear(names: list[bytes]) -> None:
            changed.update(names)
            heard.set()

        await self.link.control.ping()  # a cluster knows its masters when it was asked something
        nodes = set(self.link.nodes())
        trackers: list[Tracker] = []
        try:
            for node in nodes:
                trackers.append(await Tracker.open(node, self._prefix, hear))  # noqa: PERF401 - those opened are closed
            yield Whole(await self._read(trackers, changed))
            asked_at = -ASK_S
            while True:
                if _boot_s() - asked_at < ASK_S:
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(ASK_S):
                            await heard.wait()
                heard.clear()
                at = None
                if not changed or _boot_s() - asked_at >= ASK_S:
                    at = asked_at = _boot_s()
                    await asyncio.gather(*(tracker.ping() for tracker in trackers))
                    if set(self.link.nodes()) != nodes:
                        raise GatewayError(Kind.CONNECTION_TERMINATED, f"{self.link.name}: its servers are others now")
                names = tuple(changed)
                changed.clear()
                yield Changed(tuple(map(self._key, names)), at)
        finally:
            for tracker in trackers:
                tracker.close()

    # -- inside ---------------------------------------------------------------------------------------------------

    async def _read(self, trackers: list[Tracker], changed: set[bytes]) -> dict[Key, Any]:
        """All values but those that have changed meanwhile, which will be said."""
        values = {}
        for tracker in trackers:
            async for name, data in tracker.read_all():
                value = self._decode(data)
                if value is not None:
                    values[self._key(name)] = value
        for name in changed:
            values.pop(self._key(name), None)
        return values

    def _key(self, name: bytes) -> Key:
        return unwire(name[len(self._prefix) :])

    def _decode(self, data: bytes) -> Any:
        try:
            return self._codec.decode(data)
        except (ValueError, RecursionError):
            self.unreadable += 1
            return None

    def __repr__(self) -> str:
        return f"<RedisKeys {self.name}>"


def _boot_s() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)
