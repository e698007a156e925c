"""What callers see of a cache: ``await cache.get(key, load=…)``, and what changes what is in it.

A value that is on the shelf and fresh is there at once. One that has just ended is given out too, if the configuration
says so, while one flight fetches it again. All else waits for the flight of its key. What a flight brings is judged by
the marks that were taken before it began: a value that was invalidated meanwhile is given to those who waited for it,
and to nobody who comes later.
"""

import asyncio
import random
import secrets
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tidegate.cache.codec import codec_named
from tidegate.cache.fetch import Fetcher, MachineFlights
from tidegate.cache.flights import Call, Flights, NotKnown
from tidegate.cache.freshness import Lifetimes, is_due_early
from tidegate.cache.loaded import Loaded
from tidegate.cache.making import Maker
from tidegate.cache.names import Names
from tidegate.cache.pacing import Pacing
from tidegate.cache.patience import Patience
from tidegate.cache.shelf import Entry, Key, Shelf
from tidegate.cache.space import Space
from tidegate.cache.statistics import CacheStatistics, RemoteStatistics, TierStatistics
from tidegate.cache.untold import Invalidation, Untold
from tidegate.config.cache import Cache as Settings
from tidegate.errors import GatewayError, Kind, Source
from tidegate.memory.generations import GENERATIONS_SIZE, Generations
from tidegate.net.later import Later

if TYPE_CHECKING:
    from tidegate.cache.bus import Bus
    from tidegate.cache.follower import Follower
    from tidegate.cache.follower import Source as Watched
    from tidegate.cache.machine import MachineTier
    from tidegate.redis.link import Link

__all__ = ["Cache"]

_AT_ONCE: Final = 64
"""Keys that a preload looks for at the same time: each is a few commands, and lanes have bounds."""

Load = Callable[[Any], Awaitable[Any]]


def _unsaid(kind: str, message: str, **fields: object) -> None:
    """For who keeps no log."""


