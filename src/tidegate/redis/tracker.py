"""Keys of one server that begin with a prefix, and which of them change, whoever changes them.

This is the server's help for client-side caching, in its broadcasting mode (``CLIENT TRACKING ON BCAST PREFIX``, from
Redis 6 on): it remembers nothing of us, and names in each turn of its loop the keys that were written, have expired or
were evicted. It says so between the replies of the same connection, over which the keys are read as well: what a
reading has missed is named after it.

A tracker is deaf from the moment its connection is lost. Whoever keeps something up to date by it begins anew.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any, Final, Self

import hiredis

from tidegate.errors import GatewayError, Kind, Source
from tidegate.redis.commands import Argument, encode
from tidegate.redis.connection import Connection
from tidegate.redis.errors import ReplyError
from tidegate.redis.node import Node

__all__ = ["Tracker"]

QUIET_S: Final = 5.0
"""A server that was asked and says nothing for so long is given up."""

_LOOKED_AT: Final = 1000  # keys of the server that one step of a SCAN looks at
_READ: Final = 64  # values that are asked for at once


class Tracker:
    """Made by `open`.

    Args:
        connection: Of its own.
        prefix: Of the keys.
        on_changed: Called with keys that have changed, from the loop; with none when the connection is lost.
        quiet_s: See `QUIET_S`.
    """

    def __init__(
        self, connection: Connection, prefix: bytes, on_changed: Callable[[list[bytes]], None], quiet_s: float = QUIET_S
    ) -> None:
        self._connection = connection
        self._prefix = prefix
        self._on_changed = on_changed
        self._quiet_s = quiet_s
        self._replies: list[Any] = []
        self._wanted = 0
        self._arrived: asyncio.Future[None] | None = None
        connection.on_replies = self._take
        connection.on_lost = lambda _: on_changed([])

    @classmethod
    async def open(
        cls, node: Node, prefix: bytes, on_changed: Callable[[list[bytes]], None], quiet_s: float = QUIET_S
    ) -> Self:
        """One that hears of changes from now on. Raises GatewayError when the server is away or cannot do that."""
        connection = await node.open()
        one = cls(connection, prefix, on_changed, quiet_s)
        try:
            await one._begin()
        except BaseException:
            one.close()
            raise
        return one

    async def read_all(self) -> AsyncIterator[tuple[bytes, bytes]]:
        """Every key with its value, some of them twice; what is no string is left out. Raises GatewayError."""
        cursor: Any = b"0"
        pattern = _literally(self._prefix) + b"*"
        while True:
            (step,) = await self._ask([("SCAN", cursor, "MATCH", pattern, "COUNT", _LOOKED_AT)])
            if isinstance(step, ReplyError):
                raise _refused(self._connection, step.text)
            cursor, keys = step
            for at in range(0, len(keys), _READ):
                some = keys[at : at + _READ]
                for key, value in zip(some, await self._ask([("GET", key) for key in some]), strict=True):
                    if isinstance(value, bytes):  # else it is gone, of another type, or moving to another node
                        yield key, value
            if cursor == b"0":
                return

    async def ping(self) -> None:
        """Returns when the server has answered, and so has named what changed before. Raises GatewayError."""
        await self._ask([("PING",)])

    def close(self) -> None:
        """Hears nothing more."""
        self._connection.on_lost = lambda _: None
        self._connection.abort(GatewayError(Kind.CONNECTION_TERMINATED, f"{self._connection.address}: closed"))

    # -- inside ---------------------------------------------------------------------------------------------------

    async def _begin(self) -> None:
        if self._connection.protocol < 3:
            raise _refused(self._connection, "it speaks no RESP3, which Redis does from version 6 on")
        (answer,) = await self._ask([("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", self._prefix)])
        if isinstance(answer, ReplyError):
            raise _refused(self._connection, answer.text)

    async def _ask(self, commands: Iterable[tuple[Argument, ...]]) -> list[Any]:
        """The replies, errors among them; one caller at a time."""
        connection, packed = self._connection, [encode(command) for command in commands]
        if connection.is_lost:
            raise connection.lost.result()
        self._wanted, self._arrived = len(packed), asyncio.get_running_loop().create_future()
        connection.write(b"".join(packed))
        awaited: list[asyncio.Future[Any]] = [self._arrived, connection.lost]
        while not self._arrived.done():
            heard = connection.bytes_in
            await asyncio.wait(awaited, timeout=self._quiet_s, return_when=asyncio.FIRST_COMPLETED)
            if connection.lost.done():
                raise connection.lost.result()
            if connection.bytes_in == heard:
                connection.abort(GatewayError(Kind.CONNECTION_READ_TIMEOUT, f"{connection.address}: silent"))
        answers, self._replies = self._replies, []
        return answers

    def _take(self, replies: list[Any]) -> None:
        changed: list[bytes] = []
        for reply in replies:
            if not isinstance(reply, hiredis.PushNotification):
                self._replies.append(reply)
                continue
            match reply:
                case [b"invalidate", list(keys)]:
                    changed += keys
                case [b"invalidate", None]:  # FLUSHDB
                    address = self._connection.address
                    self._connection.abort(GatewayError(Kind.CONNECTION_TERMINATED, f"{address}: it was emptied"))
        if changed:
            self._on_changed(changed)
        if self._arrived is not None and len(self._replies) >= self._wanted and not self._arrived.done():
            self._arrived.set_result(None)

    def __repr__(self) -> str:
        return f"<Tracker of {self._prefix!r} at {self._connection!r}>"


def _refused(connection: Connection, why: str) -> GatewayError:
    what = f"{connection.address} does not tell of changed keys: {why}"
    return GatewayError(Kind.PROXY_CONFIGURATION_ERROR, what, source=Source.INTERNAL)


def _literally(prefix: bytes) -> bytes:
    """A glob pattern that matches just this."""
    return b"".join(b"\\" + one if one in b"*?[]\\^" else one for one in (bytes((byte,)) for byte in prefix))
