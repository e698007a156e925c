"""The way of a key that is not at hand: to the machine's store, to Redis, and to the origin if it is in neither.

Where there is a place that others find its value in, a fetch is for all workers of the machine: one leads, the others
look again when it has landed. It lands when the value has been stored, which nobody who waits for the value waits for.
With ``single_flight = "fleet"`` the leader takes a lease in Redis before he asks the origin.

When Redis is away everybody fetches for himself, and what is fetched is not stored.
"""

import asyncio
import random
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol

from tidegate.cache.codec import Codec, decoded
from tidegate.cache.envelope import Ticket
from tidegate.cache.flights import Call, NotKnown
from tidegate.cache.limit import Limit
from tidegate.cache.loaded import Loaded, NeedsTask, Question
from tidegate.cache.making import Maker, Mark
from tidegate.cache.shelf import Entry, Key
from tidegate.errors import GatewayError, Kind, Source
from tidegate.net.later import Later
from tidegate.process import tasks
from tidegate.redis.errors import ReplyError

if TYPE_CHECKING:
    # What stands on the link is loaded by workers that have one.
    from tidegate.cache.lease import Lease
    from tidegate.cache.machine import MachineTier
    from tidegate.cache.remote import Remote
    from tidegate.config.cache import Cache as Settings

__all__ = ["Fetcher", "Flight", "MachineFlights"]

_NEWER: Final = 0.1
"""Part of its life by which a value has to end later than another to be a newer one."""

_RETRY_S: Final = 1.0
"""After a fetch that failed, how long a stale value is given out without trying again."""


class Flight(Protocol):
    """The right to fetch a key for the machine."""

    def land(self) -> bool:
        """Ends it."""


class MachineFlights(Protocol):
    """Who fetches a key for all workers of the machine."""

    def lead(self, key: bytes, lease_s: float) -> Flight | None:
        """The flight of a key that nobody fetches now."""

    async def wait(self, key: bytes) -> None:
        """Returns when nobody fetches the key any more."""


