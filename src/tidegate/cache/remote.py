"""The tier in Redis: what one machine has fetched, all others find.

A look-up asks for the beginning of a value only, and so learns how long it is before it asks for the rest. What is
longer than ``large_value`` is read in pieces on the lane for large values, one such value at a time on a machine, and
no faster than the budget says: a shared record of 20 MB never fills a link that others need.

What is written is guarded. A key has a *fence*, and a tag a *stamp*: random words that an invalidation changes. Whoever
loads has read them before, in the look-up that found nothing; his value is stored only if the fence is still the same,
and found only as long as the stamps are (the leases of Nishtala et al., "Scaling Memcache at Facebook", NSDI 2013).

All keys of one value are in one slot of a cluster.
"""

import asyncio
import contextlib
import secrets
import zlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

from tidegate.cache.assembly import Assembly
from tidegate.cache.envelope import HEAD_MAX, Found, Head, Ticket, looks_sealed, open_envelope, seal
from tidegate.cache.names import unwire, wire
from tidegate.cache.pacing import Pacing
from tidegate.cache.shelf import Key
from tidegate.cache.statistics import RemoteStatistics
from tidegate.redis.scripts import Script

if TYPE_CHECKING:
    from tidegate.cache.fetch import MachineFlights
    from tidegate.redis.link import Link

__all__ = ["Remote"]

_STEP: Final = 256 << 10  # of a checksum: a tenth of a millisecond
_LARGE_KNOWN: Final = 4096  # large keys whose size is remembered
_ALONE_S: Final = 30.0  # after which another may, if the one who reads has been stopped
_FENCE_S: Final = 900.0  # longer than any fetch that may have begun before it
LIFE_MAX_S: Final = 30 * 86400.0
"""How long a value is kept at the most; stamps of tags are kept for as long, and so end after the values under them."""

_STORE: Final = Script(
    """if (redis.call('GET', KEYS[2]) or '') ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1"""
)
_REMOVE: Final = Script(
    """if redis.call('GETRANGE', KEYS[1], 0, #ARGV[1] - 1) ~= ARGV[1] then return 0 end
return redis.call('UNLINK', KEYS[1])"""
)
"""Removes what begins so, and nothing that has taken its place meanwhile."""

_LISTED_MAX: Final = 10_000
_LIST: Final = Script(
    """local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -1 - ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[4])"""
)
"""Notes a key under a tag, by the time when its value ends; those that have ended go."""

_STORE_LARGE: Final = Script(
    """if (redis.call('GET', KEYS[2]) or '') ~= ARGV[1] then redis.call('UNLINK', KEYS[3]) return 0 end
if redis.call('EXISTS', KEYS[3]) == 0 then return 0 end
redis.call('RENAME', KEYS[3], KEYS[1])
return 1"""
)


