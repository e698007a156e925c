"""One socket to a Redis server: opened, greeted, and from then on bytes out and replies in.

The greeting goes out in one write: ``HELLO 3`` with user, password and client name, ``SELECT``, ``PING``. A server that
knows no HELLO (before Redis 6) is greeted again in the old words. The PING is there because a server that loads its
data greets everybody and serves nobody.

Reading is in pieces too: the kernel may hold megabytes, and the event loop would read on as long as there is more.
After `READ_TURN` bytes in one turn the socket rests until the next, so that a large reply never holds the loop.
"""

import asyncio
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, cast

import hiredis

from tidegate.config.values import Address
from tidegate.errors import GatewayError, Kind, Retry, Source
from tidegate.redis.commands import Argument, encode
from tidegate.redis.errors import REFUSES_WORK, ReplyError, protocol_error, too_large
from tidegate.wire.resp import ReplyStream

if TYPE_CHECKING:
    import ssl

__all__ = ["Connection", "Greeting", "open_connection"]

READ_TURN: Final = 512 << 10
WRITE_MAX: Final = 256 << 10
"""Bytes that a lane hands over in one turn, and that may wait in the transport before the lane holds back."""
LARGEST_REPLY: Final = 512 << 20  # proto-max-bulk-len of the server

_INCOMPLETE: Final = object()
_KEEPALIVE_S: Final = 15
_USER_TIMEOUT_MS: Final = 20_000


@dataclass(frozen=True, slots=True)
class Greeting:
    """Who the link is to the server, and how it gets there. The password is looked up for each connection."""

    name: str = "tidegate"
    user: str = ""
    password: Callable[[], str] | None = field(default=None, compare=False)
    database: int = 0
    tls: "Callable[[], ssl.SSLContext] | None" = field(default=None, compare=False)
    tls_name: str = ""
    connect_timeout_s: float = 2.0
    largest_reply: int = LARGEST_REPLY