class Cache(Shelf):
    """One cache, as one worker has it.

    Args:
        name: Of ``[cache.NAME]``.
        settings: The checked configuration.
        generations: Where invalidations are seen by all workers.
        link: To the Redis that it says.
        flights: Those of the machine.
        machine: The tier of the machine; its generations are then those of this cache.
        chance: Random numbers, for jitter and early refresh.
        clock: Seconds, for tests.
        say: Where it is said what is lost for a while, and when it is back.
    """

    def __init__(
        self,
        name: str,
        settings: Settings,
        generations: Generations,
        *,
        link: "Link | None" = None,
        flights: MachineFlights | None = None,
        machine: "MachineTier | None" = None,
        chance: random.Random | None = None,
        clock: Callable[[], float] | None = None,
        say: Callable[..., None] = _unsaid,
    ) -> None:
        if machine is not None:
            generations = machine.generations
        elif settings.watch is not None or settings.watch_file is not None:
            # What each worker hears by itself is its own matter: a stamp of another would end what it has just fetched.
            generations = Generations(bytearray(GENERATIONS_SIZE))
        super().__init__(generations, clock)
        self.name = name
        self._prefix = prefix_of(name, settings)
        self._names = Names(self._prefix)
        self._chance = chance or random.Random()
        self._space = Space(self.entries, settings.memory)
        self._machine = machine
        self._machine_flights = flights
        self._maker = Maker(self._names, self.generations, self.now, self._chance)
        self._codec = codec_named(settings.codec)
        self._fetcher = Fetcher(
            name,
            settings,
            self._maker,
            self._put,
            codec=self._codec,
            chance=self._chance,
            flights=flights,
            machine=machine,
        )
        self._flights = Flights(self._fetcher.fetch, self._fetcher.begin)
        self._patience = Patience()
        self._say = say
        self._untold = Untold(name, self._tell_redis, say, self._chance)
        self._bus: Bus | None = None
        self._follower: Follower | None = None
        self._connected: tuple[object, ...] = (None,)
        self._misses = self._stale = self._stale_if_error = self._refreshes = self._invalidations = 0
        self.configure(settings, link)

    def configure(self, settings: Settings, link: "Link | None" = None) -> None:
        """Goes on with other settings; what is there stays, and ends when it would have."""
        self.settings = self._fetcher.settings = settings
        self._maker.lifetimes = Lifetimes(
            settings.ttl,
            settings.negative_ttl,
            settings.stale_while_revalidate,
            settings.stale_if_error,
            settings.jitter,
            settings.early_refresh,
        )
        self._space.resize(settings.memory)
        self._connect(settings, link)

    # -- for callers ----------------------------------------------------------------------------------------------

    def miss(
        self, key: Key, load: Load | None, ttl: float | None, tags: Iterable[str], timeout: float | None
    ) -> Awaitable[Any]:
        """What ``get`` returns when it takes more than a look: an entry that may still be given out, or a ``Later``."""
        now = self.now()
        entry = self.entries.get(key)
        if entry is not None and not self.is_current(entry):
            self._space.drop(key)
            entry = None
        if self._follower is not None:
            load = self._follower.load  # what a source is watched for comes from there, whoever asks
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
        if self._machine is not None and (found := self._fetcher.find(key, entry)) is not None:
            return found
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

    @property
    def has_preload(self) -> bool:
        """Whether there is something to be had before anybody asks."""
        return bool(self._follower is not None or self.settings.preload or self.settings.preload_tags)

    async def preload(self) -> int:
        """Finds what the settings name in other tiers before anybody asks; how many values there were.

        What other machines have invalidated is heard of first: it would be forgotten again. A source that is watched
        is read whole.
        """
        if self._follower is not None:
            await self._follower.ready()
            return len(self.entries)
        if self._bus is not None:
            await self._bus.asked.wait()
        found = await self._find_all(self.settings.preload)
        return found + await self._find_all(await self._fetcher.keys_under(self.settings.preload_tags))

    async def set(self, key: Key, value: Any, *, ttl: float | None = None, tags: Iterable[str] = ()) -> None:
        """Puts a value in, known from elsewhere; what is being fetched for this key is not kept.

        Raises NotTold when others could not be told, as `invalidate` does; RuntimeError when the cache watches a
        source, which is where its values come from.
        """
        if self._follower is not None:
            raise RuntimeError(f"cache {self.name} has what its source has: {key!r} has to be set there")
        slot = self._names.slot_of_key(key)
        self._begin_invalidation(slot)
        try:
            await self._fetcher.put(key, Loaded(value, ttl, _tuple(tags)))
            await self._tell(slot)
        except GatewayError as error:
            raise self._untold.keep(Invalidation(key), error) from error

    async def invalidate(self, key: Key) -> None:
        """The value of ``key`` is given to nobody who asks from now on.

        Raises NotTold, a GatewayError, when Redis could not be told: what this machine has is gone all the same, but
        others go on with what they have until Redis is back and is told by itself; `is_kept` says that it will be.
        """
        self._space.drop(key)
        self._begin_invalidation(self._names.slot_of_key(key))
        await self._fetcher.drop(key)
        await self._make_known(Invalidation(key))

    async def invalidate_tag(self, tag: str) -> None:
        """The same for all values under this tag."""
        self._begin_invalidation(self._names.slot_of_tag(tag))
        await self._make_known(Invalidation(tag=tag))

    def pin(self, key: Key) -> None:
        """The value of ``key``, once it is there, makes room for no other; pinned ones have half of ``memory``."""
        self._space.pin(key)

    def unpin(self, key: Key) -> None:
        """It is one like the others again."""
        self._space.unpin(key)

    def touch_machine(self) -> None:
        """Tells the machine's store which large values are used here.

        Who has a value at hand does not look there, and the store gives up what nobody has looked for longest: a flood
        of others would take the value that all workers use away from the next worker that begins.
        """
        if self._machine is not None:
            for key in self._space.used_large():
                self._machine.touch(key)

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
            loads=self._fetcher.loads,
            load_failures=self._fetcher.load_failures,
            load_total_s=self._fetcher.load_total_s,
            invalidations=self._invalidations,
            untold=len(self._untold),
            told_late=self._untold.told,
            never_told=self._untold.lost,
            machine=None if self._machine is None else self._machine.statistics(),
            redis=self._redis_statistics(),
            source=None if self._follower is None else self._follower.statistics(),
        )

    def retire(self) -> None:
        """Hears nothing more and forgets everything; who waits, from a snapshot before, gets what he waits for."""
        self._disconnect()
        self._space.clear()

    def close(self) -> None:
        """The same, and ends what is under way."""
        self.retire()
        self._flights.close()

    # -- inside ---------------------------------------------------------------------------------------------------

    async def _find_all(self, keys: Sequence[Key]) -> int:
        found = 0
        for at in range(0, len(keys), _AT_ONCE):
            values = await self.get_many(keys[at : at + _AT_ONCE])
            found += sum(value is not None for value in values.values())
        return found

    def _is_chosen(self, entry: Entry, now: float) -> bool:
        eagerness = self._maker.lifetimes.eagerness
        return now >= entry.retry_at and is_due_early(
            now, entry.fresh_until, entry.load_s, eagerness, self._chance.random()
        )

    def _wait(self, key: Key, call: Call, timeout_s: float) -> Later[Any]:
        if call.load is None and self._fetcher.remote is None and self._machine is None and key not in self._flights:
            nothing: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            nothing.set_result(None)
            return Later(nothing, _none)
        landing = self._flights.join(key, call)
        # The future fails, instead of a task being cancelled as by `asyncio.timeout`: that costs twice as much.
        self._patience.bound(landing, timeout_s, partial(self._gave_up, key, timeout_s))
        return Later(landing, partial(self._landed, key, call.older))

    def _landed(self, key: Key, older: Entry | None, landing: "asyncio.Future[Entry]") -> Any:
        try:
            return landing.result().value
        except NotKnown:
            return None
        except Exception:
            older = self.entries.get(key, older)
            if older is not None and self.now() < older.error_until and self.is_current(older):
                self._stale_if_error += 1
                return older.value
            raise

    def _gave_up(self, key: Key, timeout_s: float) -> GatewayError:
        what = f"{self.name}: {key!r} was not there within {timeout_s:g} s"
        return GatewayError(Kind.CONNECTION_READ_TIMEOUT, what, source=Source.INTERNAL)

    def _put(self, entry: Entry) -> None:
        entry.uses = max(0, self._flights.waiting(entry.key) - 1)  # who waits for it beside the first uses it too
        self._space.put(entry)

    def _redis_statistics(self) -> RemoteStatistics | None:
        remote, bus = self._fetcher.remote, self._bus
        return None if remote is None or bus is None else remote.statistics()._replace(gaps=bus.gaps)

    def _begin_invalidation(self, slot: int) -> None:
        self._invalidations += 1
        self.generations.stamp(slot, secrets.randbits(64))

    async def _make_known(self, what: Invalidation) -> None:
        try:
            await self._tell_redis(what)
        except GatewayError as error:
            raise self._untold.keep(what, error) from error

    async def _tell_redis(self, what: Invalidation) -> None:
        """Redis first, then all who listen: whoever hears of it finds nothing there."""
        remote = self._fetcher.remote
        if remote is None:
            return
        if what.tag is not None:
            await remote.invalidate_tag(what.tag)
            await self._tell(self._names.slot_of_tag(what.tag))
        elif what.key is not None:
            await remote.invalidate(what.key)
            await self._tell(self._names.slot_of_key(what.key))

    async def _tell(self, slot: int) -> None:
        """After Redis has changed: what other workers found there since the invalidation began is not good either."""
        if self._bus is not None:
            stamp = secrets.randbits(64)
            self.generations.stamp(slot, stamp)
            await self._bus.tell(slot, stamp)

    def _connect(self, settings: Settings, link: "Link | None") -> None:
        """Goes on with the tier in Redis that the settings say; what stays the same is not touched."""
        if self._follower is not None:
            self._follower.bound_s = _bound_s(settings)
        pieces = (settings.large_value, settings.redis_in_flight, settings.redis_bytes_per_s)
        wanted = (link, *pieces, settings.preload_tags)
        if wanted == self._connected:
            return
        is_new, self._connected = wanted[0] is not self._connected[0], wanted
        if is_new:
            self._disconnect()
        if self._follower is not None:
            return
        source = self._source_in(settings, link)
        if source is not None:
            self._follow(source, settings)
            return
        if link is None:
            return
        from tidegate.cache.bus import Bus
        from tidegate.cache.remote import Remote

        self._fetcher.remote = Remote(
            link,
            self._prefix,
            large_value=settings.large_value,
            piece=settings.redis_in_flight,
            pacing=Pacing(settings.redis_bytes_per_s),
            flights=self._machine_flights,
            listed=settings.preload_tags,
            say=self._say,
        )
        if is_new:
            forget = self._space.clear if self._machine is None else None
            self._bus = Bus(link, self._prefix, self._names, self.generations, forget)

    def _source_in(self, settings: Settings, link: "Link | None") -> "Watched | None":
        """What is watched, if anything."""
        if settings.watch_file is not None:
            from tidegate.cache.file_members import FileMembers

            return FileMembers(Path(settings.watch_file))
        if settings.watch is not None and link is not None:
            from tidegate.cache.redis_keys import RedisKeys

            return RedisKeys(link, settings.watch, self._codec)
        return None

    def _follow(self, source: "Watched", settings: Settings) -> None:
        """Has all of it from now on."""
        from tidegate.cache.follower import Follower

        self._follower = Follower(
            self.name,
            source,
            self._names,
            self.generations,
            keep=self._fetcher.put,
            fetch=self.get_many,
            bound_s=_bound_s(settings),
            flights=None if self._machine is None else self._machine_flights,
            say=self._say,
            chance=self._chance,
        )

    def _disconnect(self) -> None:
        self._fetcher.remote = None
        self._untold.close()
        if self._follower is not None:
            self._follower.close()
            self._follower = None
        if self._bus is not None:
            self._bus.close()
            self._bus = None

    def __repr__(self) -> str:
        return f"<Cache {self.name}: {self.statistics()}>"


def _bound_s(settings: Settings) -> float:
    """How long what a source has said is believed when it says nothing more."""
    return settings.ttl + settings.stale_if_error


def _none(_: object) -> None:
    """There is nothing, and nobody who could fetch it."""


def _tuple(tags: Iterable[str]) -> tuple[str, ...]:
    return (tags,) if isinstance(tags, str) else tuple(tags)


def prefix_of(name: str, settings: Settings) -> str:
    """What the keys of a cache begin with, in Redis."""
    return settings.prefix if settings.prefix is not None else f"cache:{name}:"
