"""Looks a session up in Redis, and waits only when it has to.

A plain method runs inside the callback that brought the request and costs next to nothing; so what is known already is
settled there. For what is not known it returns a coroutine: that runs in a task of its own while this request, and no
other, waits.
"""

import asyncio
import json
import time
from collections.abc import Coroutine
from typing import Annotated, Any

from tidegate import Duration, Filter, Request, Response, option, required


class Session(Filter):
    """Tells the upstream who the user of a session is; without a session there is a 401."""

    redis: str = required("host and port of the Redis that holds the sessions")
    cookie: str = option("session", "cookie with the id of the session")
    timeout: Annotated[float, Duration()] = option(0.2, "how long a look-up may take")
    remember: Annotated[float, Duration()] = option(2.0, "how long a session is believed before it is looked up again")

    def prepare(self) -> None:
        """Runs once in each worker, before the first request."""
        self._known: dict[str, tuple[str, float]] = {}
        self._denied = Response.problem(401, "There is no such session")

    def on_request(self, request: Request) -> Response | Coroutine[Any, Any, Response | None] | None:
        """Settles at once what it can."""
        session = request.cookie(self.cookie)
        if session is None or not session.isalnum():
            return self._denied
        user, until = self._known.get(session, ("", 0.0))
        if until < time.monotonic():
            return self._look_up(request, session)
        request.headers["X-User"] = user
        return None

    async def _look_up(self, request: Request, session: str) -> Response | None:
        try:
            async with asyncio.timeout(self.timeout):
                found = await self._get(f"session:{session}")
        except (OSError, TimeoutError):
            return Response.problem(503, "Sessions cannot be looked up", headers={"Retry-After": "1"})
        if found is None:
            return self._denied
        user = json.loads(found)["user"]
        if len(self._known) > 10_000:
            self._known.clear()
        self._known[session] = user, time.monotonic() + self.remember
        request.headers["X-User"] = user
        return None

    async def _get(self, key: str) -> bytes | None:
        """GET, as an inline command. A real filter would keep its connections, with a client such as redis-py."""
        host, _, port = self.redis.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        try:
            writer.write(f"GET {key}\r\n".encode())
            size = int((await reader.readline())[1:])
            return None if size < 0 else await reader.readexactly(size)
        finally:
            writer.close()
