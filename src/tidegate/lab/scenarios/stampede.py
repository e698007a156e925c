"""stampede: every worker fetches the record that all share, again and again, and heartbeats wait behind it."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import NamedTuple, cast

from tidegate.bench.chart import Line, Panel
from tidegate.lab.figure import Figure, at_least, at_most
from tidegate.lab.pieces.client import Load, ask
from tidegate.lab.pieces.program import Ready
from tidegate.lab.pieces.relay import Relay
from tidegate.lab.pieces.resp import Connection
from tidegate.lab.pieces.service import Answer, Request, Service
from tidegate.lab.scenario import Half, Scenario
from tidegate.lab.stage import Stage
from tidegate.lab.timeline import slowest_by_step
from tidegate.process import tasks

__all__ = ["Recent", "Stampede", "worker"]

WORKERS, ENTRIES = 2, 10
SHARED_BYTES, LOGIN_BYTES = 500_000, 12_500
LOGINS, CHECKS = 40, 64
LINK_BYTES_PER_S = 8e6
BEATS_PER_S, BEAT_S = 20, 0.25
PATIENCE_S = 60.0


def record(key: str) -> bytes:
    """What the permission API knows under a key."""
    return b"p" * (SHARED_BYTES if key.startswith("shared") else LOGIN_BYTES)


# -- as it happened ----------------------------------------------------------------------------------------------------


class Recent:
    """The cache of the incident: so many entries, whatever their size, those that were used last."""

    def __init__(self, entries: int) -> None:
        self._entries = entries
        self._values: OrderedDict[str, bytes] = OrderedDict()

    def get(self, key: str) -> bytes | None:
        """What is remembered."""
        if key in self._values:
            self._values.move_to_end(key)
        return self._values.get(key)

    def put(self, key: str, value: bytes) -> None:
        """Remembers it, and forgets what was used longest ago."""
        self._values[key] = value
        self._values.move_to_end(key)
        while len(self._values) > self._entries:
            self._values.popitem(last=False)


class _Heart:
    """A worker's connection for heartbeats, over the same line as everything else."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._connection: Connection | None = None
        self._turn = asyncio.Lock()

    async def beats(self) -> bool:
        """Whether Redis answers in time; if not, the connection is given up."""
        async with self._turn:
            try:
                async with asyncio.timeout(BEAT_S):
                    if self._connection is None:
                        self._connection = await Connection.open(self._address)
                    await self._connection.ask("PING")
            except TimeoutError:
                if self._connection is not None:
                    self._connection.close()
                self._connection = None
                return False
            return True


async def worker(ready: Ready, *, redis: str) -> None:
    """A gateway as it was: each coroutine that finds nothing at hand fetches for itself."""
    recent = Recent(ENTRIES)
    heart = _Heart(redis)

    async def serve(request: Request) -> Answer:
        key = request.target.removeprefix("/")
        if key == "beat":
            return Answer(200 if await heart.beats() else 503)
        if recent.get(key) is None:
            connection = await Connection.open(redis)
            try:
                recent.put(key, cast(bytes, await connection.ask("GET", f"permissions:{key}")))
            finally:
                connection.close()
        return Answer()

    async with Service(serve) as service:
        ready(address=service.address)
        await asyncio.Event().wait()


# -- the same for both -------------------------------------------------------------------------------------------------


class Doors(NamedTuple):
    """Whom clients ask: each worker's door as it happened, one door through Tidegate."""

    addresses: list[str]

    def of(self, number: int) -> str:
        """The door of a request."""
        return self.addresses[number % len(self.addresses)]


