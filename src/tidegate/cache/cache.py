"""What callers see of a cache: ``await cache.get(key, load=…)``, and what changes what is in it.

A value that is on the shelf and fresh is there at once. One that has just ended is given out too, if the configuration
says so, while one flight fetches it again. All else waits for the flight of its key. What a flight brings is judged by
the marks that were taken before it began: a value that was invalidated meanwhile is given to those who waited for it,
and to nobody who comes later.
"""

import asyncio
import random
import secrets
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, NamedTuple

from tidegate.cache.flights import Call, Flights, NotKnown
from tidegate.cache.freshness import Lifetimes, is_due_early
from tidegate.cache.loaded import Loaded
from tidegate.cache.names import Names
from tidegate.cache.shelf import Entry, Key, Shelf
from tidegate.cache.sizes import ENTRY_BYTES, size_of
from tidegate.cache.space import Space
from tidegate.cache.statistics import CacheStatistics, TierStatistics
from tidegate.config.cache import Cache as Settings
from tidegate.errors import GatewayError, Kind, Source
from tidegate.memory.generations import Generations

__all__ = ["Cache"]

_RETRY_S = 1.0
"""After a fetch that failed, how long a stale value is given out without trying again."""

Load = Callable[[Any], Awaitable[Any]]


class _Mark(NamedTuple):
    """When a fetch began, and what was invalidated until then."""

    at: float
    epoch: int
    slots: tuple[int, ...]
    marks: tuple[int, ...]