class Connection(asyncio.Protocol):
    """A greeted connection; made by `open_connection`. ``protocol`` is 3 or 2.

    Who owns it sets ``on_replies``, ``on_writable`` and ``on_lost`` before he lets the loop turn.
    """

    def __init__(self, address: Address, largest_reply: int = LARGEST_REPLY) -> None:
        self.address = address
        self.protocol = 3
        self.is_paused = False
        self.is_lost = False
        self.bytes_in = 0
        self.on_replies: Callable[[list[Any]], None] = self._hold
        self.on_writable: Callable[[], None] = _nothing
        self.on_lost: Callable[[GatewayError], None] = _ignore
        self._loop = asyncio.get_running_loop()
        reader = hiredis.Reader(
            notEnoughData=_INCOMPLETE,
            replyError=ReplyError,
        )
        self._stream = ReplyStream(reader, _INCOMPLETE, largest=largest_reply, too_large=too_large)
        self._transport: asyncio.Transport | None = None
        self.write: Callable[[bytes], None] = _no_transport
        """Hands bytes to the socket: its transport's own, since each command passes here."""
        self._held: list[Any] = []
        self._turn_bytes = 0
        self._error: GatewayError | None = None
        self.lost: asyncio.Future[GatewayError] = self._loop.create_future()

    # -- the transport's ------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = made = cast("asyncio.Transport", transport)  # uvloop's are of no common class
        self.write = made.write
        made.set_write_buffer_limits(high=WRITE_MAX)

    def data_received(self, data: bytes) -> None:
        size = len(data)
        self.bytes_in += size
        try:
            replies = self._stream.feed(data)
        except (hiredis.HiredisError, ValueError) as error:
            self.abort(protocol_error(str(self.address), str(error)))
            return
        if size >= 16_384:
            self._rest_when_read_enough(size)
        self.on_replies(replies)  # none, too: its owner sees that something comes

    def pause_writing(self) -> None:
        self.is_paused = True

    def resume_writing(self) -> None:
        self.is_paused = False
        self.on_writable()

    def connection_lost(self, error: Exception | None) -> None:
        self.is_lost = True
        if self._error is None:
            self._error = self._why(error)
        if not self.lost.done():
            self.lost.set_result(self._error)
        self.on_lost(self._error)

    # -- the owner's ----------------------------------------------------------------------------------------------

    @property
    def transport(self) -> asyncio.Transport:
        """Its transport; there is one as soon as it is handed to anybody."""
        if self._transport is None:
            raise RuntimeError("not connected yet")
        return self._transport

    def abort(self, error: GatewayError) -> None:
        """Ends it now; ``error`` is what its owner is told."""
        if self._error is None:
            self._error = error
        if self._transport is not None:
            self._transport.abort()

    @property
    def local_port(self) -> int:
        """The local port, 0 for a unix socket."""
        name = self.transport.get_extra_info("sockname")
        return int(name[1]) if isinstance(name, tuple) else 0

    async def ask(self, *commands: tuple[Argument, ...]) -> list[Any]:
        """Sends commands in one write and returns their replies; before it has an owner."""
        self.write(b"".join(map(encode, commands)))
        arrived: asyncio.Future[None] = self._loop.create_future()

        def collect(replies: list[Any]) -> None:
            self._held += replies
            if len(self._held) >= len(commands) and not arrived.done():
                arrived.set_result(None)

        self.on_replies = collect
        self.on_lost = lambda error: None if arrived.done() else arrived.set_exception(self._parting_word() or error)
        try:
            await arrived
        finally:
            self.on_replies = self._hold
            self.on_lost = _ignore
        if len(self._held) > len(commands):
            raise protocol_error(str(self.address), "it answers what nobody asked")
        answers, self._held = self._held, []
        return answers

    # -- inside ---------------------------------------------------------------------------------------------------

    def _parting_word(self) -> ReplyError | None:
        """The error that a server says before it hangs up, as one that has too many clients does."""
        return next((one for one in self._held if isinstance(one, ReplyError)), None)

    def _hold(self, replies: list[Any]) -> None:
        self._held += replies

    def _rest_when_read_enough(self, size: int) -> None:
        if self._turn_bytes == 0:
            self._loop.call_soon(self._begin_turn)
        self._turn_bytes += size
        if self._turn_bytes >= READ_TURN and self._transport is not None:
            self._transport.pause_reading()

    def _begin_turn(self) -> None:
        if self._turn_bytes >= READ_TURN and self._transport is not None and not self.is_lost:
            self._transport.resume_reading()
        self._turn_bytes = 0

    def _why(self, error: Exception | None) -> GatewayError:
        if isinstance(error, OSError):
            return GatewayError.from_os_error(error, str(self.address), connected=True)
        return GatewayError(
            Kind.CONNECTION_TERMINATED, f"{self.address} closed the connection", retry=None, cause=error
        )

    def __repr__(self) -> str:
        state = "lost" if self.is_lost else "paused" if self.is_paused else "open"
        return f"<Connection {self.address} {state}, {self.bytes_in} bytes in>"


def _nothing() -> None:
    pass


def _ignore(error: GatewayError) -> None:
    pass


def _no_transport(_: bytes) -> None:
    raise RuntimeError("not connected yet")


async def open_connection(address: Address, greeting: Greeting) -> Connection:
    """A connection that is greeted and serves. Raises GatewayError, after ``connect_timeout_s`` at the latest."""
    connection: Connection | None = None

    def make() -> Connection:
        nonlocal connection
        connection = Connection(address, greeting.largest_reply)
        return connection

    try:
        async with asyncio.timeout(greeting.connect_timeout_s):
            made = await _connect(address, greeting, make)
            await _greet(made, greeting)
            return made
    except BaseException as error:
        if connection is not None:
            connection.abort(GatewayError(Kind.CONNECTION_TERMINATED, f"{address}: given up"))
        raise _translated(error, address, greeting) from error


