"""One fetch for a whole fleet: who fetches a key holds a lease on it in Redis, by the lane that never waits for values.

The holder renews it while it fetches; one that dies is followed when the rest of its lease has passed. Who may not
fetch looks again after a short random pause, and takes the lease when it is free. When Redis cannot be asked there is
no lease: every machine fetches for itself.
"""

import asyncio
import random
import secrets
from typing import Final

from tidegate.errors import GatewayError
from tidegate.process import tasks
from tidegate.redis.client import Client
from tidegate.redis.errors import ReplyError
from tidegate.redis.scripts import Script

__all__ = ["LEASE_S", "Lease", "lease", "pause"]

LEASE_S: Final = 3.0
_RENEW_S: Final = LEASE_S / 3
_PAUSE_S: Final = 0.05

_RELEASE: Final = Script("if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0")
_RENEW: Final = Script(
    "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end return 0"
)


class Lease:
    """The right to fetch a key, renewed until it is given back."""

    def __init__(self, client: Client, key: bytes, token: bytes) -> None:
        self._client = client
        self._key = key
        self._token = token
        self._renewal: asyncio.Task[None] | None = tasks.start(self._renew(), f"renew {key!r}")

    async def release(self) -> None:
        """Gives it back; when Redis cannot be told it ends by itself."""
        if self._renewal is None:
            return
        self._renewal.cancel()
        self._renewal = None
        try:
            await _RELEASE.run(self._client, [self._key], [self._token])
        except (GatewayError, ReplyError):
            return

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(_RENEW_S)
            try:
                if not await _RENEW.run(self._client, [self._key], [self._token, round(LEASE_S * 1000)]):
                    return
            except (GatewayError, ReplyError):
                continue

    def __repr__(self) -> str:
        return f"<Lease {self._key!r}{'' if self._renewal else ', given back'}>"


async def lease(client: Client, key: bytes) -> Lease | None:
    """The lease on ``key``; None when somebody else has it. Raises GatewayError when Redis cannot say."""
    token = secrets.token_bytes(8)
    if await client.set(key, token, ttl_s=LEASE_S, only_if="absent") is None:
        return None
    return Lease(client, key, token)


async def pause(chance: random.Random) -> None:
    """Between two looks whether another machine has fetched what one wants."""
    await asyncio.sleep(_PAUSE_S * (0.5 + chance.random()))
