"""Lets requests in by the id of a session that Redis knows.

    [redis.main]
    url = "redis://127.0.0.1:6379/0"

    [cache.sessions]
    stale_if_error = "5m"                   # with on_store_failure = "allow_cached"

    [filters.sessions]
    class = "tidegate.filters.session_auth:SessionAuth"
    redis = "main"
    cache = "sessions"
    ttl = "4h"
    renew_below = "3h"
    headers = { X-User = "user", X-Plan = "plan" }
    tenant = "org"

A session that was looked up is believed for ``remember``, and requests with it never leave the synchronous path. One
that was not is looked up while its request waits, and no other; however many come with one token at once, it is
looked up once.
"""

import asyncio
import hashlib
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import msgspec
from annotated_types import Ge, Le

from tidegate import Duration, Later, Ref, Size, option, required
from tidegate.config.kinds import CookieName, Off
from tidegate.errors import GatewayError
from tidegate.filters.sessions.found import Found
from tidegate.filters.sessions.look_up import LookUp, Sessions
from tidegate.filters.sessions.store import Renewal, SessionStore
from tidegate.filters.tokens.auth import TokenAuth, Verdict

if TYPE_CHECKING:
    from tidegate.cache.cache import Cache
    from tidegate.config.schema import Gateway

__all__ = ["SessionAuth"]

_FORM: Final = 2  # of what is remembered: what a gateway before this one has left is not looked at


class SessionAuth(TokenAuth):
    """Lets through who has a session."""

    redis: Annotated[str, Ref("redis")] = required("where sessions are")
    cache: Annotated[str, Ref("cache")] = required("where those that were looked up are remembered")
    prefix: str = option("session:", "what stands before the token in the key of a session")
    cookie: Annotated[str | None, CookieName(), Off()] = option(
        "session", "cookie that has the token, where the field has none"
    )
    subject: Annotated[str | None, Off()] = option("user", "path of who it is")
    max_token: Annotated[int, Ge(16), Le(65_536)] = option(512, "characters that a token may have")
    ttl: Annotated[float, Duration()] | None = option(None, "to how long a session in use is extended; absent: never")
    renew_below: Annotated[float, Duration()] | None = option(
        None, "it is extended when less than this is left; absent: half of `ttl`"
    )
    renew_interval: Annotated[float, Duration(shortest=0.0)] = option(
        60.0, "least time between two extensions of a session, by all workers and machines"
    )
    remember: Annotated[float, Duration()] = option(
        2.0, "how long a session that was looked up is believed: one that was revoked lets in no longer than that"
    )
    timeout: Annotated[float, Duration()] = option(
        0.25, "how long a look-up may take, and a request wait for it; `timeout` of the Redis server bounds it too"
    )
    max_value: Annotated[int, Size()] = option(64 << 10, "bytes that the JSON of a session may have")
    on_store_failure: Literal["deny", "allow_cached"] = option(
        "deny",
        "while Redis cannot be asked: nobody gets in, or those whose sessions were looked up within the cache's "
        "`stale_if_error`",
    )

    def check_options(self) -> None:
        """Times fit together."""
        super().check_options()
        if not self.prefix:
            raise ValueError("`prefix` is empty: a token would name any key of the server, of whomever")
        if self.ttl is None:
            if self.renew_below is not None:
                raise ValueError(
                    "`renew_below` has no effect without `ttl`, which says to how long sessions are extended"
                )
        elif self.renew_interval >= self.ttl:
            raise ValueError("`renew_interval` is shorter than `ttl`, or a session would end before it may be extended")
        elif self.renew_below is not None and self.renew_below > self.ttl:
            raise ValueError("`renew_below` is at most `ttl`: more than that is never left")
        if self.subject is None and not self.headers:
            raise ValueError("a session would say nothing: it needs `subject` or `headers`")

    def check_tables(self, gateway: "Gateway") -> None:
        """The cache can keep sessions."""
        cache = gateway.cache.get(self.cache)
        if cache is None:
            return  # which has been found already
        if cache.redis is not None:
            raise ValueError(
                f"[cache.{self.cache}] has `redis`: sessions are there already, and how old one is that another "
                "machine has found is not known here"
            )
        if cache.machine is not None and cache.codec != "json":
            raise ValueError(f'[cache.{self.cache}] has `machine`, and so needs `codec = "json"`: sessions are objects')

    def prepare(self) -> None:
        """Makes what all requests share; nothing is connected before the first of them."""
        super().prepare()
        renewal = None
        if self.ttl is not None:
            below_s = self.ttl / 2 if self.renew_below is None else self.renew_below
            renewal = Renewal(self.ttl, below_s, self.renew_interval)
        store = SessionStore(
            self.redis_links,
            self.redis,
            prefix=self.prefix,
            renewal=renewal,
            largest=self.max_value,
            timeout_s=self.timeout,
        )
        self._sessions = Sessions(store, self._reader, self.remember, self.prefix)
        # Filters that read sessions otherwise, or believe them for longer, may share the cache, and find nothing of
        # this one's.
        meaning = (
            _FORM,
            self.remember,
            self.redis,
            self.prefix,
            sorted(self.headers.items()),
            self.subject,
            self.tenant,
            self.tier,
            self.priority,
        )
        self._space = hashlib.sha256(msgspec.json.encode(meaning)).digest()[:8]
        self._unknown = self.refusal("token_unknown", "There is no such session")
        self._away = self.outage("store_unavailable", "Sessions cannot be looked up")

    def judge(self, token: str, digest: bytes) -> Verdict | Later[Verdict]:
        """At once for a session that is remembered, or remembered not to be there."""
        cache: Cache = self.caches[self.cache]
        key = self._space + digest
        value = cache.get_nowait(key, cache)  # itself: nothing is at hand
        if value is not cache:
            found = _found(value, digest)
            return self._unknown if found is None else found.principal
        asked_s = cache.now()
        value = cache.get(
            key, LookUp(self._sessions, token, digest, cache.now), ttl=self.remember, timeout=self.timeout
        )
        if type(value) is not Later:  # what is known is given out while it is looked up again
            return self._verdict(value.value, digest, cache, asked_s)
        return Later(value.future, partial(self._looked_up, digest, cache, asked_s, value.then))

    def _looked_up(
        self,
        digest: bytes,
        cache: "Cache",
        asked_s: float,
        then: Callable[[asyncio.Future[Any]], Any],
        future: asyncio.Future[Any],
    ) -> Verdict:
        try:
            value = then(future)
        except GatewayError:
            return self._away  # the link has said why, once
        return self._verdict(value, digest, cache, asked_s)

    def _verdict(self, value: Any, digest: bytes, cache: "Cache", asked_s: float) -> Verdict:
        found = _found(value, digest)
        if found is None:
            return self._unknown
        # What was looked up meanwhile is not old, however long it took. What was known before is given out while it is
        # looked up again, or because it could not be.
        if self.on_store_failure == "deny" and found.at_s < asked_s:
            longest_s = self.remember + cache.settings.stale_while_revalidate
            if cache.now() - found.at_s > longest_s:
                return self._away
        return found.principal


def _found(value: Any, digest: bytes) -> Found | None:
    return value if value is None or isinstance(value, Found) else Found.again(value, digest)
