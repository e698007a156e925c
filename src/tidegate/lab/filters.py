"""Filters that workers run for the lab: what the originals did on each request, and what no filter must do."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated

from tidegate import Duration, Filter, Request, Response, option, required
from tidegate.errors import GatewayError

__all__ = ["AskWhoItIs", "Blocks", "Heart", "KeepsRecords", "Permissions"]


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


class Heart(Filter):
    """Asks Redis whether it is there, on the lane that never waits behind values."""

    redis: str = required("name of the [redis.NAME] that is asked")
    within: Annotated[float, Duration()] = option(0.25, "how long it may take")

    async def on_request(self, _: Request) -> Response | None:
        """503 when it does not answer in time."""
        try:
            await self.redis_links[self.redis].control.within(self.within).ping()
        except GatewayError:
            return Response.problem(503, "Redis does not answer in time")
        return None


class Permissions(Filter):
    """Finds a record in a cache, and asks a service where the cache has none."""

    cache: str = required("name of the [cache.NAME] that keeps records")
    service: str = required("host and port of the service that knows them")

    async def on_request(self, request: Request) -> None:
        """The path names the record."""
        await self.caches[self.cache].get(request.path.removeprefix("/"), self._ask)

    async def _ask(self, key: str) -> bytes:
        return (await _get(self.service, f"/{key}"))[1]


class AskWhoItIs(Filter):
    """Asks a service who it is, and waits for it no longer than it may."""

    service: str = required("host and port of the service")
    timeout: Annotated[float, Duration()] = option(0.2, "how long it may take")

    async def on_request(self, _: Request) -> Response | None:
        """Nobody but this request waits, and it holds nothing that others need."""
        try:
            async with asyncio.timeout(self.timeout):
                status = (await _get(self.service, "/"))[0]
        except (OSError, EOFError, TimeoutError):
            return Response.problem(503, "Nobody can be told from anybody else", headers={"Retry-After": "1"})
        return None if status == 200 else Response.problem(401, "This is nobody")


async def _get(address: str, target: str) -> tuple[int, bytes]:
    """Status and body, over a connection of its own; a filter in earnest would keep its connections."""
    host, port = address.rsplit(":", 1)
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(f"GET {target} HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"\r\ncontent-length:")[2].split(b"\r\n", 1)[0])
        return int(head.split(b" ", 2)[1]), await reader.readexactly(length)
    finally:
        writer.close()
