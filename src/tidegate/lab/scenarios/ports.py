"""ports: a burst of heartbeats opens a connection to Redis each, until no local port is left."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from tidegate.bench.chart import Line, Panel
from tidegate.config.values import Address
from tidegate.errors import GatewayError
from tidegate.lab.figure import Figure, at_least, at_most
from tidegate.lab.pieces.resp import Connection, PortRange
from tidegate.lab.pieces.valkey import Valkey
from tidegate.lab.scenario import Half, Scenario
from tidegate.lab.stage import Stage
from tidegate.lab.timeline import by_step
from tidegate.redis.connection import Greeting
from tidegate.redis.lane import LaneSettings
from tidegate.redis.node import LANES, NodeSettings
from tidegate.redis.single import SingleLink

__all__ = ["OriginalPool", "Ports", "time_wait"]

PORTS = 520
IDLE, OPEN = 50, 500
BURST = 1_000
PAUSE_S = 0.05
BURSTS_MIN = 6
TIMEOUT_S = 60.0

Update = Callable[[int], Awaitable[object]]


def time_wait(port: int) -> int:
    """Sockets of this machine with this port at either end that wait out their minute."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    end = f":{port:04X}"
    return sum(row[3] == "06" and (row[1].endswith(end) or row[2].endswith(end)) for row in rows)


class OriginalPool:
    """The pool of the incident: it keeps :data:`IDLE` connections, opens up to :data:`OPEN`, and nobody waits."""

    def __init__(self, address: str, ports: PortRange) -> None:
        self.opened = 0
        self._address = address
        self._ports = ports
        self._idle: list[Connection] = []
        self._open = 0

    def __repr__(self) -> str:
        return f"<OriginalPool {self._open} open, {len(self._idle)} idle>"

    async def ask(self, *words: str | int) -> object:
        """One command; ConnectionRefusedError when too many are open, OSError when none can be opened."""
        if self._idle:
            connection = self._idle.pop()
        elif self._open >= OPEN:
            raise ConnectionRefusedError("the pool has all the connections that it may open")
        else:
            self._open += 1
            try:
                connection = await Connection.open(self._address, self._ports)
            except BaseException:
                self._open -= 1
                raise
            self.opened += 1
        answer = await connection.ask(*words)
        if len(self._idle) < IDLE:
            self._idle.append(connection)
        else:
            self._open -= 1
            connection.close()
        return answer

    def close(self) -> None:
        """Closes what is idle."""
        for connection in self._idle:
            connection.close()


class _Bursts:
    """Heartbeats that come :data:`BURST` at a time, each a coroutine that updates Redis."""

    def __init__(self, stage: Stage, valkey: Valkey) -> None:
        self.asked = 0
        self.done_s: list[float] = []
        self.failed_s: list[float] = []
        self.without_port = 0
        self._stage = stage
        self._valkey = valkey

    async def run(self, update: Update) -> dict[str, float]:
        """Bursts for as long as the half lasts; the figures that both halves have."""
        timeline, loop = self._stage.timeline, asyncio.get_running_loop()
        before = time_wait(self._valkey.port)
        connections, reads, commands = await self._server()
        timeline.watch("waiting", lambda: max(0, time_wait(self._valkey.port) - before))
        end_s = loop.time() + self._stage.seconds
        while loop.time() < end_s or self.asked < BURSTS_MIN * BURST:
            await asyncio.gather(*(self._one(update, number) for number in range(self.asked, self.asked + BURST)))
            self.asked += BURST
            await asyncio.sleep(PAUSE_S)
        waiting = max(0, time_wait(self._valkey.port) - before)
        connections_now, reads_now, commands_now = await self._server()
        return {
            "updates": self.asked,
            "lost": len(self.failed_s),
            "no_port": self.without_port,
            "opened": connections_now - connections,
            "time_wait": max(waiting, timeline.most("waiting")),
            "merged": (commands_now - commands) / max(1, reads_now - reads),
        }

    async def _server(self) -> tuple[int, int, int]:
        found = await self._valkey.statistics()
        return (
            found["total_connections_received"],
            found["total_reads_processed"],
            found["total_commands_processed"],
        )

    async def _one(self, update: Update, number: int) -> None:
        try:
            await update(number)
        except ConnectionRefusedError:
            self.failed_s.append(self._stage.timeline.seconds)
        except (OSError, GatewayError):
            self.without_port += 1
            self.failed_s.append(self._stage.timeline.seconds)
        else:
            self.done_s.append(self._stage.timeline.seconds)

    def half(self, figures: dict[str, float]) -> Half:
        """The pictures."""
        timeline = self._stage.timeline
        seconds = timeline.seconds
        waiting = Panel("Sockets in TIME_WAIT", "sockets", [timeline.line("waiting", "orange")])
        panels = [
            waiting,
            Panel(
                "Updates",
                "per second",
                [
                    Line("done", by_step(self.done_s, seconds), "blue"),
                    Line("lost", by_step(self.failed_s, seconds), "orange"),
                ],
            ),
        ]
        return Half(figures=figures, panels=panels, seconds=seconds, notes=self._stage.notes)


