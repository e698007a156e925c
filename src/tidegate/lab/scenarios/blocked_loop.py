"""blocked-loop: an authentication filter waits for Redis on the event loop, and health checks starve."""

from __future__ import annotations

import asyncio
import contextlib
import socket

import hiredis

from tidegate.bench.chart import Panel
from tidegate.lab.figure import Figure, at_least, at_most
from tidegate.lab.pieces.client import Load, Told, ask
from tidegate.lab.pieces.gateway import Gateway
from tidegate.lab.pieces.program import Ready
from tidegate.lab.pieces.relay import Relay
from tidegate.lab.pieces.resp import pack
from tidegate.lab.pieces.service import Answer, Request, Service
from tidegate.lab.scenario import Half, Scenario
from tidegate.lab.stage import Stage
from tidegate.process import tasks

__all__ = ["BlockedLoop", "worker"]

PER_S = 300
AWAY_S = 0.005
"""Round trip to Redis and back."""
PROBE_EVERY_S, PROBE_PATIENCE_S = 0.25, 1.0
PATIENCE_S = 30.0
BLOCKING_PER_S = 20
SESSIONS = 1_000


class _BlockingConnection:
    """A synchronous client of Redis: it waits in `recv`."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._sock = socket.create_connection((host, int(port)))
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._reader = hiredis.Reader(notEnoughData=...)

    def ask(self, *words: str | int) -> object:
        """One command and its answer."""
        self._sock.sendall(pack(words))
        while (answer := self._reader.gets()) is ...:
            self._reader.feed(self._sock.recv(4096))
        return answer


async def worker(ready: Ready, *, redis: str) -> None:
    """A gateway as it was, one loop: get the token, get its time to live, extend it, each time waiting on the loop."""
    sessions = _BlockingConnection(redis)

    async def serve(request: Request) -> Answer:
        if request.target == "/health":
            return Answer()
        key = f"session:{request.fields.get('cookie', '').removeprefix('session=')}"
        if sessions.ask("GET", key) is None:
            return Answer(401)
        sessions.ask("PTTL", key)
        sessions.ask("PEXPIRE", key, 3_600_000)
        return Answer()

    async with Service(serve) as service:
        ready(address=service.address)
        await asyncio.Event().wait()


def token(number: int) -> str:
    """Of one session after the other: who comes again at once is not looked up by everybody."""
    return f"a-session-of-ann-{number % SESSIONS}"


def cookie(number: int) -> dict[str, str]:
    """The field of a request that has it."""
    return {"Cookie": f"session={token(number)}"}


class _Orchestrator:
    """Asks for health every quarter of a second, and waits a second for the answer."""

    def __init__(self, stage: Stage, address: str, target: str) -> None:
        self.told: list[Told] = []
        self._stage = stage
        self._address = address
        self._target = target
        self._probes: list[asyncio.Task[None]] = []
        self._slowest_s = 0.0
        self._asking = tasks.start(self._ask(), "health checks of the lab")
        stage.timeline.watch("health", self._slowest_ms)

    async def _ask(self) -> None:
        while True:
            self._probes.append(tasks.start(self._one(), "a health check of the lab"))
            await asyncio.sleep(PROBE_EVERY_S)

    async def _one(self) -> None:
        told = await ask(self._address, self._target, patience_s=PROBE_PATIENCE_S)
        self.told.append(told)
        self._slowest_s = max(self._slowest_s, told.took_s)

    def _slowest_ms(self) -> float:
        slowest_s, self._slowest_s = self._slowest_s, 0.0
        return slowest_s * 1e3

    async def end(self) -> dict[str, float]:
        """Asks no more; what it has seen."""
        self._asking.cancel()
        await asyncio.gather(*self._probes)
        return {"checks": len(self.told), "starved": sum(one.status == 0 for one in self.told)}


class BlockedLoop(Scenario):
    """The gateway that was restarted again and again while its processor was idle."""

    name = "blocked-loop"
    title = "A filter waits on the event loop, and health checks starve"
    incident = (
        "An authentication filter asks Redis synchronously on the event loop: get the token, get its time to live, "
        "extend it. Four loop threads, 0.67 s of blocking in each second by the median. Fine at 1,000 requests/s a "
        "node, dead at 2,000: health checks wait behind traffic, and the orchestrator restarts the gateway. The "
        "processor stays at 60 %, so the autoscaler sees nothing. After the filter had become asynchronous a node "
        "bore 20,000."
    )
    miniature = (
        f"One loop instead of four, and a real Redis server {AWAY_S * 1e3:g} ms away behind a relay; {PER_S} "
        f"requests/s, a seventh of what killed a node. An orchestrator asks for health every {PROBE_EVERY_S:g} s and "
        f"waits for {PROBE_PATIENCE_S:g} s."
    )
    remedy = (
        "The same requests through one Tidegate worker and the session filter that ships: look-up and renewal are "
        "one command, and while it is under way everybody else goes on. Then what must not be: a filter that sleeps "
        "0.2 s on the loop. Health lives in a process of its own and answers; the error log names filter, file and "
        "line; and saturation, which autoscalers should follow, says more than 1."
    )
    figures = (
        Figure("lost", "requests not served"),
        Figure("checks", "health checks"),
        Figure("starved", "of them without an answer in time"),
        Figure("cpu", "processor time of the gateway", "%"),
        Figure("named", "lines that name the filter, file and line that blocks"),
        Figure("saturation", "greatest saturation while it blocks"),
    )
    shows = (at_least("starved", 1), at_least("lost", 1), at_most("cpu", 60))
    promises = (at_most("lost", 0), at_most("starved", 0), at_least("named", 1), at_least("saturation", 1))

    async def as_it_happened(self, stage: Stage) -> Half:
        relay = await _distant_redis(stage)
        gateway = await stage.program(f"{__name__}:worker", redis=relay.address)
        address = gateway.facts["address"]
        orchestrator = _Orchestrator(stage, address, "/health")
        began_s, before_s = stage.timeline.seconds, gateway.child.cpu_s()
        load = Load(address, per_s=PER_S, fields=cookie, patience_s=2.0)
        await load.run(stage.seconds)
        used = (gateway.child.cpu_s() - before_s) / (stage.timeline.seconds - began_s)
        figures = await orchestrator.end()
        return _half(stage, {**figures, "lost": load.count(lambda told: not told.is_served), "cpu": 100 * used})

    async def through_tidegate(self, stage: Stage) -> Half:
        relay = await _distant_redis(stage)
        gateway = await stage.gateway(_configuration(relay.address), workers=1)
        orchestrator = _Orchestrator(stage, gateway.admin, "/health/ready")
        load = Load(gateway.address, per_s=PER_S, fields=cookie, patience_s=PATIENCE_S)
        await load.run(stage.seconds)
        stage.timeline.mark("a filter blocks")
        saturation = await _blocked(gateway, max(2.5, stage.seconds / 2))
        figures = await orchestrator.end()
        named = [line for line in gateway.errors() if "kind=loop_stalled" in line and "filter=blocks" in line]
        figures |= {
            "lost": load.count(lambda told: not told.is_served),
            "named": sum("lab/filters.py" in line and " line=" in line for line in named),
            "saturation": saturation,
        }
        return _half(stage, figures)


async def _distant_redis(stage: Stage) -> Relay:
    """A server with sessions, and a line to it that takes its time."""
    valkey = await stage.valkey()
    for number in range(SESSIONS):
        await valkey.ask("SET", f"session:{token(number)}", '{"user": "ann"}', "PX", 600_000)
    relay = await stage.relay(valkey.address)
    relay.delay_s = AWAY_S / 2
    return relay


async def _blocked(gateway: Gateway, seconds: float) -> float:
    """The loop is held all the time; the greatest saturation meanwhile."""
    most = 0.0
    load = Load(gateway.address, per_s=BLOCKING_PER_S, target="/blocking", patience_s=seconds)
    sending = tasks.start(load.run(seconds), "load of the lab")
    while not sending.done():
        with contextlib.suppress(TypeError):  # nothing is known yet
            most = max(most, float((await gateway.status())["saturation"]))
        await asyncio.sleep(0.1)
    return most


def _half(stage: Stage, figures: dict[str, float]) -> Half:
    timeline = stage.timeline
    panel = Panel("Slowest health check", "ms", [timeline.line("health", "orange")])
    return Half(figures=figures, panels=[panel], seconds=timeline.seconds, marks=timeline.marks, notes=stage.notes)


def _configuration(redis: str) -> str:
    return f"""
[redis.sessions]
url = "redis://{redis}/0"
timeout = "{PATIENCE_S:g}s"
connect_timeout = "{PATIENCE_S:g}s"
[cache.sessions]
memory = "4MiB"
[filters.sessions]
class = "tidegate.filters.session_auth:SessionAuth"
redis = "sessions"
cache = "sessions"
timeout = "{PATIENCE_S:g}s"
ttl = "1h"
[filters.blocks]
class = "tidegate.lab.filters:Blocks"
[[routes]]
name = "blocking"
path = "/blocking"
filters = ["blocks"]
respond = {{}}
[[routes]]
name = "all"
filters = ["sessions"]
respond = {{}}
"""
