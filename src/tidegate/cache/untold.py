"""Invalidations that Redis could not be told, kept until it can be.

Who invalidates while Redis is away is told so, and this machine has forgotten the value. What Redis has would be found
again when it is back: so it is told then, by the worker whose caller it was, again and again until it has heard. To
invalidate once more than needed costs a fetch, so nothing has to be known of what it may have heard before.

What is kept is bounded, and ends with the worker.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from itertools import islice
from typing import Final, NamedTuple

from tidegate.cache.shelf import Key
from tidegate.errors import GatewayError
from tidegate.process import tasks

__all__ = ["UNTOLD_MAX", "Invalidation", "NotTold", "Untold"]

UNTOLD_MAX: Final = 10_000
"""Invalidations of a cache that a worker keeps."""

_AGAIN_S: Final = (0.1, 0.5)  # a pause between these: a call costs microseconds while the breaker is open
_AT_ONCE: Final = 64


class Invalidation(NamedTuple):
    """Of one key, or of all values under a tag."""

    key: Key | None = None
    tag: str | None = None


class NotTold(GatewayError):
    """Redis could not be told of an invalidation. ``is_kept``: it is told when it is back."""

    def __init__(self, error: GatewayError, *, is_kept: bool) -> None:
        word = "it is told when it is back" if is_kept else f"{UNTOLD_MAX} others wait to be told, this one is not kept"
        super().__init__(
            error.kind,
            f"{error.detail}; {word}",
            source=error.source,
            retry=error.retry,
            status=error.status,
            cause=error,
        )
        self.is_kept = is_kept


class Untold:
    """Those of one cache in one worker.

    Args:
        name: Of the cache.
        tell: Tells Redis of one. Raises GatewayError when it cannot.
        say: Where it is said that some are kept, and told.
        chance: For pauses.
    """

    def __init__(
        self,
        name: str,
        tell: Callable[[Invalidation], Awaitable[None]],
        say: Callable[..., None],
        chance: random.Random,
    ) -> None:
        self.told = 0
        """Told late."""
        self.lost = 0
        """Not kept, or given up with the worker or the link."""
        self._name = name
        self._tell = tell
        self._say = say
        self._chance = chance
        self._kept: dict[Invalidation, None] = {}
        self._under_way: dict[Invalidation, None] = {}  # being told; one that is kept again meanwhile has not been told
        self._telling: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._kept.keys() | self._under_way.keys())

    def keep(self, what: Invalidation, error: GatewayError) -> NotTold:
        """Keeps what ``error`` kept from being told, if there is room; what to raise."""
        if what not in self._kept and len(self) >= UNTOLD_MAX:
            self.lost += 1
            return NotTold(error, is_kept=False)
        self._kept[what] = None
        if self._telling is None:
            self._telling = tasks.start(self._tell_all(), f"tell what was invalidated in cache {self._name}")
            reason = f"cache {self._name} keeps invalidations that Redis could not be told: {error.detail}"
            self._say("cache_invalidation_kept", reason, cache=self._name)
        return NotTold(error, is_kept=True)

    def close(self) -> None:
        """Gives up what is kept."""
        if count := len(self):
            lost = f"cache {self._name}: Redis is never told of {count} invalidations that were kept"
            self._say("cache_invalidation_lost", lost, cache=self._name)
        self.lost += count
        self._kept.clear()
        self._under_way.clear()
        if self._telling is not None:
            self._telling.cancel()
            self._telling = None

    async def _tell_all(self) -> None:
        begun = self.told
        while self._kept:
            await asyncio.sleep(self._chance.uniform(*_AGAIN_S))
            while some := list(islice(self._kept, _AT_ONCE)):
                self._under_way = dict.fromkeys(some)
                for one in some:
                    del self._kept[one]
                results = await asyncio.gather(*map(self._tell, some), return_exceptions=True)
                failed = [one for one, result in zip(some, results, strict=True) if result is not None]
                self.told += len(some) - len(failed)
                self._under_way = {}
                if failed:
                    self._kept.update(dict.fromkeys(failed))
                    break
        self._telling = None
        told = f"cache {self._name}: Redis has been told of {self.told - begun} invalidations that were kept"
        self._say("cache_invalidation_told", told, level="info", cache=self._name)

    def __repr__(self) -> str:
        return f"<Untold of {self._name}: {len(self._kept)} kept, {self.told} told late, {self.lost} lost>"
