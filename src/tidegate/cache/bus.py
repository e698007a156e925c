"""Invalidations of other machines: heard at once when a message comes, and within a second when it does not.

Every invalidation raises the *version* of its cache in Redis and is published with the one before and its own, in one
script, so that messages come in the order of their versions. Who hears one that does not follow the last has missed
some. A message that is missed altogether is noticed by asking for the version once a second, on the lane that never
waits for values, and at once when the subscription was lost. Who has missed something believes nothing that it fetched
before.

What is heard is stamped into the generations. The stamp is in the message, and made of the version where messages were
missed: workers of one machine that all hear the same change the generations once.
"""

import asyncio
import contextlib
import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from tidegate.cache.names import Names, wire
from tidegate.errors import GatewayError
from tidegate.memory.generations import Generations
from tidegate.process import tasks
from tidegate.redis.errors import ReplyError
from tidegate.redis.scripts import Script
from tidegate.redis.subscriber import Message

if TYPE_CHECKING:
    from tidegate.redis.link import Link

__all__ = ["Bus"]

LOOK_S: Final = 0.8
GRACE_S: Final = 0.1
"""How often the version is asked for; and how long a message may take that the answer has overtaken. Together with the
round trip that is less than a second."""

_TELL: Final = Script(
    """local before = redis.call('GET', KEYS[1]) or '0'
local time = redis.call('TIME')
local version = string.format('%.0f', math.max(before + 1, time[1] * 1000000 + time[2]))
redis.call('SET', KEYS[1], version)
redis.call('PUBLISH', ARGV[1], before .. ' ' .. version .. ' ' .. ARGV[2])
return version"""
)
"""The version is the time, in microseconds. A mere counter that the server has lost, or that a fail-over has set back,
might be where it was when somebody looks again, and what was missed meanwhile would never be noticed."""


class Bus:
    """What one cache in one worker tells and hears.

    Args:
        link: To the Redis of the cache.
        prefix: Before its keys.
        names: Of its slots.
        generations: Where what is heard is stamped.
        forget: Called at the first answer, when it is not known what was missed before; None: the generations are this
            cache's own and outlive the process, and say what version was heard of last.
    """

    def __init__(
        self, link: "Link", prefix: str, names: Names, generations: Generations, forget: Callable[[], None] | None
    ) -> None:
        self._link = link
        self._names = names
        self._generations = generations
        self._forget = forget
        self._version_key = wire(prefix) + b"version"
        self._channel = wire(prefix) + b"invalidated"
        self._keeps_version = forget is None
        self._version = generations.version if forget is None else None  # the last that was heard of; None: not yet
        self._early = 0  # what was heard before the first answer
        self._is_wanted = asyncio.Event()
        self._subscriber = link.subscriber(self._hear, self._is_wanted.set)
        self._tasks = [
            tasks.start(self._subscribe(), f"hear {self._channel!r}"),
            tasks.start(self._look(), f"look at {self._version_key!r}"),
        ]
        self.heard = self.gaps = 0
        self.is_current = False
        """Whether it has heard which version there is."""
        self.asked = asyncio.Event()
        """Set when it has asked for the first time, with or without an answer."""

    async def tell(self, slot: int, stamp: int) -> None:
        """Tells all machines that what this slot is about was invalidated. Raises GatewayError when Redis is away."""
        what = b"%d %d" % (slot, stamp)
        await _TELL.run(self._link.control, [self._version_key], [self._channel, what])

    def close(self) -> None:
        """Hears nothing more."""
        for task in self._tasks:
            task.cancel()
        self._subscriber.close()

    # -- inside ---------------------------------------------------------------------------------------------------

    async def _subscribe(self) -> None:
        try:
            await self._subscriber.subscribe(self._channel)
        except GatewayError:
            return  # closed
        self._is_wanted.set()

    def _hear(self, message: Message) -> None:
        try:
            before, version, slot, stamp = map(int, message.data.split())
            self._generations.stamp(slot, stamp)
        except (ValueError, IndexError, OverflowError):
            return  # of nobody who speaks this
        self.heard += 1
        if self._version is None:
            self._early = max(self._early, version)
            return
        if before > self._version:
            self._miss(version)
        self._reach(max(self._version, version))

    async def _look(self) -> None:
        """Asks which version there is, again and again, and at once after a subscription was made again."""
        with contextlib.suppress(
            TimeoutError
        ):  # without a server there is no subscription, and it is asked all the same
            async with asyncio.timeout(LOOK_S):
                await self._is_wanted.wait()
        while True:
            self._is_wanted.clear()
            before = self._version
            try:
                version = int(await self._link.control.get(self._version_key) or 0)
            except (GatewayError, ReplyError, ValueError):
                version = -1
            if version >= 0:
                await self._compare(before, version)
            self.asked.set()
            try:
                async with asyncio.timeout(LOOK_S):
                    await self._is_wanted.wait()
            except TimeoutError:
                continue

    async def _compare(self, before: int | None, version: int) -> None:
        self.is_current = True
        if before is None or self._version is None:
            self._version = max(version, self._early)
            if self._forget is not None:
                self._forget()
        elif version < before:  # the server has lost what it had
            self._miss(version)
            self._reach(version)
        elif version > self._version:
            await asyncio.sleep(GRACE_S)  # its message may be on its way
            if version > self._version:
                self._miss(version)
                self._reach(version)

    def _reach(self, version: int) -> None:
        self._version = version
        if self._keeps_version:
            self._generations.version = version  # after what it is about has been stamped

    def _miss(self, version: int) -> None:
        self.gaps += 1
        stamp = hashlib.blake2b(b"%b %d" % (self._version_key, version), digest_size=8).digest()
        self._generations.stamp(self._names.everything, int.from_bytes(stamp, "little"))

    def __repr__(self) -> str:
        return f"<Bus {self._channel!r}, version {self._version}, {self.heard} heard, {self.gaps} gaps>"