class Ports(Scenario):
    """The push service that ran out of ports."""

    name = "ports"
    title = "A burst of heartbeats uses up every local port"
    incident = (
        "A push service with 350,000 to 500,000 long-lived clients on six nodes updates Redis from one coroutine for "
        "each heartbeat. Its pool keeps 50 idle connections, may open 500, and lets nobody wait: each burst opens "
        "sockets, and closes them again. A closed socket keeps its port for a minute. In ten minutes 160,000 updates "
        'failed with "cannot assign requested address", with more than 20,000 sockets in TIME_WAIT, and Redis at the '
        "limit of its single thread, one command in each packet."
    )
    miniature = (
        f"Bursts of {BURST:,} updates at once from as many coroutines, to a real server on loopback, through the pool "
        f"of the incident ({IDLE} idle, {OPEN} open, nobody waits). The kernel gives ports of loopback back after a "
        f"second, not after a minute, so the pool has {PORTS} ports instead of the 28,232 of a Linux machine: a 54th. "
        "They are narrowed for its own sockets; no setting of the machine is changed, and nobody else has fewer."
    )
    remedy = (
        "The same bursts over the link that a worker's filters share: one connection for each lane, opened once. "
        "What is asked in one turn of the loop goes out in one write, whoever asked it; who finds it full waits in "
        "order."
    )
    figures = (
        Figure("updates", "updates asked for"),
        Figure("lost", "updates lost"),
        Figure("no_port", "of them because no local port was left"),
        Figure("opened", "connections opened to Redis"),
        Figure("time_wait", "most sockets in TIME_WAIT"),
        Figure("merged", "commands that Redis got with one read"),
    )
    shows = (at_least("no_port", 1), at_least("opened", OPEN))
    promises = (
        at_most("lost", 0),
        at_most("opened", len(LANES)),
        at_most("time_wait", 0),
        at_least("merged", 1.5),
    )

    async def as_it_happened(self, stage: Stage) -> Half:
        valkey = await stage.valkey()
        ports = PortRange.at_the_end(PORTS)
        if not ports.is_kernels:
            stage.notes.append(
                "This kernel narrows no single socket's ports (Linux 6.3 does): they are bound one by one."
            )
        pool = OriginalPool(valkey.address, ports)
        bursts = _Bursts(stage, valkey)
        try:
            return bursts.half(await bursts.run(lambda number: pool.ask("SET", f"presence:{number % BURST}", number)))
        finally:
            pool.close()

    async def through_tidegate(self, stage: Stage) -> Half:
        valkey = await stage.valkey()
        # A slow machine is no failure: what is counted are updates that are lost, not those that wait.
        lane = LaneSettings(timeout_s=TIMEOUT_S, wait_timeout_s=TIMEOUT_S)
        settings = NodeSettings(Greeting(connect_timeout_s=TIMEOUT_S), lanes=dict.fromkeys(LANES, lane))
        link = SingleLink("lab", Address(host="127.0.0.1", port=valkey.port), settings, _hush)
        bursts = _Bursts(stage, valkey)
        try:
            return bursts.half(
                await bursts.run(lambda number: link.data.set(f"presence:{number % BURST}", str(number)))
            )
        finally:
            link.close()


def _hush(*_: object, **__: object) -> None:
    """A link says when its server comes and goes; here it goes when the half is over."""
