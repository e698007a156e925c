"""Lua scripts that run in the server: known there by their digest, sent in full only when it does not know them."""

import asyncio
import hashlib
from collections.abc import Sequence
from typing import Any

from tidegate.redis.client import Client
from tidegate.redis.commands import Argument
from tidegate.redis.errors import ReplyError

__all__ = ["Script"]


class Script:
    """One script.

    Every run is called by digest. A server that has never seen it, or has been started anew, answers NOSCRIPT, and one
    of the callers who hear so sends the text, which makes it known; the others wait for that and ask again.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.digest = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
        self.loads = 0
        self._loading: asyncio.Future[None] | None = None

    def ask(self, client: Client, *rest: Argument) -> asyncio.Future[Any]:
        """One question, by digest: what the script returns, or an error ``NOSCRIPT`` where it is not known.

        Args:
            client: As of `run`.
            rest: The number of KEYS, these, and ARGV.
        """
        return client.call("EVALSHA", self.digest, *rest)

    async def run(self, client: Client, keys: Sequence[str | bytes] = (), args: Sequence[Argument] = ()) -> Any:
        """What the script returns.

        Args:
            client: Where it runs; in a cluster all keys have to share a slot.
            keys: KEYS of the script.
            args: ARGV of the script.
        """
        rest = (len(keys), *keys, *args)
        for _ in range(2):
            try:
                return await self.ask(client, *rest)
            except ReplyError as error:
                if error.code != "NOSCRIPT":
                    raise
            if self._loading is None:
                break
            await asyncio.shield(self._loading)
        return await self._load(client, rest)

    async def _load(self, client: Client, rest: tuple[Argument, ...]) -> Any:
        loading = self._loading = asyncio.get_running_loop().create_future()
        self.loads += 1
        try:
            return await client.call("EVAL", self.text, *rest)
        finally:
            if self._loading is loading:
                self._loading = None
            loading.set_result(None)

    def __repr__(self) -> str:
        return f"<Script {self.digest[:12]} of {len(self.text)} characters, sent {self.loads} times>"