class Remote:
    """One cache's part of a Redis.

    Args:
        link: To it.
        prefix: Before all keys.
        large_value: Bytes from which on a value is a large one.
        piece: Bytes of a large value that are on their way at once.
        pacing: The rate that large values keep.
        listed: Tags under which is noted which keys have them.
        say: Where it is said that a value is damaged.
        flights: Of the machine: of all its workers one reads or writes a large value at a time. Without them, of each.
    """

    def __init__(
        self,
        link: "Link",
        prefix: str,
        *,
        large_value: int,
        piece: int,
        pacing: Pacing,
        flights: "MachineFlights | None" = None,
        listed: Iterable[str] = (),
        say: Callable[..., None],
    ) -> None:
        self.link = link
        self._prefix = wire(prefix)
        self._changes = self._prefix + b"tags"
        self._large_value = large_value
        self._piece = piece
        self._pacing = pacing
        self._flights = flights
        self._say = say
        self._listed = frozenset(listed)
        self._one_at_a_time = asyncio.Lock()
        self._large: OrderedDict[Key, int] = OrderedDict()
        self._hits = self._misses = self._large_reads = self._stored = self._fenced = 0
        self._bytes_in = self._bytes_out = self.errors = 0

    # -- names ----------------------------------------------------------------------------------------------------

    def key(self, key: Key, what: str = "") -> bytes:
        """The key of a value, or of what belongs to it."""
        name = wire(key)
        # Braces with nothing between them are no hash tag: a cluster would hash the whole, and part value and fence.
        if not name or name[:1] in b"}\\":
            name = b"\\" + name
        return b"%b{%b}%b" % (self._prefix, name, wire(what))

    def tag(self, tag: str) -> bytes:
        """The key of a tag's stamp."""
        return b"%btag:{%b}" % (self._prefix, wire(tag))

    def tag_list(self, tag: str) -> bytes:
        """The key of what is noted of a tag: which keys have it."""
        return b"%bkeys:{%b}" % (self._prefix, wire(tag))

    # -- values ---------------------------------------------------------------------------------------------------

    async def look(self, key: Key, tags: Iterable[str]) -> tuple[Found | None, Ticket]:
        """The value of ``key`` if it is there and nothing it depends on has changed; and a ticket to store another.

        Args:
            key: Of the value.
            tags: Under which another would be stored.

        Raises GatewayError when Redis cannot say.
        """
        data, name, wanted = self.link.data, self.key(key), tuple(dict.fromkeys(tags))
        peek = HEAD_MAX if key in self._large else max(HEAD_MAX, self._large_value)
        # In this order: a value that is replaced in between is thought to end earlier than it does.
        left_ms, begin, fence, changes, *stamps = await asyncio.gather(
            data.call("PTTL", name),
            data.call("GETRANGE", name, 0, peek - 1),
            data.get(self.key(key, ":fence")),
            data.get(self._changes),
            *map(self._stamp_of, wanted),
        )
        self._bytes_in += len(begin)
        ticket = Ticket(fence or b"", dict(zip(wanted, stamps, strict=True)), changes or b"")
        found = await self._read(key, begin, left_ms, ticket)
        if found is None:
            self._misses += 1
        else:
            self._hits += 1
        return found, ticket

    async def store(
        self, key: Key, value: bytes, *, ttl_s: float, grace_s: float, load_s: float, is_negative: bool, ticket: Ticket
    ) -> bool:
        """Stores a value for as long as it may be given out; False when it was invalidated since the look-up.

        Raises GatewayError when Redis cannot take it.
        """
        life_s = min(LIFE_MAX_S, ttl_s + grace_s)
        head = Head(
            len(value),
            await _checksum(value),
            round(grace_s * 1000),
            round(load_s * 1000),
            is_negative,
            tuple(ticket.stamps),
            tuple(ticket.stamps.values()),
            secrets.token_bytes(8),
        )
        sealed, life_ms = seal(head), max(1, round(life_s * 1000))
        self._bytes_out += len(sealed) + len(value)
        if len(value) < self._large_value:
            args = (ticket.fence, sealed + value, life_ms)
            is_stored = await _STORE.run(self.link.data, [self.key(key), self.key(key, ":fence")], args)
        else:
            is_stored = await self._store_large(key, sealed, value, life_ms, ticket.fence)
        if is_stored:
            for tag in self._listed.intersection(head.tags):
                noted = (wire(key), life_ms, _LISTED_MAX, round(LIFE_MAX_S * 1000))
                await _LIST.run(self.link.data, [self.tag_list(tag)], noted)
        self._stored += bool(is_stored)
        self._fenced += not is_stored
        return bool(is_stored)

    async def with_tags(self, ticket: Ticket, tags: Iterable[str]) -> Ticket | None:
        """The ticket for a value with these tags; None: some tag was invalidated since, and it may be one of them."""
        new = [tag for tag in tags if tag not in ticket.stamps]
        if not new:
            return ticket
        # In this order: whoever invalidates a tag counts first.
        stamps = await asyncio.gather(*map(self._stamp_of, new))
        if (await self.link.data.get(self._changes) or b"") != ticket.changes:
            return None
        return ticket._replace(stamps=ticket.stamps | dict(zip(new, stamps, strict=True)))

    async def fence(self, key: Key, tags: Iterable[str] = ()) -> Ticket:
        """Changes the fence: what is being fetched anywhere for this key is not stored. The ticket is for another."""
        token, wanted = secrets.token_bytes(8), tuple(tags)
        await self.link.data.set(self.key(key, ":fence"), token, ttl_s=_FENCE_S)
        stamps = await asyncio.gather(*map(self._stamp_of, wanted))
        return Ticket(token, dict(zip(wanted, stamps, strict=True)), b"")

    async def invalidate(self, key: Key) -> None:
        """Nobody finds the value of ``key`` any more."""
        # One after the other: while a slot moves one of two commands may be sent on to another node and overtaken, and
        # what is stored between a deletion and the fence would stay.
        await self.fence(key)
        await self.link.data.delete(self.key(key))

    async def invalidate_tag(self, tag: str) -> None:
        """Nobody finds the values under ``tag`` any more; they end with their time."""
        await self.link.data.incr(self._changes)
        await self.link.data.set(self.tag(tag), secrets.token_bytes(8), ttl_s=LIFE_MAX_S)
        if tag in self._listed:
            await self.link.data.delete(self.tag_list(tag))

    async def keys_under(self, tag: str) -> list[Key]:
        """Keys whose values have a tag that is among the listed, the last to end first; some may have gone."""
        noted: list[bytes] = await self.link.data.call("ZREVRANGE", self.tag_list(tag), 0, _LISTED_MAX - 1)
        return [unwire(key) for key in noted]

    def statistics(self) -> RemoteStatistics:
        """What was asked of Redis."""
        return RemoteStatistics(
            self._hits,
            self._misses,
            self._large_reads,
            self._stored,
            self._fenced,
            self._bytes_in,
            self._bytes_out,
            self.errors,
        )

    # -- inside ---------------------------------------------------------------------------------------------------

    async def _read(self, key: Key, begin: bytes, left_ms: int, ticket: Ticket) -> Found | None:
        opened = open_envelope(begin)
        if opened is None and looks_sealed(begin):
            await self._remove(key, begin[:HEAD_MAX], "its head cannot be read")
        if opened is None or left_ms < 0:
            return None
        head, at = opened
        if not await self._is_good(head, ticket):
            return None
        value: bytes | None = begin[at:]
        if len(begin) - at < head.size:
            self._remember(key, head.size)
            value = await self._read_large(key, begin, at, head)
        if value is None:
            return None
        if len(value) != head.size or await _checksum(value) != head.crc:
            await self._remove(key, begin[:at], "it is not what was stored")
            return None
        left_s = (left_ms - head.grace_ms) / 1000
        return Found(value, left_s, head.load_ms / 1000, head.is_negative, head.tags)

    async def _is_good(self, head: Head, ticket: Ticket) -> bool:
        """Whether no tag of the value was invalidated since its fetch began."""
        unread = [tag for tag in head.tags if tag not in ticket.stamps]
        stamps = await asyncio.gather(*map(self._stamp_of, unread))
        known = ticket.stamps | dict(zip(unread, stamps, strict=True))
        return all(known[tag] == stamp for tag, stamp in zip(head.tags, head.stamps, strict=True))

    async def _stamp_of(self, tag: str) -> bytes:
        return await self.link.data.get(self.tag(tag)) or b""

    async def _read_large(self, key: Key, begin: bytes, at: int, head: Head) -> bytes | None:
        """The whole value, of which the beginning is there; None when it was replaced meanwhile."""
        async with self._alone():
            self._large_reads += 1
            # Before there is room made for it: what the head says may be damaged.
            if await self.link.bulk.call("STRLEN", self.key(key)) != at + head.size:
                await self._remove(key, begin[:at], f"it is not of the {head.size} bytes that its head says")
                return None
            whole = Assembly(head.size)
            whole.add(begin[at:])
            while whole.filled < head.size:
                got, size = whole.filled, min(self._piece, head.size - whole.filled)
                await self._pace(size)
                piece = await self.link.bulk.call("GETRANGE", self.key(key), at + got, at + got + size - 1)
                if len(piece) != size:
                    return None
                whole.add(piece)
                self._bytes_in += size
            # Each writing has a nonce of its own: the same head before and after is the same value all along.
            again = await self.link.bulk.call("GETRANGE", self.key(key), 0, at - 1)
        return whole.take() if again == begin[:at] else None

    async def _remove(self, key: Key, begin: bytes, why: str) -> None:
        """Removes a damaged value, so that the next takes its place."""
        self.errors += 1
        if await _REMOVE.run(self.link.data, [self.key(key)], [begin]):
            what = f"a value of the cache in redis {self.link.name} is damaged and was removed: {key!r}, {why}"
            self._say("cache_value_damaged", what, redis=self.link.name)

    async def _store_large(self, key: Key, sealed: bytes, value: bytes, life_ms: int, fence: bytes) -> Any:
        """Writes it in pieces beside the key, and moves it there when it is whole."""
        self._remember(key, len(value))
        beside = self.key(key, f":{secrets.token_hex(8)}")
        names = [self.key(key), self.key(key, ":fence"), beside]
        whole = memoryview(value)
        async with self._alone():
            await self.link.bulk.call("SET", beside, sealed, "PX", life_ms)
            for at in range(0, len(value), self._piece):
                piece = whole[at : at + self._piece]
                await self._pace(len(piece))
                await self.link.bulk.call("APPEND", beside, piece)
            return await _STORE_LARGE.run(self.link.bulk, names, (fence,))

    @contextlib.asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        """While no other caller of this machine reads or writes a large value over this link."""
        async with self._one_at_a_time:
            flight, name = None, b"large values of %b" % self.link.name.encode()
            while self._flights is not None and (flight := self._flights.lead(name, _ALONE_S)) is None:
                await self._flights.wait(name)
            try:
                yield
            finally:
                if flight is not None:
                    flight.land()

    async def _pace(self, size: int) -> None:
        wait_s = self._pacing.take(asyncio.get_running_loop().time(), size)
        if wait_s > 0:
            await asyncio.sleep(wait_s)

    def _remember(self, key: Key, size: int) -> None:
        self._large[key] = size
        self._large.move_to_end(key)
        if len(self._large) > _LARGE_KNOWN:
            self._large.popitem(last=False)

    def __repr__(self) -> str:
        return f"<Remote {self._prefix.decode(errors='replace')}: {self.statistics()}>"


async def _checksum(value: bytes) -> int:
    """CRC-32, of a large value in steps between which others have the loop."""
    found, whole = 0, memoryview(value)
    for at in range(0, len(value), _STEP):
        found = zlib.crc32(whole[at : at + _STEP], found)
        if at + _STEP < len(value):
            await asyncio.sleep(0)
    return found
