"""Where keys come from: read in a thread, one reading at a time, and kept while their publisher is away.

A request never waits for keys that are there. They are read again when `refresh_s` has passed, beside the requests;
when that fails, those that are there stay good until they are `stale_s` old. Two requests wait: one that comes before
the first keys, or after the last are too old; and one whose token names a key that is not known, since its publisher
may have begun with a new one. Such tokens cost the publisher one reading in `retry_s`, however many come.
"""

import asyncio
import logging
import math
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import NamedTuple, Protocol

from tidegate.filters.jwt.keys import KeySet

__all__ = ["KeySource", "ReadKeys", "Reading", "SecretKeys"]

logger = logging.getLogger(__name__)


class Reading(NamedTuple):
    """A JWK Set as it was ``age_s`` ago."""

    content: bytes
    age_s: float = 0.0


class KeySource(Protocol):
    """Who has the keys."""

    def current(self) -> KeySet | None:
        """Those there are, without waiting; None: none that may be believed."""

    @property
    def may_have_newer(self) -> bool:
        """Whether it is worth waiting for `newer`."""

    async def newer(self) -> KeySet | None:
        """Those there are after the reading that is under way, or begins now if one may."""


class SecretKeys:
    """A secret of the configuration, which has nothing newer to wait for."""

    may_have_newer = False

    def __init__(self, secret: bytes) -> None:
        self._keys = KeySet.of_secret(secret)

    def current(self) -> KeySet | None:
        """The secret."""
        return self._keys

    async def newer(self) -> KeySet | None:
        """The same."""
        return self._keys

    def __repr__(self) -> str:
        return "<SecretKeys>"


class ReadKeys:
    """Keys that are read from somewhere else.

    Args:
        name: Where from, for the log.
        load: Reads the JWK Set; it may block. OSError and ValueError say that it could not be had.
        refresh_s: Age at which they are read again.
        stale_s: Age until which they are believed while they cannot be read.
        retry_s: Least time between two readings because of unknown keys, and longest pause after a failure: these begin
            with a second and double.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        name: str,
        load: Callable[[], Reading],
        *,
        refresh_s: float,
        stale_s: float,
        retry_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._load = load
        self._refresh_s = refresh_s
        self._stale_s = max(stale_s, refresh_s)
        self._retry_s = retry_s
        self._clock = clock
        self._lock = threading.Lock()  # between the loop, which begins readings, and the thread, which ends them
        self._reading: Future[None] | None = None
        self._keys: KeySet | None = None
        self._read_at = self._tried_at = -math.inf
        self._due_at = -math.inf
        self._failures = 0  # in a row
        self.readings = 0

    def current(self) -> KeySet | None:
        """Those there are; begins a reading when one is due."""
        now = self._clock()
        if now >= self._due_at:
            self.begin()
        return self._keys if now - self._read_at < self._stale_s else None

    @property
    def may_have_newer(self) -> bool:
        """Whether a reading is under way, or may begin although none is due."""
        now = self._clock()
        return self._reading is not None or now >= self._due_at or now - self._tried_at >= self._retry_s

    async def newer(self) -> KeySet | None:
        """Those there are after the reading that is under way, or begins now if one may."""
        if self.may_have_newer:
            await asyncio.shield(asyncio.wrap_future(self.begin()))
        return self.current()

    def begin(self) -> "Future[None]":
        """Begins a reading, or finds the one that is under way; it ends without an exception, whatever happens."""
        with self._lock:
            if self._reading is not None:
                return self._reading
            reading = self._reading = Future()
            self._tried_at = self._clock()
            self._due_at = self._tried_at + self._retry_s
            self.readings += 1
        # A daemon: one that hangs in the system's resolver keeps no worker from ending.
        threading.Thread(target=self._read, args=(reading,), name="keys of tokens", daemon=True).start()
        return reading

    def _read(self, reading: "Future[None]") -> None:
        try:
            document = self._load()
            found = KeySet.of_jwks(document.content)
        except Exception as error:  # noqa: BLE001 - a thread has nobody else to tell
            # Who starts together with his publisher does not stand still for a whole interval because of that.
            self._due_at = self._tried_at + min(self._retry_s, 2.0**self._failures)
            self._failures = min(self._failures + 1, 16)
            if self._failures == 1:
                logger.warning(
                    "keys of tokens cannot be read from %s: %s", self._name, error, extra={"kind": "keys_unavailable"}
                )
        else:
            if self._keys is None or found.digest != self._keys.digest:
                self._keys = found
            self._read_at = self._clock() - document.age_s
            # Not all workers, and not all gateways, in the same moment.
            self._due_at = self._read_at + self._refresh_s * random.uniform(0.9, 1.0)
            if self._failures:
                self._failures = 0
                logger.warning("keys of tokens are read from %s again", self._name, extra={"kind": "keys_available"})
        with self._lock:
            self._reading = None
        reading.set_result(None)

    def __repr__(self) -> str:
        return f"<ReadKeys {self._name}: {self._keys}, {self.readings} readings>"
