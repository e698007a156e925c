"""One look-up of a session in Redis, which renews it on the way.

A session is a string with a JSON object, under ``<prefix><token>``. Look-up and renewal are one script, so one
command and one round trip: a session is extended to its full time when less than ``renew_below`` of it is left, but
not when it was extended less than ``renew_interval`` ago: how much of its time is left says when that was, to all
workers and machines alike. A session without a time is never given one.

A server that refuses to write (a read-only replica, a script that the ACL does not allow) can still be read: the
session is looked up without being renewed, and that is said.
"""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any, Final, Protocol

import msgspec

from tidegate.cache.loaded import NeedsTask
from tidegate.net.later import Later
from tidegate.redis.client import Client
from tidegate.redis.errors import ReplyError
from tidegate.redis.scripts import Script

__all__ = ["Renewal", "SessionStore", "UnusableSession"]

logger = logging.getLogger(__name__)

_LOOK_UP: Final = """\
local size = redis.call('STRLEN', KEYS[1])
if size > tonumber(ARGV[1]) then return size end
local value = redis.call('GET', KEYS[1])
if value and ARGV[2] then
  local left = redis.call('PTTL', KEYS[1])
  if left >= 0 and left <= tonumber(ARGV[3]) then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
end
return value
"""
# It refuses to write, or to run scripts: a plain read may do all the same.
_READS_ONLY: Final = frozenset({"READONLY", "NOPERM", "OOM", "MISCONF", "NOREPLICAS", "ERR"})


class UnusableSession(Exception):
    """What is stored is no session: of another type, too large, or no JSON object."""


class Renewal(msgspec.Struct, frozen=True):
    """When a session is extended.

    Args:
        ttl_s: To how long.
        below_s: When less than this is left.
        interval_s: How long ago the last time has to be.
    """

    ttl_s: float
    below_s: float
    interval_s: float

    @property
    def threshold_ms(self) -> int:
        """Milliseconds left at which, and below, it is extended; 0: never."""
        return max(0, round(min(self.below_s, self.ttl_s - self.interval_s) * 1000))


class Links(Protocol):
    """The links of a worker, by name."""

    def __getitem__(self, name: str, /) -> Any: ...


class SessionStore:
    """Sessions of one server.

    Args:
        links: Of the worker; the link is looked for each time, since a reload may have made another.
        redis: Name of the link.
        prefix: In front of the token.
        renewal: None: sessions are not extended.
        largest: Bytes that the JSON may have.
        timeout_s: For one look-up.
    """

    def __init__(
        self, links: Links, redis: str, *, prefix: str, renewal: Renewal | None, largest: int, timeout_s: float
    ) -> None:
        self._links = links
        self._redis = redis
        self._prefix = prefix
        self._largest = largest
        self._timeout_s = timeout_s
        self._script = Script(_LOOK_UP)
        self._args: tuple[int, ...] = (largest,)
        if renewal is not None and renewal.threshold_ms:
            self._args = (largest, round(renewal.ttl_s * 1000), renewal.threshold_ms)
        self._is_read_only = False
        self._data: Client | None = None
        self._in_time: Client

    def ask(self, token: str) -> Later[Mapping[str, Any] | None] | None:
        """The same as `look_up` by one command; None, or NeedsTask, when it takes more."""
        if self._is_read_only:
            return None
        return Later(self._script.ask(self._client(), 1, self._prefix + token, *self._args), self._answered)

    def _answered(self, reply: asyncio.Future[Any]) -> Mapping[str, Any] | None:
        try:
            found = reply.result()
        except ReplyError:  # the script is not known there, or the server may only be read
            raise NeedsTask from None
        return self._session_of(found)

    async def look_up(self, token: str) -> Mapping[str, Any] | None:
        """The session of ``token``; None: there is none.

        Raises UnusableSession, and GatewayError when the server cannot be asked.
        """
        return self._session_of(await self._read(self._prefix + token))

    def _session_of(self, found: bytes | int | None) -> Mapping[str, Any] | None:
        if found is None:
            return None
        if isinstance(found, int):
            raise UnusableSession(f"has {found} bytes; {self._largest} are read at most")
        try:
            session = msgspec.json.decode(found)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise UnusableSession("is no JSON") from None
        if not isinstance(session, dict):
            raise UnusableSession("is no JSON object")
        return session

    async def _read(self, key: str) -> bytes | int | None:
        """The value, its size when that is too large, or None."""
        client = self._client()
        try:
            found: bytes | int | None = await self._script.run(client, [key], self._args)
        except ReplyError as error:
            if error.code == "WRONGTYPE" or "WRONGTYPE" in error.text:  # within a script some servers put it behind ERR
                raise UnusableSession("is no string") from None
            if error.code not in _READS_ONLY:
                raise
            if not self._is_read_only:
                self._is_read_only = True
                logger.warning(
                    "sessions of [redis.%s] are not renewed: %s",
                    self._redis,
                    error.text,
                    extra={"kind": "sessions_read_only"},
                )
            return await self._plain_read(client, key)
        if self._is_read_only:
            self._is_read_only = False
            logger.warning("sessions of [redis.%s] are renewed again", self._redis, extra={"kind": "sessions_renewed"})
        return found

    def _client(self) -> Client:
        """Commands within our time, on the link that there is now."""
        data: Client = self._links[self._redis].data
        if data is not self._data:
            self._data = data
            self._in_time = data.within(self._timeout_s)
        return self._in_time

    async def _plain_read(self, client: Client, key: str) -> bytes | int | None:
        try:
            found: bytes = await client.call("GETRANGE", key, 0, self._largest)
        except ReplyError as error:
            if error.code == "WRONGTYPE":
                raise UnusableSession("is no string") from None
            raise
        if len(found) > self._largest:
            return len(found)
        return found or None

    def __repr__(self) -> str:
        return f"<SessionStore {self._prefix}… of {self._redis}>"
