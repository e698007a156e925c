"""limiter: counters in Redis that go out of step when a worker dies, charge who is refused, and see no slow backend."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import time
from typing import cast

from tidegate.bench.chart import Panel
from tidegate.lab.figure import Figure, at_least, at_most
from tidegate.lab.pieces.client import Load, Told, ask
from tidegate.lab.pieces.program import Ready
from tidegate.lab.pieces.resp import Connection
from tidegate.lab.pieces.service import Answer, Request, Service
from tidegate.lab.scenario import Half, Scenario
from tidegate.lab.stage import Stage, until
from tidegate.process import tasks

__all__ = ["Limiter", "worker"]

PERMITS = 20
HELD = 12
REFUSED = 30
QUOTA = 10_000
PER_S = 100
FAST_S, SLOW_S = 0.05, 0.8
PATIENCE_S = 60.0
KEY = "a key of acme"
TENANT = {"X-API-Key": KEY}


class Backend:
    """What the limits protect: ``/held`` answers when it is let go, everything else after ``takes_s``."""

    def __init__(self) -> None:
        self.takes_s = FAST_S
        self.let_go = asyncio.Event()

    async def answer(self, request: Request) -> Answer:
        """One request."""
        if request.target == "/held":
            await self.let_go.wait()
        elif request.target == "/rated":
            await asyncio.sleep(self.takes_s)
        return Answer()


# -- as it happened ----------------------------------------------------------------------------------------------------


class _Counters:
    """The limiter of the original: counters in Redis, changed one by one."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._idle: list[Connection] = []

    async def ask(self, *words: str | int) -> int:
        """One command of which a number is the answer."""
        connection = self._idle.pop() if self._idle else await Connection.open(self._address)
        answer = await connection.ask(*words)
        self._idle.append(connection)
        return cast(int, answer)


async def worker(ready: Ready, *, redis: str, upstream: str) -> None:
    """A gateway as it was: charges the contract, then the rate or the permits, and takes back permits alone."""
    counters = _Counters(redis)

    async def serve(request: Request) -> Answer:
        await counters.ask("INCR", "charged:acme")
        if request.target == "/rated":
            if await counters.ask("INCR", f"rate:{int(time.time())}") > 2 * PER_S:
                return Answer(429)
            return await passed(request)
        if await counters.ask("INCR", "in-flight") > PERMITS:
            await counters.ask("DECR", "in-flight")
            return Answer(503)
        try:
            return await passed(request)
        finally:
            await counters.ask("DECR", "in-flight")

    async def passed(request: Request) -> Answer:
        told = await ask(upstream, request.target, patience_s=PATIENCE_S)
        return Answer(told.status or 502)

    async with Service(serve) as service:
        ready(address=service.address)
        await asyncio.Event().wait()


# -- the same acts for both --------------------------------------------------------------------------------------------


class _Acts:
    """Clients and backend, the same in both halves."""

    def __init__(self, stage: Stage, backend: Backend, service: Service) -> None:
        self.figures: dict[str, float] = {}
        self._stage = stage
        self._backend = backend
        self._service = service
        self._holding: list[asyncio.Task[Told]] = []
        stage.timeline.watch("at the backend", lambda: service.in_flight)

    async def hold(self, address: str, count: int) -> int:
        """So many more ask for what takes until it is let go; how many of them the backend has got."""
        before, had = sum(task.done() for task in self._holding), self._service.in_flight
        for _ in range(count):
            asked = ask(address, "/held", TENANT, patience_s=PATIENCE_S)
            self._holding.append(tasks.start(asked, "a client of the lab"))

        def is_told() -> bool:
            refused = sum(task.done() for task in self._holding) - before
            return self._service.in_flight - had + refused >= count

        await until(is_told, "each of those who asked is at the backend, or refused")
        return self._service.in_flight - had

    async def let_go(self) -> None:
        """Answers those who are held, and returns when nobody is at the backend."""
        self._backend.let_go.set()
        await asyncio.gather(*self._holding)
        self._holding.clear()
        await until(lambda: self._service.in_flight == 0, "the backend is empty")
        self._backend.let_go.clear()

    async def lose_a_worker(self, address: str, pid: int) -> None:
        """One that holds permits is killed."""
        await self.hold(address, HELD)
        await self._breathe()
        self._stage.timeline.mark("worker killed")
        os.kill(pid, signal.SIGKILL)
        await self.let_go()
        await self._breathe()

    async def ask_for_all(self, address: str) -> None:
        """All permits are asked for, and then more."""
        self._stage.timeline.mark("all asked for")
        self.figures["permits"] = await self.hold(address, PERMITS)
        await self.hold(address, REFUSED)
        await self._breathe()
        await self.let_go()
        await self._breathe()

    async def _breathe(self) -> None:
        """What is so now is to be seen in the picture."""
        await asyncio.sleep(self._stage.seconds / 10)

    async def slow_down(self, address: str) -> None:
        """The backend is asked at a constant rate, and slows."""
        self._backend.takes_s = FAST_S
        load = Load(address, per_s=PER_S, target="/rated", fields=TENANT, patience_s=PATIENCE_S)
        self._stage.timeline.mark("constant rate")
        sending = tasks.start(load.run(self._stage.seconds), "load of the lab")
        await asyncio.sleep(self._stage.seconds / 3)
        self._service.most_in_flight = 0
        self._backend.takes_s = SLOW_S
        self._stage.timeline.mark(f"{FAST_S * 1e3:g} → {SLOW_S * 1e3:g} ms")
        await sending
        self.figures["crowd"] = self._service.most_in_flight
        self.figures["refused"] = load.count(lambda told: told.status in (429, 503))

    def half(self) -> Half:
        """The pictures."""
        timeline = self._stage.timeline
        lines = [timeline.line("at the backend", "blue"), timeline.line("counted", "orange", is_dashed=True)]
        panel = Panel("Requests in flight, and what the limiter counts", "requests", lines)
        return Half(
            figures=self.figures,
            panels=[panel],
            seconds=timeline.seconds,
            marks=timeline.marks,
            notes=self._stage.notes,
        )


