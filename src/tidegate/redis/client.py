"""The face of a link: the commands that the gateway uses, typed, and `Client.call` for all others.

Every method returns at once with something to await: the command is on its way, and commands that are called in one
turn of the loop travel together. Keys and values are bytes or text; what comes back is bytes.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from typing import Any, Protocol

from tidegate.redis.commands import LARGE, Argument

__all__ = ["Client", "Send"]

Key = str | bytes
Value = str | bytes | int | float | memoryview | bytearray


class Send(Protocol):
    """What takes a command to the right server."""

    def __call__(self, args: tuple[Argument, ...], /, timeout_s: float | None = None) -> asyncio.Future[Any]:
        """The future has the reply, or raises GatewayError."""


class Client:
    """Commands on one lane of a link.

    Args:
        sends: By lane.
        lane: ``control`` for what must never wait behind values, ``data``, or ``bulk`` for large values. A SET of a
            large value goes by ``bulk`` from ``data`` too.
        timeout_s: Until the reply, when not the lane's own.
    """

    __slots__ = ("_lane", "_send", "_send_large", "_sends", "_timeout_s")

    def __init__(self, sends: Mapping[str, Send], lane: str = "data", timeout_s: float | None = None) -> None:
        self._sends = sends
        self._lane = lane
        self._timeout_s = timeout_s
        self._send = _limited(sends[lane], timeout_s)
        self._send_large = _limited(sends["bulk" if lane == "data" else lane], timeout_s)

    def within(self, timeout_s: float) -> "Client":
        """The same with another time until the reply."""
        return Client(self._sends, self._lane, timeout_s)

    # -- any command ----------------------------------------------------------------------------------------------

    def call(self, *args: Argument) -> asyncio.Future[Any]:
        """Sends any command; its reply is what hiredis makes of it.

        In a cluster the key says which server is asked; it is the first argument unless the command is known to have it
        elsewhere. Raises `ReplyError` for an error that the server answers, GatewayError for others.
        """
        return self._send(args)

    # -- strings --------------------------------------------------------------------------------------------------

    def get(self, key: Key) -> Awaitable[bytes | None]:
        """The value, or None."""
        return self._send(("GET", key))

    def mget(self, keys: Iterable[Key]) -> Awaitable[list[bytes | None]]:
        """The values of several keys; in a cluster they have to share a slot."""
        return self._send(("MGET", *keys))

    def set(
        self, key: Key, value: Value, *, ttl_s: float | None = None, only_if: str = "", keep_ttl: bool = False
    ) -> Awaitable[bytes | None]:
        """Stores a value; None when a condition kept it from being stored.

        Args:
            key: Where.
            value: What.
            ttl_s: Seconds it lives; None: for ever.
            only_if: ``"absent"`` or ``"present"``.
            keep_ttl: Keeps the time that the value there has left.
        """
        args: tuple[Argument, ...] = ("SET", key, value)
        if ttl_s is not None:
            args += ("PX", max(1, round(ttl_s * 1000)))
        if only_if:
            args += ({"absent": "NX", "present": "XX"}[only_if],)
        if keep_ttl:
            args += ("KEEPTTL",)
        is_large = not isinstance(value, int | float) and len(value) >= LARGE
        return self._send_large(args) if is_large else self._send(args)

    def getex(self, key: Key, ttl_s: float) -> Awaitable[bytes | None]:
        """The value, which lives for ``ttl_s`` from now on; None when there is none."""
        return self._send(("GETEX", key, "PX", max(1, round(ttl_s * 1000))))

    def getdel(self, key: Key) -> Awaitable[bytes | None]:
        """The value, which is gone by then."""
        return self._send(("GETDEL", key))

    def incr(self, key: Key, by: int = 1) -> Awaitable[int]:
        """Adds to a number; what it is then."""
        return self._send(("INCRBY", key, by))

    # -- keys -----------------------------------------------------------------------------------------------------

    def delete(self, *keys: Key) -> Awaitable[int]:
        """Removes keys without holding the server up (UNLINK); how many there were."""
        return self._send(("UNLINK", *keys))

    def exists(self, *keys: Key) -> Awaitable[int]:
        """How many of the keys there are."""
        return self._send(("EXISTS", *keys))

    def expire(self, key: Key, ttl_s: float) -> Awaitable[int]:
        """Lets a key live for ``ttl_s``; 0 when there is none."""
        return self._send(("PEXPIRE", key, max(1, round(ttl_s * 1000))))

    def persist(self, key: Key) -> Awaitable[int]:
        """Lets a key live for ever; 0 when it did, or there is none."""
        return self._send(("PERSIST", key))

    async def ttl_s(self, key: Key) -> float | None:
        """Seconds that a key has left; infinite when it lives for ever, None when there is none."""
        left_ms: int = await self._send(("PTTL", key))
        return None if left_ms == -2 else float("inf") if left_ms == -1 else left_ms / 1000

    # -- hashes ---------------------------------------------------------------------------------------------------

    def hget(self, key: Key, field: Key) -> Awaitable[bytes | None]:
        """One field of a hash, or None."""
        return self._send(("HGET", key, field))

    def hmget(self, key: Key, fields: Iterable[Key]) -> Awaitable[list[bytes | None]]:
        """Some fields of a hash."""
        return self._send(("HMGET", key, *fields))

    async def hgetall(self, key: Key) -> dict[bytes, bytes]:
        """A whole hash, empty when there is none."""
        found = await self._send(("HGETALL", key))
        if isinstance(found, dict):
            return found
        pairs = iter(found)  # RESP2
        return dict(zip(pairs, pairs, strict=True))

    def hset(self, key: Key, fields: Mapping[Key, Value]) -> Awaitable[int]:
        """Sets fields of a hash; how many are new."""
        return self._send(("HSET", key, *(part for pair in fields.items() for part in pair)))

    def hdel(self, key: Key, *fields: Key) -> Awaitable[int]:
        """Removes fields of a hash; how many there were."""
        return self._send(("HDEL", key, *fields))

    def hincrby(self, key: Key, field: Key, by: int = 1) -> Awaitable[int]:
        """Adds to a number in a hash; what it is then."""
        return self._send(("HINCRBY", key, field, by))

    # -- sets and sorted sets -------------------------------------------------------------------------------------

    def sadd(self, key: Key, *members: Value) -> Awaitable[int]:
        """Adds to a set; how many are new."""
        return self._send(("SADD", key, *members))

    def srem(self, key: Key, *members: Value) -> Awaitable[int]:
        """Takes out of a set; how many there were."""
        return self._send(("SREM", key, *members))

    async def smembers(self, key: Key) -> frozenset[bytes]:
        """A whole set."""
        return frozenset(await self._send(("SMEMBERS", key)))

    def zadd(self, key: Key, scores: Mapping[Key, float]) -> Awaitable[int]:
        """Adds to a sorted set; how many are new."""
        return self._send(("ZADD", key, *(part for one in scores.items() for part in reversed(one))))

    def zrem(self, key: Key, *members: Key) -> Awaitable[int]:
        """Takes out of a sorted set; how many there were."""
        return self._send(("ZREM", key, *members))

    def zcard(self, key: Key) -> Awaitable[int]:
        """How many a sorted set has."""
        return self._send(("ZCARD", key))

    def zrangebyscore(
        self, key: Key, low: float | str, high: float | str, *, limit: int | None = None
    ) -> Awaitable[list[bytes]]:
        """The members between two scores, ``"-inf"`` and ``"(1"`` as the server reads them."""
        args: tuple[Argument, ...] = ("ZRANGE", key, low, high, "BYSCORE")
        if limit is not None:
            args += ("LIMIT", 0, limit)
        return self._send(args)

    def zremrangebyscore(self, key: Key, low: float | str, high: float | str) -> Awaitable[int]:
        """Removes the members between two scores; how many there were."""
        return self._send(("ZREMRANGEBYSCORE", key, low, high))

    # -- the server -----------------------------------------------------------------------------------------------

    def publish(self, channel: Key, message: Value) -> Awaitable[int]:
        """Tells subscribers; how many this server told."""
        return self._send(("PUBLISH", channel, message))

    def ping(self) -> Awaitable[bytes]:
        """``b"PONG"``."""
        return self._send(("PING",))

    async def time_s(self) -> float:
        """The server's clock, in seconds since 1970."""
        seconds, micros = await self._send(("TIME",))
        return int(seconds) + int(micros) / 1e6

    def __repr__(self) -> str:
        return f"<Client {self._lane}>"


def _limited(send: Send, timeout_s: float | None) -> Callable[[tuple[Argument, ...]], asyncio.Future[Any]]:
    return send if timeout_s is None else partial(send, timeout_s=timeout_s)
