"""Filters that workers run for the lab: what the originals did on each request, done well and done wrong."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated

from tidegate import Duration, Filter, Request, Response, option, required

__all__ = ["AskWhoItIs", "Blocks", "KeepsRecords", "Sessions"]


class Sessions(Filter):
    """Finds a session in Redis and makes it last longer, with three commands, without holding the loop."""

    redis: str = required("name of the [redis.NAME] that holds the sessions")

    async def on_request(self, request: Request) -> Response | None:
        """Get the token, get its time to live, extend it."""
        key = f"session:{request.headers.get('x-session', '')}"
        lane = self.redis_links[self.redis].data
        if await lane.get(key) is None:
            return Response.problem(401, "There is no such session")
        if (await lane.ttl_s(key) or 0.0) < 3600.0:
            await lane.expire(key, 3600.0)
        return None


class Blocks(Filter):
    """What a filter must not do."""

    holds: Annotated[float, Duration()] = option(0.2, "how long it holds the loop of its worker")

    def on_request(self, _: Request) -> None:
        """Sleeps, as a synchronous client does that waits for its server."""
        time.sleep(self.holds)


class KeepsRecords(Filter):
    """Holds many records that the collector has to look at, and reads one for each request."""

    records: int = option(1000, "how many")

    def prepare(self) -> None:
        """Makes them before the worker serves."""
        self._records = [{"row": [number]} for number in range(self.records)]

    def on_request(self, request: Request) -> None:
        """Reads one."""
        request.headers["x-row"] = str(self._records[hash(request.id) % self.records]["row"][0])


class AskWhoItIs(Filter):
    """Asks a service who it is, and waits for it no longer than it may."""

    service: str = required("host and port of the service")
    timeout: Annotated[float, Duration()] = option(0.2, "how long it may take")

    async def on_request(self, _: Request) -> Response | None:
        """Nobody but this request waits, and it holds nothing that others need."""
        host, port = self.service.rsplit(":", 1)
        try:
            async with asyncio.timeout(self.timeout):
                reader, writer = await asyncio.open_connection(host, int(port))
                try:
                    writer.write(b"GET / HTTP/1.1\r\nHost: who\r\nConnection: close\r\n\r\n")
                    status = int((await reader.readuntil(b"\r\n\r\n")).split(b" ", 2)[1])
                finally:
                    writer.close()
        except (OSError, EOFError, TimeoutError):
            return Response.problem(503, "Nobody can be told from anybody else", headers={"Retry-After": "1"})
        return None if status == 200 else Response.problem(401, "This is nobody")
