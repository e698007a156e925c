"""Messages that others publish, over a connection of their own that is made again and subscribed again when it is lost.

Publishing is fire and forget: what is published while a subscriber is not connected is gone. So a subscriber says when
that may have happened (``on_gap``), and whoever keeps something up to date by messages has to look for himself then.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple

from tidegate.config.values import Address
from tidegate.errors import GatewayError, Kind, Source
from tidegate.process import tasks
from tidegate.redis.commands import encode
from tidegate.redis.connection import Connection, Greeting, open_connection
from tidegate.redis.errors import ReplyError
from tidegate.redis.pace import Pace

__all__ = ["Message", "Subscriber", "SubscriberStatistics", "nothing"]

logger = logging.getLogger(__name__)

QUIET_S: Final = 5.0
"""After so long without a word the server is asked; after as long again without an answer it is given up."""


class Message(NamedTuple):
    """One that was published; ``pattern`` is the one that matched, if it was subscribed to by pattern."""

    channel: bytes
    data: bytes
    pattern: bytes | None = None


class SubscriberStatistics(NamedTuple):
    """What a subscriber has heard."""

    channels: int
    patterns: int
    is_connected: bool
    messages: int
    gaps: int


class Subscriber:
    """Hears what is published on some channels.

    Args:
        where: The server's address, asked for before each attempt to connect.
        greeting: Who one is.
        on_message: Called with each message, from the loop, never from within the parser. What it raises is logged.
        on_gap: Called when messages may have been missed: a connection was lost, and is subscribed again.
        chance: Random numbers for pauses.
        quiet_s: See `QUIET_S`.
    """

    def __init__(
        self,
        where: Callable[[], Awaitable[Address]],
        greeting: Greeting,
        on_message: Callable[[Message], None],
        on_gap: Callable[[], None] | None = None,
        *,
        chance: random.Random | None = None,
        quiet_s: float = QUIET_S,
    ) -> None:
        self._where = where
        self._greeting = greeting
        self._on_message = on_message
        self._on_gap = on_gap or nothing
        self._pace = Pace(chance or random.Random())
        self._quiet_s = quiet_s
        self._loop = asyncio.get_running_loop()
        self._connection: Connection | None = None
        self._wanted: dict[tuple[str, bytes], asyncio.Future[None]] = {}  # (SUBSCRIBE or PSUBSCRIBE, name): confirmed
        self._task: asyncio.Task[None] | None = None
        self._is_closed = False
        self._messages = self._gaps = 0

    async def subscribe(self, *channels: str | bytes) -> None:
        """Hears these channels from now on; returns when the server has confirmed it, however long that takes."""
        await self._want("SUBSCRIBE", channels)

    async def subscribe_patterns(self, *patterns: str | bytes) -> None:
        """The same for every channel whose name matches a glob pattern."""
        await self._want("PSUBSCRIBE", patterns)

    def unsubscribe(self, *channels: str | bytes) -> None:
        """Hears these channels no more."""
        for name in map(_bytes, channels):
            future = self._wanted.pop(("SUBSCRIBE", name), None)
            if future is not None and self._connection is not None:
                self._connection.write(encode(("UNSUBSCRIBE", name)))

    def close(self) -> None:
        """Ends it; whoever waits for a confirmation is told."""
        self._is_closed = True
        if self._task is not None:
            self._task.cancel()
        error = GatewayError(Kind.DESTINATION_UNAVAILABLE, "the subscriber is closed", source=Source.INTERNAL)
        for future in self._wanted.values():
            if not future.done():
                future.set_exception(error)
        self._wanted.clear()
        if self._connection is not None:
            self._connection.abort(error)

    def statistics(self) -> SubscriberStatistics:
        """What it has heard."""
        patterns = sum(how == "PSUBSCRIBE" for how, _ in self._wanted)
        return SubscriberStatistics(
            len(self._wanted) - patterns, patterns, self._connection is not None, self._messages, self._gaps
        )

    # -- inside ---------------------------------------------------------------------------------------------------

    async def _want(self, how: str, names: tuple[str | bytes, ...]) -> None:
        if self._is_closed:
            raise GatewayError(Kind.DESTINATION_UNAVAILABLE, "the subscriber is closed", source=Source.INTERNAL)
        keys = [(how, _bytes(name)) for name in names]
        new = [key for key in keys if key not in self._wanted]
        for key in new:
            self._wanted[key] = self._loop.create_future()
        if new and self._connection is not None:
            self._connection.write(encode((how, *(name for _, name in new))))
        if self._task is None:
            self._task = tasks.start(self._live(), "hear what is published")
        await asyncio.gather(*(asyncio.shield(self._wanted[key]) for key in keys))

    async def _live(self) -> None:
        was_connected = False
        while not self._is_closed:
            await asyncio.sleep(self._pace.next_s(self._loop.time()))
            try:
                connection = await open_connection(await self._where(), self._greeting)
            except GatewayError:
                self._pace.failed()  # the link's breaker says it
                continue
            self._pace.succeeded()
            connection.on_replies = self._take
            self._connection = connection
            for how in ("SUBSCRIBE", "PSUBSCRIBE"):
                names = [name for wanted, name in self._wanted if wanted == how]
                if names:
                    connection.write(encode((how, *names)))
            if was_connected:
                self._gaps += 1
                self._tell(self._on_gap)
            was_connected = True
            try:
                await self._stay(connection)
            finally:
                self._connection = None

    async def _stay(self, connection: Connection) -> None:
        """Returns when the connection is lost, or nothing comes any more although it was asked for."""
        asked_at = -1
        while not connection.lost.done():
            heard = connection.bytes_in
            await asyncio.wait([connection.lost], timeout=self._quiet_s)
            if connection.lost.done() or connection.bytes_in != heard:
                continue
            if asked_at == heard:
                connection.abort(GatewayError(Kind.CONNECTION_READ_TIMEOUT, f"{connection.address}: silent"))
                return
            asked_at = heard
            connection.write(encode(("PING",)))

    def _take(self, replies: list[Any]) -> None:
        messages = []
        for reply in replies:
            match reply:
                case [b"message", bytes(channel), bytes(data)]:
                    messages.append(Message(channel, data))
                case [b"pmessage", bytes(pattern), bytes(channel), bytes(data)]:
                    messages.append(Message(channel, data, pattern))
                case [(b"subscribe" | b"psubscribe") as how, bytes(name), int()]:
                    future = self._wanted.get((how.decode().upper(), name))
                    if future is not None and not future.done():
                        future.set_result(None)
                case ReplyError():
                    logger.warning("a subscription was refused: %s", reply.text, extra={"kind": "redis_unavailable"})
        if messages:
            self._messages += len(messages)
            self._loop.call_soon(self._deliver, messages)

    def _deliver(self, messages: list[Message]) -> None:
        for message in messages:
            self._tell(self._on_message, message)

    def _tell(self, listener: Callable[..., None], *what: Message) -> None:
        try:
            listener(*what)
        except Exception:
            logger.exception("a listener of redis messages failed", extra={"kind": "redis_listener_failed"})

    def __repr__(self) -> str:
        return f"<Subscriber {self.statistics()}>"


def nothing() -> None:
    """For whoever does not care about gaps."""


def _bytes(name: str | bytes) -> bytes:
    return name.encode() if isinstance(name, str) else name
