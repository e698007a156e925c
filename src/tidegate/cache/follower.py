"""A cache that has all of a source, and is told by it what changes.

Values have no end here: what has changed is stamped in the generations the moment it is said, so that nobody is given
it any more, and then fetched again, so that the new value is at hand before it is asked for. When the source was lost,
it is read whole again, and only then everything is stamped that was there before: until then what is there is better
than nothing.

With a tier of the machine one worker listens for all. It leads a flight that others follow when it dies, at once, or
stands still, after `LEASE_S`. When all had been said last is a word beside the generations, so that every worker knows
how old at most what it gives out may be; beyond the bound it believes nothing, and asks the source for each key.
"""

import asyncio
import contextlib
import hashlib
import random
import secrets
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from tidegate.cache.loaded import Loaded
from tidegate.cache.names import Names
from tidegate.cache.shelf import Key
from tidegate.cache.statistics import SourceStatistics
from tidegate.memory.generations import Generations
from tidegate.process import slices, tasks
from tidegate.redis.pace import Pace

if TYPE_CHECKING:
    from tidegate.cache.fetch import Flight, MachineFlights

__all__ = ["Changed", "Follower", "Source", "Whole"]

SURE_S: Final = 3.0
"""A source that has said all so recently is being listened to: three times as long as it takes to say so again."""
LEASE_S: Final = 10.0
"""How long the worker that listens for all may stand still."""
ENDLESS_S: Final = 366 * 86400.0
"""What is told of when it changes lives so long."""

_LOOK_S: Final = 1.0
_AT_ONCE: Final = 32  # values that are kept, or fetched again, in one turn of the loop


class Whole(NamedTuple):
    """All that is in the source. What has changed while it was read will be said, and then up to when all has been."""

    values: Mapping[Key, Any]


class Changed(NamedTuple):
    """Keys whose values are others than before, or gone.

    at: up to when all has now been said; None: not known. Without keys it says just that.
    """

    keys: tuple[Key, ...]
    at: float | None = None


class Source(Protocol):
    """What a cache can watch; ``name`` tells it from others. Times are those of CLOCK_BOOTTIME, in seconds."""

    name: str
    unreadable: int
    """Values that could not be read so far, and are as good as none."""

    def say(self) -> AsyncGenerator[Whole | Changed, None]:
        """First the whole, then what changes, and at once and each second up to when all has been said.

        Raises GatewayError when it is lost; then it is listened to anew, from the whole on.
        """

    async def load(self, key: Key) -> Any:
        """One value, None when there is none. Raises GatewayError when it cannot be asked."""


