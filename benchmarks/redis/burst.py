"""The port storm that is none: 500,000 presence updates from 50,000 tasks at once, beside a pool that opens and closes.

The link has one socket a lane and worker, whatever the burst. ``independent arrivals`` are updates that come one by one
at 20,000 a second, so that hardly two share a turn of the loop: as they are, with a linger of 5 ms, and as the incident
was mended, three commands or 5 ms. ``over its linger`` is what the latest of them waited beyond that until it was given
to the kernel; a turn of the loop that takes long, as on a busy machine, holds up everything and stands beside it.
The pool is what the incident had: 50 connections kept idle, 500 opened at most, nobody waits for one.
"""

import argparse
import asyncio
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hiredis
import uvloop

from benchmarks import goals, table
from benchmarks.processes import CONTENDER_CORE
from benchmarks.redis.server import valkey
from tidegate.config.values import Address
from tidegate.redis.connection import Connection
from tidegate.redis.lane import LaneSettings
from tidegate.redis.node import LANES, NodeSettings
from tidegate.redis.single import SingleLink

TASKS, UPDATES = 50_000, 10
ARRIVALS_S, ARRIVING_S = 20_000, 3.0
ARRIVING = ((0.0, 64), (0.005, 1000), (0.005, 3))  # linger and batch
TICK_S = 0.001  # of uvloop's timers
IDLE, OPEN = 50, 500


def time_wait(port: int) -> int:
    """Sockets with this port at either end that wait out their time."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(row[3] == "06" and f":{port:04X}" in (row[1][-5:], row[2][-5:]) for row in rows)


@contextmanager
def link_to(port: int, linger_s: float = 0.0, batch: int = 64) -> Iterator[SingleLink]:
    """A link that waits for a minute at most: a burst is no failure. Closing it leaves a socket in TIME_WAIT."""
    lane = LaneSettings(
        timeout_s=60.0, wait_timeout_s=60.0, linger_s=linger_s, batch=batch, max_waiting=TASKS * UPDATES
    )
    address = Address(host="127.0.0.1", port=port)
    link = SingleLink("bench", address, NodeSettings(lanes=dict.fromkeys(LANES, lane)), print)
    try:
        yield link
    finally:
        link.close()


def row(
    name: str, updates: int, took_s: float, *, sockets: int, waiting: int, writes: int | None = None, late: str = ""
) -> dict[str, str]:
    """One line of the table; ``late`` is what the latest command waited over its linger."""
    return {
        "": name,
        "updates/s": table.count(updates / took_s),
        "sockets opened": table.count(sockets),
        "new TIME_WAIT": table.count(waiting),
        "commands a write": "1" if writes is None else f"{updates / writes:.1f}",
        "over its linger": late,
    }


async def burst(port: int) -> tuple[dict[str, str], float, int, int]:
    """All tasks at once."""
    with link_to(port) as link:
        await link.data.ping()
        before, writes = time_wait(port), link.statistics().lanes[0].writes

        async def task(number: int) -> None:
            for at in range(UPDATES):
                await link.data.set(f"presence:{number}", at)

        began = time.perf_counter()
        await asyncio.gather(*(task(number) for number in range(TASKS)))
        took = time.perf_counter() - began
        lanes = link.statistics().lanes
        merged = TASKS * UPDATES / (lanes[0].writes - writes)
        sockets, waiting = sum(one.connects for one in lanes), max(0, time_wait(port) - before)
    told = row("link, burst", TASKS * UPDATES, took, sockets=sockets, waiting=waiting, writes=lanes[0].writes - writes)
    return told, merged, sockets, waiting


class Written:
    """A transport that notes when it is given a command, in ``at``."""

    def __init__(self, transport: asyncio.BaseTransport, at: list[float]) -> None:
        self._transport: Any = transport
        self.at = at

    def write(self, data: bytes) -> None:
        """Passes them on, with the time of each."""
        self.at += [time.perf_counter()] * data.count(b"\r\nSET\r\n")
        self._transport.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


@contextmanager
def noting_writes() -> Iterator[list[float]]:
    """When each command was given to the kernel, of connections that are made in the block."""
    at: list[float] = []
    really = Connection.connection_made

    def made(connection: Connection, transport: asyncio.BaseTransport) -> None:
        really(connection, Written(transport, at))  # type: ignore[arg-type]

    Connection.connection_made = made  # type: ignore[method-assign, assignment]
    try:
        yield at
    finally:
        Connection.connection_made = really  # type: ignore[method-assign]


async def arrivals(port: int, linger_s: float, batch: int = 64) -> tuple[dict[str, str], float]:
    """Updates one by one, at their time, whatever became of those before; and what the latest waited over its linger.

    What a turn of the loop took is not counted: nothing is written while another callback runs.
    """
    with noting_writes() as written, link_to(port, linger_s, batch) as link:
        await link.data.ping()
        before, writes = time_wait(port), link.statistics().lanes[0].writes
        loop = asyncio.get_running_loop()
        began, pending = loop.time(), set[asyncio.Future[object]]()
        asked: list[float] = []
        longest_turn_s, turn_at = 0.0, time.perf_counter()
        while not asked or loop.time() < began + ARRIVING_S:
            if len(asked) < (loop.time() - began) * ARRIVALS_S:
                asked.append(time.perf_counter())
                setting = link.data.set(f"presence:{len(asked)}", len(asked))
                future = asyncio.ensure_future(setting)  # noqa: TID251 - it is a future already
                pending.add(future)
                future.add_done_callback(pending.discard)
            await asyncio.sleep(0)
            longest_turn_s, turn_at = max(longest_turn_s, time.perf_counter() - turn_at), time.perf_counter()
        took = loop.time() - began
        await asyncio.gather(*pending)
        lanes, waiting = link.statistics().lanes, max(0, time_wait(port) - before)
    over_s = max(at - since for at, since in zip(written, asked, strict=True)) - linger_s
    told = row(
        "link, independent arrivals" + (f", {batch} or {linger_s * 1000:g} ms" if linger_s else ""),
        len(asked),
        took,
        sockets=sum(one.connects for one in lanes),
        waiting=waiting,
        writes=lanes[0].writes - writes,
        late=f"{over_s * 1000:.1f} ms, longest turn {longest_turn_s * 1000:.1f}",
    )
    return told, over_s - longest_turn_s


class NaivePool:
    """Keeps `IDLE` connections, opens up to `OPEN`, and lets nobody wait."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self.open = self.opened = self.refused = 0

    async def set(self, key: str, value: int) -> None:
        """One update, over a connection of its own."""
        if self.idle:
            reader, writer = self.idle.pop()
        elif self.open >= OPEN:
            self.refused += 1
            return
        else:
            self.open += 1
            self.opened += 1
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(hiredis.pack_command(("SET", key, value)))
        await reader.readline()
        if len(self.idle) < IDLE:
            self.idle.append((reader, writer))
        else:
            self.open -= 1
            writer.close()


