"""Filters that are measured: what one Python method on each request costs, and a worker full of live objects."""

import asyncio
import os
import time

from tidegate import Filter, Request, Response, option


class ReadOneSetTwo(Filter):
    """Reads one header and sets two, synchronously."""

    def on_request(self, request: Request) -> None:
        """The smallest thing a real filter does."""
        agent = request.headers.get("user-agent")
        request.headers["x-bench-agent"] = agent or "none"
        request.headers["x-bench-plan"] = "gold"


class ReadOneSetTwoAsync(Filter):
    """The same in an ``async`` method that never waits."""

    async def on_request(self, request: Request) -> None:
        """Costs a coroutine, and whatever the gateway does to carry it."""
        agent = request.headers.get("user-agent")
        request.headers["x-bench-agent"] = agent or "none"
        request.headers["x-bench-plan"] = "gold"


class MillionObjects(Filter):
    """Keeps a million objects that the cyclic collector tracks alive in the worker, and looks at one a request."""

    _kept: list[dict[str, list[int]]] | None = None

    def on_request(self, request: Request) -> None:
        """Makes them at the first request, so that they are there whatever the gateway freezes when it starts."""
        if self._kept is None:
            MillionObjects._kept = [{"row": [number]} for number in range(500_000)]
        request.headers["x-bench-kept"] = "1"


class NamesWorker(Filter):
    """Answers ``/pid`` with the worker's pid."""

    def on_request(self, request: Request) -> Response | None:
        """Lets all else pass."""
        return Response(200, str(os.getpid()).encode()) if request.path == "/pid" else None


class SleepsOnDemand(Filter):
    """Answers with the worker's pid; ``/sleep`` holds the loop for 0.2 s before."""

    def on_request(self, request: Request) -> Response:
        """What a synchronous call to a slow store does."""
        if request.path == "/sleep":
            time.sleep(0.2)
        return Response(200, str(os.getpid()).encode())


class ComputesOnDemand(Filter):
    """``/compute`` holds the worker for good, in Python; ``/keep`` makes and keeps a thousand objects."""

    kept: list[list[int]] = []  # noqa: RUF012 - what a leak is

    def on_request(self, request: Request) -> Response:
        """What a profile is taken of."""
        if request.path == "/compute":
            while True:
                sum(range(100))
        if request.path == "/keep":
            self.kept += [[number] for number in range(1000)]
        return Response(200, b"done")


class AsksRedisOnTheLoop(Filter):
    """Sessions as in the incident of the blocked loop: a client that blocks, and three round trips for each request."""

    port: int = option(6379, "of the server on loopback")

    def prepare(self) -> None:
        """One connection, as long as one request at a time is all there can be."""
        import valkey

        self._server = valkey.Valkey(port=self.port)

    def on_request(self, request: Request) -> Response | None:
        """Get the session, get its time, extend it."""
        key = f"session:{request.headers.get('x-api-key')}"
        if self._server.get(key) is None:
            return Response(401)
        if self._server.ttl(key) < 14_400:
            self._server.expire(key, 14_400)
        return None


class TurnsOfTheLoop(Filter):
    """Answers with the milliseconds that turns of the worker's loop have taken since it was asked last.

    A timer of one millisecond says how much processor time its thread has spent since it fired last: what a turn takes
    of itself, whatever else the machine does meanwhile.
    """

    _spent_s = 0.0
    _turns_ms: list[float] | None = None

    def on_request(self, request: Request) -> Response:
        """Begins with the first."""
        del request
        turns_ms, self._turns_ms = self._turns_ms or [], []
        if not self._spent_s:
            self._look()
        return Response.json(turns_ms)

    def _look(self) -> None:
        spent_s = time.thread_time()
        if self._spent_s and self._turns_ms is not None:
            self._turns_ms.append((spent_s - self._spent_s) * 1e3)
        self._spent_s = spent_s
        asyncio.get_running_loop().call_later(0.001, self._look)