class Fetcher:
    """Fetches for one cache in one worker.

    Args:
        name: Of the cache.
        settings: The checked configuration.
        maker: Of its entries.
        keep: Puts an entry on the shelf.
        codec: What values are in other tiers.
        chance: For pauses.
        flights: Those of the machine; without them each worker fetches for itself.
        machine: The tier of the machine.
    """

    def __init__(
        self,
        name: str,
        settings: "Settings",
        maker: Maker,
        keep: Callable[[Entry], None],
        *,
        codec: Codec,
        chance: random.Random,
        flights: MachineFlights | None = None,
        machine: "MachineTier | None" = None,
    ) -> None:
        self.settings = settings
        self.remote: Remote | None = None  # the tier in Redis, when there is one
        self.loads = self.load_failures = self.led = 0
        self.load_total_s = 0.0
        self._name = name
        self._maker = maker
        self._keep = keep
        self._codec = codec
        self._chance = chance
        self._flights = flights
        self._machine = machine
        self._copying: set[Key] = set()  # large values of the machine that a flight is to copy, or copies
        self._limit = Limit(settings.load_timeout)

    async def fetch(self, key: Key, call: Call) -> Entry:
        """An entry newer than the one that the caller has.

        Raises NotKnown when it is nowhere and the caller has no ``load``, and what that raises.
        """
        if self.remote is None and self._machine is None:
            loaded, mark = await self._load(key, call)
            return self._kept(*self._maker.of_loaded(key, loaded, mark))
        if self._flights is None or self.settings.single_flight == "worker":
            return await self._fetch_for_all(key, call, None)
        name = self._maker.flight_name(key)
        while (flight := self._flights.lead(name, self._lease_s)) is None:
            await self._flights.wait(name)
            entry, _ = await self._look(key, call)
            if entry is not None:
                return entry
        return await self._fetch_for_all(key, call, flight)

    def begin(self, key: Key, call: Call) -> Later[Entry] | None:
        """The same for a question that only the origin can answer, without a task; None: it takes one."""
        question = call.load
        if not isinstance(question, Question) or self.remote is not None or self._machine is not None:
            return None
        later = question.ask()
        if later is None:
            return None
        self.loads += 1
        mark = self._maker.mark(key, call.tags)
        return Later(later.future, partial(self._answered, key, call, mark, later.then))

    def find(self, key: Key, older: Entry | None = None) -> Entry | None:
        """What the machine has, kept, if it may be given out without a wait."""
        if self._machine is None or key in self._copying:
            return None
        found = self._machine.find(key, self._maker.now(), self._maker.lifetimes, self._codec)
        if found is None:
            return None
        if isinstance(found, Entry):
            return self._to_give_out(found, older)
        self._copying.add(key)  # who asks next need not look, but waits for the flight
        return None

    async def put(self, key: Key, loaded: Loaded) -> None:
        """Stores a value that was not fetched. Raises GatewayError when Redis is away."""
        entry = self._kept(*self._maker.of_loaded(key, loaded, self._maker.mark(key, loaded.tags)))
        if self.remote is None and self._machine is None:
            return
        data = self._encode(entry.value)
        if self._machine is not None:
            await self._machine.put(entry, data, self._maker.now())
        if self.remote is not None:
            await self._send(self.remote, entry, data, await self.remote.fence(key, loaded.tags))

    async def drop(self, key: Key) -> None:
        """Takes a value off the machine; it was invalidated."""
        if self._machine is not None:
            await self._machine.drop(key)

    async def keys_under(self, tags: Iterable[str]) -> list[Key]:
        """Keys in Redis of values with these tags, of those that `preload_tags` names. Raises GatewayError."""
        if self.remote is None:
            return []
        listed = [await self.remote.keys_under(tag) for tag in tags]
        return list(dict.fromkeys(key for keys in listed for key in keys))

    # -- inside ---------------------------------------------------------------------------------------------------

    @property
    def _lease_s(self) -> float:
        """Longer than a fetch with its storing takes; one that dies is followed earlier, when it is reaped."""
        return 2 * self.settings.load_timeout

    async def _fetch_for_all(self, key: Key, call: Call, flight: Flight | None) -> Entry:
        held: Lease | None = None
        try:
            entry, ticket = await self._look(key, call)
            while entry is None and ticket is not None and held is None and self._is_for_fleet(call):
                try:
                    held = await self._take_lease(key)
                except (GatewayError, ReplyError):  # it cannot say, or takes nothing: every machine for itself
                    self._count_error()
                    break
                if held is None:  # another machine fetches it, or has just fetched it
                    entry, ticket = await self._look(key, call)
            if entry is not None:
                return entry
            loaded, mark = await self._load(key, call)
            data = self._encode(loaded.value)
            made, is_good = self._maker.of_loaded(key, loaded, mark)
            if is_good:
                storing = self._store(made, data, ticket, held, flight)
                tasks.start(storing, f"store {key!r}")
                held = flight = None
            return self._kept(made, is_good)
        finally:
            if flight is not None:
                flight.land()
            if held is not None:
                tasks.start(held.release(), f"release {key!r}")

    def _is_for_fleet(self, call: Call) -> bool:
        return self.settings.single_flight == "fleet" and call.load is not None

    async def _take_lease(self, key: Key) -> "Lease | None":
        from tidegate.cache.lease import lease, pause

        remote = self.remote
        if remote is None:  # taken away by a reload: nobody to agree with
            return None
        held = await lease(remote.link.control, remote.key(key, ":lease"))
        if held is None:
            await pause(self._chance)
        return held

    async def _look(self, key: Key, call: Call) -> tuple[Entry | None, Ticket | None]:
        """What is in other tiers, if it is newer than what the caller has; no ticket: Redis could not be asked."""
        entry = await self._find_any(key, call.older)
        if entry is not None or self.remote is None:
            return entry, None
        return await self._look_afar(key, call, self.remote)

    async def _find_any(self, key: Key, older: Entry | None) -> Entry | None:
        """What the machine has, the large included."""
        if self._machine is None:
            return None
        of = self._maker.now(), self._maker.lifetimes, self._codec
        try:
            found = self._machine.find(key, *of)
            if found is not None and not isinstance(found, Entry):
                found = await self._machine.copy(key, found, *of)
            return None if found is None else self._to_give_out(found, older)
        finally:
            self._copying.discard(key)

    def _to_give_out(self, entry: Entry, older: Entry | None) -> Entry | None:
        """An entry of another tier, kept if it is newer than what the caller has; None: it is not enough for him."""
        if older is not None and not _is_newer(entry, older):
            return None
        self._keep(entry)
        return entry if _is_enough(entry, older) else None

    async def _look_afar(
        self, key: Key, call: Call, remote: "Remote", *, is_again: bool = False
    ) -> tuple[Entry | None, Ticket | None]:
        mark = self._maker.mark(key, call.tags)
        try:
            found, ticket = await remote.look(key, call.tags)
            if found is None:
                return None, ticket
        except (GatewayError, ReplyError):
            remote.errors += 1
            return None, None
        try:
            value = None if found.is_negative else await decoded(self._codec, found.value)
        except (ValueError, RecursionError):  # whole, and of another codec: what is fetched now takes its place
            remote.errors += 1
            return None, ticket
        entry, is_good = self._maker.of_found(key, value, found, mark)
        if call.older is not None and not _is_newer(entry, call.older):
            return None, ticket
        if not is_good:
            # Something that may concern it was invalidated while it was read: what is there now is asked for once more.
            return (None, ticket) if is_again else await self._look_afar(key, call, remote, is_again=True)
        self._keep(entry)
        if self._machine is not None:
            await self._machine.put(entry, found.value, self._maker.now())
        return (entry if _is_enough(entry, call.older) else None), ticket

    async def _load(self, key: Key, call: Call) -> tuple[Loaded, Mark]:
        if call.load is None:
            raise NotKnown(key)
        mark = self._maker.mark(key, call.tags)
        self.loads += 1
        if self._limit.seconds != self.settings.load_timeout:
            self._limit = Limit(self.settings.load_timeout)  # by a reload; who has begun keeps his
        run = self._limit.run()
        try:
            with run:
                found = await call.load(key)
        except BaseException as error:
            self._count_failure(call)
            if not (isinstance(error, TimeoutError) and run.is_over):
                raise
            what = f"{self._name}: the load of {key!r} took more than {self.settings.load_timeout:g} s"
            raise GatewayError(Kind.CONNECTION_READ_TIMEOUT, what, source=Source.INTERNAL, cause=error) from error
        finally:
            self.load_total_s += self._maker.now() - mark.at
        return _loaded(found, call), mark

    def _answered(
        self,
        key: Key,
        call: Call,
        mark: Mark,
        then: Callable[[asyncio.Future[Any]], Any],
        answer: asyncio.Future[Any],
    ) -> Entry:
        """What was asked without a task, kept."""
        try:
            found = then(answer)
        except NeedsTask:
            self.loads -= 1  # it is made once more, as a whole
            raise
        except BaseException:
            self._count_failure(call)
            raise
        finally:
            self.load_total_s += self._maker.now() - mark.at
        return self._kept(*self._maker.of_loaded(key, _loaded(found, call), mark))

    def _count_failure(self, call: Call) -> None:
        self.load_failures += 1
        if call.older is not None:
            call.older.retry_at = self._maker.now() + _RETRY_S

    def _kept(self, entry: Entry, is_good: bool) -> Entry:
        if is_good:
            self._keep(entry)
        return entry

    def _encode(self, value: Any) -> bytes:
        return b"" if value is None else self._codec.encode(value)

    async def _store(
        self, entry: Entry, data: bytes, ticket: Ticket | None, held: "Lease | None", flight: Flight | None
    ) -> None:
        """Lets all others find it, and only then ends what keeps them from fetching it themselves."""
        remote = self.remote
        try:
            if self._machine is not None:
                await self._machine.put(entry, data, self._maker.now())
                if flight is not None:
                    flight.land()
            if remote is not None and ticket is not None:
                complete = await remote.with_tags(ticket, entry.tags)
                if complete is not None:
                    await self._send(remote, entry, data, complete)
        except (GatewayError, ReplyError, ValueError):
            self._count_error()
        finally:
            if flight is not None:
                flight.land()
            if held is not None:
                await held.release()

    def _count_error(self) -> None:
        if self.remote is not None:
            self.remote.errors += 1

    async def _send(self, remote: "Remote", entry: Entry, data: bytes, ticket: Ticket) -> None:
        await remote.store(
            entry.key,
            data,
            ttl_s=entry.fresh_until - entry.came_at,
            grace_s=entry.error_until - entry.fresh_until,
            load_s=entry.load_s,
            is_negative=entry.value is None,
            ticket=ticket,
        )

    def __repr__(self) -> str:
        return f"<Fetcher of {self._name}: {self.loads} loads, {self.remote!r}>"


def _loaded(found: Any, call: Call) -> Loaded:
    """What a load has returned, with what the caller says of it."""
    if not isinstance(found, Loaded):
        return Loaded(found, call.ttl_s, call.tags)
    tags = found.tags
    if call.tags:
        tags = (*call.tags, *(tag for tag in tags if tag not in call.tags))
    return Loaded(found.value, call.ttl_s if found.ttl is None else found.ttl, tags)


def _is_newer(entry: Entry, older: Entry) -> bool:
    """Whether it is another writing of the value: when one ends is known to a few milliseconds only."""
    return entry.fresh_until > older.fresh_until + _NEWER * (older.fresh_until - older.came_at)


def _is_enough(entry: Entry, older: Entry | None) -> bool:
    """Whether nobody has to be asked: one that has ended is given out once, and who asks next has it fetched again."""
    return entry.fresh_until > entry.came_at or (older is None and entry.stale_until > entry.came_at)