class Limiter(Scenario):
    """The counters that went out of step."""

    name = "limiter"
    title = "Counters in Redis go out of step, and a limit does not see what it protects"
    incident = (
        "A load balancer for many tenants limits rate and concurrency with counters in Redis: INCR before a request, "
        "DECR after it. A worker that dies takes its DECR with it, and the count stays too high for good: permits "
        "that nobody holds. Several limits are charged one after the other, so a request that the second one refuses "
        "has paid the first. And a fixed rate knows nothing of the backend: when that slows from 50 ms to 800 ms, 16 "
        "times as many requests are in it at once."
    )
    miniature = (
        f"Two worker processes share a limit of {PERMITS} requests at once in a real Redis server; one of them is "
        f"killed with {HELD} in its hands. Then all permits are asked for, and {REFUSED} more requests that have to "
        f"be refused. At last {PER_S} requests/s come to a backend that slows from {FAST_S * 1e3:g} ms to "
        f"{SLOW_S * 1e3:g}. The rates are a 200th of the original's 20,000 requests/s; the times are the original's."
    )
    remedy = (
        "The same clients and backend, with Tidegate and two workers between: permits in shared memory that are "
        "given back by the kernel's word that a worker is dead, limits that are charged together or not at all, and "
        "a limit that learns what the backend bears."
    )
    figures = (
        Figure("ghosts", "permits counted when nobody was in flight"),
        Figure("permits", f"permits to be had, of {PERMITS}"),
        Figure("overcharged", "requests charged to the contract and not served"),
        Figure("crowd", "most requests at once in the slow backend"),
        Figure("refused", "of that load, refused"),
        Figure("healed_s", "until the dead worker's permits were free", "s"),
    )
    shows = (
        at_least("ghosts", HELD),
        at_most("permits", PERMITS - HELD),
        at_least("overcharged", REFUSED),
        at_least("crowd", 2 * PERMITS),
    )
    promises = (
        at_most("ghosts", 0),
        at_least("permits", PERMITS),
        at_most("overcharged", 0),
        at_most("crowd", PERMITS),
    )

    async def as_it_happened(self, stage: Stage) -> Half:
        backend = Backend()
        service = await stage.service(backend.answer)
        valkey = await stage.valkey()
        arguments = {"redis": valkey.address, "upstream": service.address}
        victim = await stage.program(f"{__name__}:worker", **arguments)
        other = await stage.program(f"{__name__}:worker", **arguments)

        async def number(key: str) -> int:
            found = await valkey.ask("GET", key)
            return int(found) if isinstance(found, bytes) else 0

        stage.timeline.follow("counted", lambda: number("in-flight"))
        acts = _Acts(stage, backend, service)
        await acts.lose_a_worker(victim.facts["address"], victim.child.pid)
        acts.figures["ghosts"] = await number("in-flight")
        await acts.ask_for_all(other.facts["address"])
        acts.figures["overcharged"] = await number("charged:acme") - service.taken
        await acts.slow_down(other.facts["address"])
        return acts.half()

    async def through_tidegate(self, stage: Stage) -> Half:
        backend = Backend()
        service = await stage.service(backend.answer)
        gateway = await stage.gateway(_configuration(service.address))

        async def counted() -> int:
            limits = (await gateway.status())["limits"]
            return sum(one["in_flight"] or 0 for one in limits if one["name"] in ("permits", "learned"))

        stage.timeline.follow("counted", counted)
        acts = _Acts(stage, backend, service)
        await acts.lose_a_worker(gateway.address, (await gateway.worker_pids())[0])
        began_s = time.monotonic()
        while (ghosts := await counted()) and time.monotonic() < began_s + PATIENCE_S:
            pass  # each look is a question to the gateway
        acts.figures |= {"ghosts": ghosts, "healed_s": time.monotonic() - began_s}
        await acts.ask_for_all(gateway.address)
        taken = service.taken
        last = await ask(gateway.address, "/", TENANT, patience_s=PATIENCE_S)
        acts.figures["overcharged"] = QUOTA - remaining(last) - 1 - taken
        await acts.slow_down(gateway.address)
        return acts.half()


def remaining(told: Told) -> int:
    """What the answer says is left of the contract."""
    parts = told.fields["ratelimit"].split(";")
    return next(int(part.removeprefix("r=")) for part in parts if part.startswith("r="))


def _configuration(upstream: str) -> str:
    return f"""
[auth.tenants]
kind = "key"
keys = [{{ key = "sha256:{hashlib.sha256(KEY.encode()).hexdigest()}", subject = "acme", tenant = "acme" }}]
[limits.contract]
quota = {QUOTA}
window = "1d"
key = "auth.tenant"
report = "always"
[limits.permits]
concurrency = {PERMITS}
[limits.learned]
adaptive = {{ algorithm = "queue_delay", ceiling = {PERMITS} }}
[upstreams.backend]
endpoints = ["{upstream}"]
read_timeout = "{PATIENCE_S:g}s"
[[routes]]
name = "rated"
path = "/rated"
upstream = "backend"
auth = "tenants"
timeout = "off"
limits = ["contract", "learned"]
[[routes]]
name = "rest"
upstream = "backend"
auth = "tenants"
timeout = "off"
limits = ["contract", "permits"]
"""