class Cache(Shelf):
    """One cache, as one worker has it.

    Args:
        name: Of ``[cache.NAME]``.
        settings: The checked configuration.
        generations: Where invalidations are seen by all workers.
        chance: Random numbers, for jitter and early refresh.
        clock: Seconds, for tests.
    """

    def __init__(
        self,
        name: str,
        settings: Settings,
        generations: Generations,
        *,
        chance: random.Random | None = None,
        clock: Callable[[], float] | None = None,
    ) -> None:
        super().__init__(generations, clock)
        self.name = name
        self._names = Names(name)
        self._chance = chance or random.Random()
        self._flights = Flights(self._fetch)
        self._space = Space(self.entries, settings.memory)
        self._misses = self._stale = self._stale_if_error = self._refreshes = 0
        self._loads = self._load_failures = self._invalidations = 0
        self._load_total_s = 0.0
        self.configure(settings)

    def configure(self, settings: Settings) -> None:
        """Goes on with other settings; what is there stays, and ends when it would have."""
        self.settings = settings
        self._lifetimes = Lifetimes(
            settings.ttl,
            settings.negative_ttl,
            settings.stale_while_revalidate,
            settings.stale_if_error,
            settings.jitter,
            settings.early_refresh,
        )
        self._space.resize(settings.memory)

    # -- for callers ----------------------------------------------------------------------------------------------

    def miss(
        self, key: Key, load: Load | None, ttl: float | None, tags: Iterable[str], timeout: float | None
    ) -> Awaitable[Any]:
        """What ``get`` returns when it takes more than a look: an entry that may still be given out, or the wait."""
        now = self.now()
        entry = self.entries.get(key)
        if entry is not None and not self.is_current(entry):
            self._space.drop(key)
            entry = None
        call = Call(load, ttl, _tuple(tags), entry)
        if entry is not None and now < entry.fresh_until:
            entry.uses += 1
            self.hits += 1
            if load is not None and self._is_chosen(entry, now):
                self._refreshes += self._flights.start(key, call)
            return entry
        if entry is not None and (now < entry.stale_until or now < min(entry.retry_at, entry.error_until)):
            entry.uses += 1
            self._stale += 1
            if load is not None and now >= entry.retry_at:
                self._refreshes += self._flights.start(key, call)
            return entry
        self._misses += 1
        return self._wait(key, call, self.settings.wait if timeout is None else timeout)

    async def get_many(
        self,
        keys: Iterable[Key],
        load: Load | None = None,
        *,
        ttl: float | None = None,
        tags: Iterable[str] = (),
        timeout: float | None = None,  # noqa: ASYNC109 - as of `get`
    ) -> dict[Key, Any]:
        """The values of several keys, each as `get` has it, fetched at the same time."""
        wanted = list(dict.fromkeys(keys))
        found = await asyncio.gather(*(self.get(key, load, ttl=ttl, tags=tags, timeout=timeout) for key in wanted))
        return dict(zip(wanted, found, strict=True))

    async def set(self, key: Key, value: Any, *, ttl: float | None = None, tags: Iterable[str] = ()) -> None:
        """Puts a value in, known from elsewhere; what is being fetched for this key is not kept."""
        self._stamp(self._names.slot_of_key(key))
        self._keep(key, Loaded(value, ttl, _tuple(tags)), self._mark(key, _tuple(tags)))

    async def invalidate(self, key: Key) -> None:
        """The value of ``key`` is given to nobody who asks from now on."""
        self._invalidations += 1
        self._space.drop(key)
        self._stamp(self._names.slot_of_key(key))

    async def invalidate_tag(self, tag: str) -> None:
        """The same for all values under this tag."""
        self._invalidations += 1
        self._stamp(self._names.slot_of_tag(tag))

    def pin(self, key: Key) -> None:
        """The value of ``key``, once it is there, makes room for no other; pinned ones have half of ``memory``."""
        self._space.pin(key)

    def unpin(self, key: Key) -> None:
        """It is one like the others again."""
        self._space.unpin(key)

    def statistics(self) -> CacheStatistics:
        """What it has done and what it has."""
        space = self._space.statistics()
        oldest = self._space.oldest_at()
        return CacheStatistics(
            name=self.name,
            worker=TierStatistics(
                hits=self.hits + self._stale + self._stale_if_error,
                misses=self._misses,
                entries=space.entries,
                bytes=space.bytes,
                evictions=space.evictions,
                age_s=0.0 if oldest is None else max(0.0, self.now() - oldest),
            ),
            collapsed=self._flights.collapsed,
            waiting=self._flights.total_waiting(),
            stale=self._stale,
            stale_if_error=self._stale_if_error,
            refreshes=self._refreshes,
            loads=self._loads,
            load_failures=self._load_failures,
            load_total_s=self._load_total_s,
            invalidations=self._invalidations,
        )

    def close(self) -> None:
        """Ends what is under way and forgets everything."""
        self._flights.close()
        self._space.clear()

    # -- inside ---------------------------------------------------------------------------------------------------

    def _is_chosen(self, entry: Entry, now: float) -> bool:
        eagerness = self._lifetimes.eagerness
        return now >= entry.retry_at and is_due_early(
            now, entry.fresh_until, entry.load_s, eagerness, self._chance.random()
        )

    async def _wait(self, key: Key, call: Call, timeout_s: float) -> Any:
        if call.load is None and key not in self._flights:
            return None
        error: Exception
        limit = asyncio.timeout(timeout_s)
        try:
            async with limit:
                return (await self._flights.join(key, call)).value
        except NotKnown:
            return None
        except Exception as failure:  # noqa: BLE001 - an older value may do, whatever it is
            error = failure
            if limit.expired():
                what = f"{self.name}: {key!r} was not there within {timeout_s:g} s"
                error = GatewayError(Kind.CONNECTION_READ_TIMEOUT, what, source=Source.INTERNAL, cause=failure)
        older = call.older
        if older is not None and self.now() < older.error_until and self.is_current(older):
            self._stale_if_error += 1
            return older.value
        raise error

    async def _fetch(self, key: Key, call: Call) -> Entry:
        """For the flights: a newer entry than the caller has."""
        if call.load is None:
            raise NotKnown(key)
        mark = self._mark(key, call.tags)
        self._loads += 1
        try:
            loaded = await self._load(key, call)
        except BaseException:
            self._load_failures += 1
            if call.older is not None:
                call.older.retry_at = self.now() + _RETRY_S
            raise
        finally:
            self._load_total_s += self.now() - mark.at
        return self._keep(key, loaded, mark)

    async def _load(self, key: Key, call: Call) -> Loaded:
        timeout_s = self.settings.load_timeout
        limit = asyncio.timeout(timeout_s)
        try:
            async with limit:
                found = await call.load(key) if call.load is not None else None
        except TimeoutError as late:
            if not limit.expired():
                raise  # its own
            what = f"{self.name}: the load of {key!r} took more than {timeout_s:g} s"
            raise GatewayError(Kind.CONNECTION_READ_TIMEOUT, what, source=Source.INTERNAL, cause=late) from late
        if not isinstance(found, Loaded):
            return Loaded(found, call.ttl_s, call.tags)
        tags = (*call.tags, *(tag for tag in found.tags if tag not in call.tags))
        return Loaded(found.value, call.ttl_s if found.ttl is None else found.ttl, tags)

    def _mark(self, key: Key, tags: tuple[str, ...]) -> _Mark:
        epoch = self.generations.current_epoch()  # first: what changes after it is seen to have changed
        slots = self._names.slots_of(key, tags)
        return _Mark(self.now(), epoch, slots, self.generations.read(slots))

    def _keep(self, key: Key, loaded: Loaded, mark: _Mark) -> Entry:
        """The entry of a value, on the shelf if it may stay there."""
        now, is_negative = self.now(), loaded.value is None
        times = self._lifetimes.times(mark.at, now, self._chance.random(), ttl_s=loaded.ttl, is_negative=is_negative)
        slots, marks, is_late = mark.slots, mark.marks, False
        if len(loaded.tags) > len(slots) - 2:
            # Under tags that were known only when it came: whether one of them was invalidated meanwhile is not known.
            slots = self._names.slots_of(key, loaded.tags)
            marks = self.generations.read(slots)
            is_late = self.generations.current_epoch() != mark.epoch
        size = ENTRY_BYTES + size_of(loaded.value)
        entry = Entry(key, loaded.value, size, times, now, loaded.tags, slots, marks)
        entry.uses = max(0, self._flights.waiting(key) - 1)  # who waits for it beside the first uses it too
        if times.error_until > now and not is_late and self.is_current(entry):
            self._space.put(entry)
        return entry

    def _stamp(self, slot: int) -> None:
        self.generations.stamp(slot, secrets.randbits(64))

    def __repr__(self) -> str:
        return f"<Cache {self.name}: {self.statistics()}>"


def _tuple(tags: Iterable[str]) -> tuple[str, ...]:
    return (tags,) if isinstance(tags, str) else tuple(tags)