async def _mornings(stage: Stage, relay: Relay, doors: Doors) -> Half:
    """The shared record is in use; logins come; then everybody needs the shared record at once. Again and again."""
    timeline = stage.timeline
    passed = _Passed(relay)
    timeline.watch("link", passed.per_s)
    beats = [Load(address, per_s=BEATS_PER_S, target="/beat", patience_s=PATIENCE_S) for address in doors.addresses]
    for number in range(3 * len(doors.addresses)):
        await ask(doors.of(number), "/shared", patience_s=PATIENCE_S)
    beating = [tasks.start(load.run(), "heartbeats of the lab") for load in beats]
    rounds = max(1, int(stage.seconds / 2))
    lost = carried = 0
    for morning in range(rounds):
        timeline.mark("logins")
        for number in range(LOGINS):
            await ask(doors.of(number), f"/login:{morning}:{number}", patience_s=PATIENCE_S)
        timeline.mark("all at once")
        before = relay.bytes_passed
        # Half of them need the record that was in use all the time, half one that is new this morning.
        keys = ("/shared", f"/shared:{morning}")
        told = await asyncio.gather(
            *(ask(doors.of(number), keys[number // 2 % 2], patience_s=PATIENCE_S) for number in range(CHECKS))
        )
        carried += relay.bytes_passed - before
        lost += sum(not one.is_served for one in told)
        await asyncio.sleep(stage.seconds / 10)
    for load in beats:
        load.stop()
    await asyncio.gather(*beating)
    waits = [one for load in beats for one in load.told]
    told_of = ((one.at_s - timeline.began_s, one.took_s) for one in waits)
    slowest = Line("of a tenth of a second", slowest_by_step(told_of, timeline.seconds), "purple")
    return Half(
        figures={
            "checks": CHECKS * rounds,
            "lost": lost,
            "carried": carried / rounds / SHARED_BYTES,
            "beats": len(waits),
            "dead": sum(not one.is_served for one in waits),
        },
        panels=[
            Panel("Link to Redis", "MB/s", [timeline.line("link", "orange")]),
            Panel("Slowest heartbeat", "ms", [slowest]),
        ],
        seconds=timeline.seconds,
        marks=timeline.marks,
        notes=stage.notes,
    )


class _Passed:
    """How much a relay passes on, as a rate since the last look."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay
        self._loop = asyncio.get_running_loop()
        self._last = (self._loop.time(), relay.bytes_passed)

    def per_s(self) -> float:
        """Megabytes a second."""
        (before_s, before), self._last = self._last, (self._loop.time(), self._relay.bytes_passed)
        return (self._last[1] - before) / max(self._last[0] - before_s, 1e-3) / 1e6


class Stampede(Scenario):
    """The morning on which every connection died at six."""

    name = "stampede"
    title = "Every coroutine fetches the record that all share"
    incident = (
        "Eight workers keep 100 entries each, whatever their size, in front of Redis, in front of a permission API. "
        "One record of 20 MB is shared by all; each login brings one of 0.5 MB, and more than 2,000 logins an hour "
        "push the shared record out. Then every coroutine that misses it fetches it, while the first fetch is still "
        "under way: 32 fetches where 8 were expected. A link of 10 Gbit/s is full, heartbeats wait behind the values "
        "on it, and every connection of the gateway dies, at six every morning."
    )
    miniature = (
        f"{WORKERS} workers of {ENTRIES} entries and a real Redis server behind a line of {LINK_BYTES_PER_S / 1e6:g} "
        f"MB/s, a 156th. Records are a 40th: {SHARED_BYTES:,} and {LOGIN_BYTES:,} bytes. {LOGINS} logins come, then "
        f"{CHECKS} requests at once that need a shared record: half of them the one that was in use before, half one "
        f"that is new this morning. Each worker's heartbeat has {BEAT_S:g} s."
    )
    remedy = (
        "The same requests through Tidegate. Its cache is bounded in bytes and keeps what is in use through any "
        "flood of what is not; a key is fetched once for the machine, and the others wait for it; heartbeats travel "
        "on a lane of their own, and large values in pieces. A new shared record is on the link as often as there "
        "are workers: once written by who has fetched it, and read by each other one."
    )
    figures = (
        Figure("checks", "requests that need a shared record"),
        Figure("lost", "of them not served"),
        Figure("carried", "shared records' worth of bytes over the link each time"),
        Figure("beats", "heartbeats"),
        Figure("dead", "of them too late"),
    )
    shows = (at_least("carried", 4 * WORKERS), at_least("dead", 1))
    promises = (at_most("lost", 0), at_most("carried", WORKERS + 1), at_most("dead", 0))

    async def as_it_happened(self, stage: Stage) -> Half:
        valkey = await stage.valkey()
        await valkey.ask("SET", "permissions:shared", record("shared"))
        for morning in range(max(1, int(stage.seconds / 2))):
            await valkey.ask("SET", f"permissions:shared:{morning}", record("shared"))
            for number in range(LOGINS):
                key = f"login:{morning}:{number}"
                await valkey.ask("SET", f"permissions:{key}", record(key))
        relay = await _line_to(valkey.address, stage)
        workers = [await stage.program(f"{__name__}:worker", redis=relay.address) for _ in range(WORKERS)]
        return await _mornings(stage, relay, Doors([one.facts["address"] for one in workers]))

    async def through_tidegate(self, stage: Stage) -> Half:
        async def permissions(request: Request) -> Answer:
            return Answer(body=record(request.target.removeprefix("/")))

        valkey = await stage.valkey()
        api = await stage.service(permissions)
        relay = await _line_to(valkey.address, stage)
        gateway = await stage.gateway(_configuration(relay.address, api.address), workers=WORKERS)
        return await _mornings(stage, relay, Doors([gateway.address] * WORKERS))


async def _line_to(address: str, stage: Stage) -> Relay:
    relay = await stage.relay(address)
    relay.bytes_per_s = LINK_BYTES_PER_S
    return relay


def _configuration(redis: str, api: str) -> str:
    return f"""
[redis.main]
url = "redis://{redis}/0"
[cache.permissions]
redis = "main"
memory = "4MiB"
ttl = "1h"
wait = "30s"
redis_bytes_per_s = "{LINK_BYTES_PER_S / 4096:.0f}KiB"
[filters.permissions]
class = "tidegate.lab.filters:Permissions"
cache = "permissions"
service = "{api}"
[filters.heart]
class = "tidegate.lab.filters:Heart"
redis = "main"
within = "{BEAT_S:g}s"
[[routes]]
name = "heart"
path = "/beat"
filters = ["heart"]
respond = {{}}
[[routes]]
name = "all"
filters = ["permissions"]
respond = {{}}
"""
