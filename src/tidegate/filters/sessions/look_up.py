"""What a cache does to find a session out: asks the store, and reads whom it is about."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from tidegate import Later, Loaded
from tidegate.cache.loaded import Question
from tidegate.filters.sessions.found import Found
from tidegate.filters.sessions.store import SessionStore, UnusableSession
from tidegate.filters.tokens.principal import PrincipalReader

__all__ = ["LookUp", "Sessions"]

logger = logging.getLogger(__name__)


class Sessions:
    """Sessions of a store as what a cache keeps of them.

    Args:
        store: Where they are.
        reader: Knows what is wanted of a session.
        remember_s: How long one that was found is believed.
        prefix: Of their keys, for messages.
    """

    def __init__(self, store: SessionStore, reader: PrincipalReader, remember_s: float, prefix: str) -> None:
        self.store = store
        self._reader = reader
        self._remember_s = remember_s
        self._prefix = prefix

    def read(self, session: Mapping[str, Any] | None, digest: bytes, now: float) -> Loaded | None:
        """What is kept of a session; None: nobody is let in by it.

        Args:
            session: As it is in the store; None: there is none.
            digest: Of its token.
            now: The time on the cache's clock.
        """
        if session is None:
            return None
        try:
            principal = self._reader.read(session, digest)
        except ValueError as error:
            self.say_unusable(error)
            return None
        subject = "" if principal.identity is None else principal.identity.subject
        # By these it can be forgotten before its time: one session, or all that somebody has.
        return Loaded(Found(now, principal), self._remember_s, (f"session:{digest.hex()}", f"subject:{subject}"))

    def say_unusable(self, error: Exception) -> None:
        """Says what is wrong with a session, which lets nobody in."""
        logger.warning("a session under %s… %s", self._prefix, error, extra={"kind": "session_unusable"})


class LookUp(Question):
    """The look-up of one session.

    Args:
        sessions: Where it is looked for.
        token: Of whom it is.
        digest: Of the token.
        clock: The cache's.
    """

    __slots__ = ("_clock", "_digest", "_sessions", "_token")

    def __init__(self, sessions: Sessions, token: str, digest: bytes, clock: Callable[[], float]) -> None:
        self._sessions = sessions
        self._token = token
        self._digest = digest
        self._clock = clock

    def ask(self) -> Later[Loaded | None] | None:
        """By one command, without a task."""
        asked = self._sessions.store.ask(self._token)
        return None if asked is None else Later(asked.future, partial(self._answered, asked.then))

    def _answered(
        self, then: Callable[[asyncio.Future[Any]], Mapping[str, Any] | None], reply: asyncio.Future[Any]
    ) -> Loaded | None:
        try:
            session = then(reply)
        except UnusableSession as error:
            self._sessions.say_unusable(error)
            return None
        return self._sessions.read(session, self._digest, self._clock())

    async def __call__(self, key: Any) -> Loaded | None:
        """As a load."""
        del key
        try:
            session = await self._sessions.store.look_up(self._token)
        except UnusableSession as error:
            self._sessions.say_unusable(error)
            return None
        return self._sessions.read(session, self._digest, self._clock())