async def _connect(address: Address, greeting: Greeting, make: Callable[[], Connection]) -> Connection:
    loop = asyncio.get_running_loop()
    context = None if greeting.tls is None else await loop.run_in_executor(None, greeting.tls)
    name = None if context is None else greeting.tls_name or address.host or "localhost"
    if address.is_unix:
        _, connection = await loop.create_unix_connection(make, address.path, ssl=context, server_hostname=name)
        return connection
    transport, connection = await loop.create_connection(
        make, address.host, address.port, ssl=context, server_hostname=name
    )
    sock = transport.get_extra_info("socket")
    for level, option, value in (
        (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
        (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _KEEPALIVE_S),
        (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _KEEPALIVE_S // 3),
        (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _USER_TIMEOUT_MS),
    ):
        sock.setsockopt(level, option, value)
    return connection


async def _greet(connection: Connection, greeting: Greeting) -> None:
    password = "" if greeting.password is None else greeting.password()
    login = ("AUTH", greeting.user or "default", password) if password else ()
    rest: list[tuple[Argument, ...]] = [("SELECT", greeting.database)] if greeting.database else []
    rest.append(("PING",))
    hello, *others = await connection.ask(("HELLO", 3, *login, "SETNAME", greeting.name), *rest)
    if isinstance(hello, ReplyError) and _knows_no_hello(hello):
        connection.protocol = 2
        old: list[tuple[Argument, ...]] = [("CLIENT", "SETNAME", greeting.name)]
        if password:
            old.insert(0, ("AUTH", greeting.user, password) if greeting.user else ("AUTH", password))
        others = await connection.ask(*old, *rest)
    else:
        others.insert(0, hello)
    for answer in others:
        if isinstance(answer, ReplyError):
            raise answer


def _knows_no_hello(answer: ReplyError) -> bool:
    # NOAUTH although a password came with it: the command was not looked at.
    return answer.code in ("NOPROTO", "NOAUTH") or "unknown command" in answer.text.lower()


def _translated(error: BaseException, address: Address, greeting: Greeting) -> BaseException:
    """What was wrong, in the gateway's words."""
    match error:
        case ReplyError() if error.code in REFUSES_WORK:
            return GatewayError(Kind.DESTINATION_UNAVAILABLE, f"{address}: {error.text}", cause=error)
        case ReplyError():
            return GatewayError(
                Kind.PROXY_CONFIGURATION_ERROR, f"{address}: {error.text}", source=Source.INTERNAL, cause=error
            )
        case GatewayError():
            return error
        case TimeoutError() if error.args == ():
            return GatewayError(
                Kind.CONNECTION_TIMEOUT, f"{address}: no greeting within {greeting.connect_timeout_s:g} s", cause=error
            )
        case OSError():
            return _of_os_error(error, address)
        case ValueError():  # the password cannot be read, a key is encrypted
            return GatewayError(Kind.PROXY_CONFIGURATION_ERROR, f"{address}: {error}", source=Source.INTERNAL)
        case Exception():
            return GatewayError(Kind.PROXY_INTERNAL_ERROR, f"{address}: {error!r}", source=Source.INTERNAL)
    return error  # cancelled


def _of_os_error(error: OSError, address: Address) -> GatewayError:
    import ssl

    if isinstance(error, ssl.SSLCertVerificationError):
        return GatewayError(Kind.TLS_CERTIFICATE_ERROR, f"{address}: {error.verify_message}", cause=error)
    if isinstance(error, ssl.SSLError):
        return GatewayError(Kind.TLS_PROTOCOL_ERROR, f"{address}: {error.reason or error}", cause=error)
    if isinstance(error, socket.gaierror):
        return GatewayError(Kind.DNS_ERROR, f"{address}: {error.strerror}", status=503, cause=error)
    if isinstance(error, ConnectionError) and error.errno is None:  # by the loop, not by the kernel
        return GatewayError(Kind.CONNECTION_TERMINATED, f"{address}: {error}", retry=Retry.YES, cause=error)
    if error.errno is None and "Multiple exceptions" in str(
        error
    ):  # a name with several addresses, none of which answered
        return GatewayError(Kind.CONNECTION_REFUSED, f"{address}: {error}", cause=error)
    return GatewayError.from_os_error(error, str(address), connected=False)