async def naive(port: int) -> dict[str, str]:
    """A twentieth of the burst: more would take the machine's ports."""
    pool = NaivePool(port)
    before = time_wait(port)
    count = TASKS * UPDATES // 20
    began = time.perf_counter()

    async def task(number: int) -> None:
        for at in range(UPDATES):
            await pool.set(f"presence:{number}", at)
            await asyncio.sleep(0.001)

    await asyncio.gather(*(task(number) for number in range(count // UPDATES)))
    took = time.perf_counter() - began
    for _, writer in pool.idle:
        writer.close()
    await asyncio.sleep(0.1)
    name = f"naive pool, {count:,} updates, {pool.refused:,} refused"
    waiting = max(0, time_wait(port) - before)
    return row(name, count - pool.refused, took, sockets=pool.opened, waiting=waiting)


async def measure(port: int) -> tuple[list[dict[str, str]], list[goals.Verdict]]:
    """Everything in turn."""
    first, merged, sockets, waiting = await burst(port)
    one_by_one = [await arrivals(port, linger_s, batch) for linger_s, batch in ARRIVING]
    rows = [first, *(told for told, _ in one_by_one), await naive(port)]
    return rows, [
        goals.at_most("sockets opened by a worker in the burst", sockets, len(LANES)),
        goals.at_most("sockets in TIME_WAIT that the burst left", waiting, 0),
        goals.at_least("commands a system call in the burst", merged, 10),
        *(
            goals.at_most(
                f"{batch} or {linger_s * 1000:g} ms: late by more than the longest turn, seconds", over_s, TICK_S
            )
            for (linger_s, batch), (_, over_s) in zip(ARRIVING, one_by_one, strict=True)
        ),
    ]


def main(argv: Sequence[str]) -> int:
    """Measures and prints; 1 when a goal was missed."""
    argparse.ArgumentParser(prog="python -m benchmarks redis-ports", description=__doc__).parse_args(argv)
    os.sched_setaffinity(0, {CONTENDER_CORE})
    with valkey() as (port, _), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        rows, verdicts = runner.run(measure(port))
    print(table.render(rows))
    return goals.exit_code(verdicts)