class Follower:
    """Keeps one cache what its source is.

    Args:
        name: Of the cache.
        source: What it follows.
        names: The cache's.
        generations: Of this cache alone: of the machine where it has a tier there, else of this worker.
        keep: Puts a value into the cache's tiers.
        fetch: Fetches these keys anew.
        bound_s: How long values are given out after the source was lost.
        flights: Of the machine, when it has a tier there: one worker listens. Without, each does.
        say: Where it is said that the source is lost, and back.
        chance: For pauses.
    """

    def __init__(
        self,
        name: str,
        source: Source,
        names: Names,
        generations: Generations,
        *,
        keep: Callable[[Key, Loaded], Awaitable[None]],
        fetch: Callable[[Iterable[Key]], Awaitable[Any]],
        bound_s: float,
        flights: "MachineFlights | None",
        say: Callable[..., None],
        chance: random.Random,
    ) -> None:
        self.bound_s = bound_s
        self._name = name
        self._source = source
        self._names = names
        self._generations = generations
        self._keep = keep
        self._fetch = fetch
        self._flights = flights
        self._flight: Flight | None = None
        self._flight_name = b"source of %b" % name.encode()
        self._say = say
        self._pace = Pace(chance)
        self._is_lost = False
        self._changed: dict[Key, None] = {}  # to be fetched again, in order
        self._fetching: asyncio.Task[None] | None = None
        self._wholes = self._changes = self._losses = self._failures = 0
        # What is on the machine may be of another source, which the configuration named before.
        if generations.stamp(
            names.source, int.from_bytes(hashlib.blake2b(source.name.encode(), digest_size=8).digest())
        ):
            generations.version = 0
            generations.stamp(names.everything, secrets.randbits(64))
        self._tasks = [
            tasks.start(self._follow(), f"follow the source of cache {name}"),
            tasks.start(self._look_at_age(), f"look at the age of cache {name}"),
        ]

    async def load(self, key: Key) -> Loaded:
        """One value, asked for by itself: without end while changes are heard, else as long as any."""
        is_told = self.age_s() <= SURE_S  # before the value is read: what changes later is heard of
        return Loaded(await self._source.load(key), ENDLESS_S if is_told else None)

    def age_s(self) -> float:
        """How long ago all that had changed was known."""
        return _boot_s() - self._generations.version / 1e6

    async def ready(self) -> None:
        """Returns when the whole is there."""
        while self.age_s() > SURE_S:  # another worker may be the one who listens  # noqa: ASYNC110
            await asyncio.sleep(0.02)

    def close(self) -> None:
        """Listens no more."""
        for task in (*self._tasks, self._fetching):
            if task is not None:
                task.cancel()
        self._land()

    def statistics(self) -> SourceStatistics:
        """What was said, and how long ago everything was known."""
        return SourceStatistics(
            self._wholes, self._changes, self._losses, self._failures, self._source.unreadable, self.age_s()
        )

    # -- inside ---------------------------------------------------------------------------------------------------

    async def _follow(self) -> None:
        """Listens whenever nobody else of the machine does, again and again."""
        while True:
            if not self._leads():
                await asyncio.sleep(_LOOK_S)
                continue
            renewing = tasks.start(self._renew(), f"listen for cache {self._name}")
            try:
                await self._listen()
            except Exception as error:  # noqa: BLE001 - of whatever source
                self._lose(error)
            finally:
                renewing.cancel()
                self._land()
            await asyncio.sleep(self._pace.next_s(asyncio.get_running_loop().time()))

    def _leads(self) -> bool:
        """Whether this worker is the one to listen."""
        if self._flights is not None and self._flight is None:
            self._flight = self._flights.lead(self._flight_name, LEASE_S)
        return self._flights is None or self._flight is not None

    async def _renew(self) -> None:
        """Leads on. Another may be faster, once in a great while; then it is his turn."""
        while self._flight is not None:
            await asyncio.sleep(LEASE_S / 3)
            self._land()
            self._leads()

    def _land(self) -> None:
        flight, self._flight = self._flight, None
        if flight is not None:
            flight.land()

    async def _listen(self) -> None:
        """Returns when it is another worker's turn."""
        async with contextlib.aclosing(self._source.say()) as said:
            async for one in said:
                match one:
                    case Whole(values):
                        await self._take(values)
                        self._regain()
                    case Changed(keys, at):
                        await self._stamp(keys)
                        # Not with the whole, which may have taken longer to read than values are believed.
                        if at is not None:
                            self._generations.version = max(self._generations.version, int(at * 1e6))
                if self._flights is not None and self._flight is None:
                    return

    async def _take(self, values: Mapping[Key, Any]) -> None:
        """What is there now is all there is."""
        self._wholes += 1
        self._generations.stamp(self._names.everything, secrets.randbits(64))
        items = iter(values.items())
        while some := list(islice(items, _AT_ONCE)):
            await asyncio.gather(*(self._keep(key, Loaded(value, ENDLESS_S)) for key, value in some))

    async def _stamp(self, keys: tuple[Key, ...]) -> None:
        """Nobody is given these from now on; who asks fetches, and so do we."""
        self._changes += len(keys)
        pace = slices.Pace()
        for key in keys:
            self._generations.stamp(self._names.slot_of_key(key), secrets.randbits(64))
            if pace.is_over:  # of a hundred thousand that one command has changed
                await pace.rest()
        self._changed.update(dict.fromkeys(keys))
        if self._changed and (self._fetching is None or self._fetching.done()):
            self._fetching = tasks.start(self._fetch_changed(), f"fetch what has changed in cache {self._name}")

    async def _fetch_changed(self) -> None:
        while self._changed:
            some = list(islice(self._changed, _AT_ONCE))
            for key in some:
                del self._changed[key]
            try:
                await self._fetch(some)
            except Exception:  # noqa: BLE001 - of whatever source; who asks for them tries again, and is told
                self._failures += 1

    def _lose(self, error: Exception) -> None:
        self._pace.failed()
        self._losses += 1
        if not self._is_lost:
            self._is_lost = True
            message = f"cache {self._name} hears of no changes: {error}"
            self._say("cache_source_lost", f"{message}; its values go on for {self.bound_s:g} s", cache=self._name)

    def _regain(self) -> None:
        self._pace.succeeded()
        if self._is_lost:
            self._is_lost = False
            message = f"cache {self._name} has all of its source again"
            self._say("cache_source_back", message, level="info", cache=self._name)

    async def _look_at_age(self) -> None:
        """Ends what is too old, whoever of the machine should have listened."""
        ended = 0
        while True:
            known = self._generations.version
            if known != ended and self.age_s() > self.bound_s:
                ended = known
                self._generations.stamp(self._names.everything, known)  # the same from all workers, and so once
            await asyncio.sleep(_LOOK_S)

    def __repr__(self) -> str:
        return f"<Follower of {self._source!r}: {self.statistics()}>"


def _boot_s() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)
