"""The stampede that took a gateway down every morning: a shared record of 20 MB that every request needs, over a link
that heartbeats share, read by four workers at once; through a cache, and beside it as it happened.

``expired``: four workers have lost the record, which Redis has, while 1,000 requests a second need it; the link is
capped at 100 Mbit/s. ``cold``: 250 callers in each of four workers ask in one moment, while records of 0.5 MB are
written in the background; the link is capped at 1 Gbit/s. ``naive`` is the first without cache and lanes: every request
fetches.

A heartbeat is a PING on the lane for what must not wait; the naive form has one lane. Link and server are real, workers
are processes that share memory; the relay that caps the link runs in this process and counts the bytes.
"""

import argparse
import asyncio
import multiprocessing
import os
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from multiprocessing.connection import Connection
from multiprocessing.reduction import DupFd
from pathlib import Path
from typing import Any, NamedTuple

import uvloop

from benchmarks import goals, table
from benchmarks.redis.server import valkey
from tidegate.cache.cache import Cache
from tidegate.cache.machine import MachineTier
from tidegate.config.cache import Cache as Settings
from tidegate.config.values import Address, parse_address
from tidegate.errors import GatewayError
from tidegate.memory.generations import GENERATIONS_SIZE, Generations
from tidegate.memory.region import Region
from tidegate.memory.single_flight import SingleFlight
from tidegate.redis.lane import LaneSettings
from tidegate.redis.node import LANES, NodeSettings
from tidegate.redis.single import SingleLink
from tidegate.testing.relay import Relay

WORKERS = 4
SIZE = 20_000_000
SESSION = 500_000
KEY = "shared"
EACH_S = 250  # requests a second and worker, or callers at once
SECONDS = 6.0
DEADLINE_S = 10.0
BEAT_S = 0.01


class Case(NamedTuple):
    """What is played. ``budget``: bytes a second that large values may take; ``sessions``: written by one worker."""

    name: str
    link_bytes_s: float
    budget: int
    piece: int
    is_naive: bool = False
    is_at_once: bool = False
    sessions: int = 0


class Told(NamedTuple):
    """What a worker tells."""

    answered: int
    late: int
    reads: int
    loads: int
    beats_ms: list[float]
    waits_ms: list[float]


def link_to(address: Address) -> SingleLink:
    """Nobody is turned away here, and a large value has a minute."""
    lane = LaneSettings(timeout_s=60.0, wait_timeout_s=60.0, max_bytes=1 << 30)
    return SingleLink("bench", address, NodeSettings(lanes=dict.fromkeys(LANES, lane)), print)


def settings(case: Case) -> Settings:
    """The cache of every worker."""
    return Settings(
        redis="bench",
        memory=128 << 20,
        machine=256 << 20,
        ttl=4 * 3600.0,
        wait=DEADLINE_S,
        redis_in_flight=case.piece,
        redis_bytes_per_s=case.budget,
    )


async def load(key: Any) -> bytes:
    """The origin, which is not to be asked: Redis has the record."""
    raise AssertionError(f"the origin was asked for {key!r}")


async def play(case: Case, get: Callable[[], Awaitable[bytes]], ping: Callable[[], Any]) -> list[list[float]]:
    """Requests and heartbeats of one worker: waits of those who were answered, of those who were not, and of beats."""
    loop = asyncio.get_running_loop()
    until = loop.time() + SECONDS
    waits: list[float] = []
    late: list[float] = []
    beats: list[float] = []

    async def request() -> None:
        began = loop.time()
        try:
            async with asyncio.timeout(DEADLINE_S):
                answer = await get()
        except (TimeoutError, GatewayError):
            late.append(loop.time() - began)
        else:
            assert len(answer) == SIZE
            waits.append(loop.time() - began)

    async def heartbeat() -> None:
        while loop.time() < until:
            began = loop.time()
            try:
                async with asyncio.timeout(DEADLINE_S):
                    await ping()
            except (TimeoutError, GatewayError):
                pass
            beats.append((loop.time() - began) * 1000)
            await asyncio.sleep(BEAT_S)

    async with asyncio.TaskGroup() as group:
        group.create_task(heartbeat())
        for number in range(EACH_S if case.is_at_once else round(EACH_S * SECONDS)):
            group.create_task(request())
            if not case.is_at_once and number % 5 == 4:
                await asyncio.sleep(5 / EACH_S)
    return [waits, late, beats]


async def work(case: Case, address: str, region: Region, slot: int, directory: Path) -> Told:
    """One worker."""
    link = link_to(parse_address(address))
    await link.control.ping()
    if case.is_naive:
        waits, late, beats = await play(case, lambda: fetch(link), link.data.ping)
        link.close()
        return Told(len(waits), len(late), len(waits), 0, beats, [one * 1000 for one in waits])
    # Opened while nobody asks, as a worker does before it is ready.
    machine = MachineTier.open(directory / "caches" / "bench", 256 << 20, print)
    flights = SingleFlight(region.mapping, region.secret, slot)
    cache = Cache("bench", settings(case), region.generations(), link=link, flights=flights, machine=machine)
    # A machine that has just begun hears which version there is, and believes nothing from before.
    await cache.preload(())
    writing = write(cache, case.sessions) if slot == 0 else write(cache, 0)
    (waits, late, beats), _ = await asyncio.gather(
        play(case, lambda: cache.get(KEY, load), link.control.ping),
        writing,
    )
    seen = cache.statistics()
    reads = 0 if seen.redis is None else seen.redis.large
    cache.close()
    machine.close()
    link.close()
    return Told(len(waits), len(late), reads, seen.loads, beats, [one * 1000 for one in waits])


async def fetch(link: SingleLink) -> bytes:
    """What every request did: the whole record, over the one connection."""
    found = await link.data.get(f"cache:bench:{{{KEY}}}")
    return (found or b"")[-SIZE:]


async def write(cache: Cache, count: int) -> None:
    """Records of sessions, one after the other."""
    for number in range(count):
        await cache.set(f"session:{number}", bytes(SESSION))


def worker(slot: int, told: Connection) -> None:
    """The process of a worker; what it is to do comes when all are there."""
    case, address, shared, directory = told.recv()
    region = Region.attach(shared.detach())
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        told.send(runner.run(work(case, address, region, slot, directory)))


async def prepare(address: str) -> None:
    """Puts the record into Redis, not over the capped link."""
    link = link_to(parse_address(address))
    generations = Generations(bytearray(GENERATIONS_SIZE))
    cache = Cache("bench", Settings(redis="bench", memory=128 << 20, ttl=4 * 3600.0), generations, link=link)
    await cache.set(KEY, os.urandom(SIZE))
    cache.close()
    link.close()


def run(case: Case) -> tuple[dict[str, str], list[goals.Verdict]]:
    """Plays a case with workers of its own."""
    context = multiprocessing.get_context("spawn")
    folder = Path(tempfile.mkdtemp(prefix="tidegate-stampede-", dir="/dev/shm"))
    region = Region.create(WORKERS)
    try:
        with valkey() as (port, _):
            asyncio.run(prepare(f"127.0.0.1:{port}"))
            with Relay(f"127.0.0.1:{port}") as relay:
                relay.bytes_per_s = case.link_bytes_s
                ends, processes = [], []
                for slot in range(WORKERS):
                    here, there = context.Pipe()
                    processes.append(context.Process(target=worker, args=(slot, there), daemon=True))
                    processes[-1].start()
                    ends.append(here)
                for end in ends:
                    end.send((case, relay.address, DupFd(region.fd), folder))
                told: list[Told] = [end.recv() for end in ends]
                for process in processes:
                    process.join()
                passed = relay.bytes_passed
    finally:
        region.close()
        shutil.rmtree(folder, ignore_errors=True)
    return judged(case, told, passed)


def at_share(values: list[float], share: float) -> float:
    """The value that so many of them do not exceed."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))] if values else float("nan")


def judged(case: Case, told: list[Told], passed: int) -> tuple[dict[str, str], list[goals.Verdict]]:
    """A line of the table, and what was demanded of it."""
    answered, late = sum(one.answered for one in told), sum(one.late for one in told)
    reads = sum(one.reads for one in told)
    beats = [beat for one in told for beat in one.beats_ms]
    waits = [wait for one in told for wait in one.waits_ms]
    values = (passed - case.sessions * SESSION) / SIZE
    row = {
        "": case.name,
        "answered": table.count(answered),
        "not in time": table.count(late),
        "reads of the record": table.count(reads),
        "records over the link": f"{values:.2f}",
        "wait p50": f"{at_share(waits, 0.5):,.0f} ms",
        "wait max": f"{at_share(waits, 1):,.0f} ms",
        "heartbeat p99": f"{at_share(beats, 0.99):,.1f} ms",
    }
    if case.is_naive:
        return row, []
    bound_ms = 5 if case.is_at_once else 50
    return row, [
        goals.at_most(f"{case.name}: reads of the record", reads, 1),
        goals.at_most(f"{case.name}: records over the link", values, 2),
        goals.at_most(f"{case.name}: requests not answered in time", late, 0),
        goals.at_most(f"{case.name}: heartbeat p99 in milliseconds", at_share(beats, 0.99), bound_ms),
        goals.at_most(f"{case.name}: questions to the origin", sum(one.loads for one in told), 0),
    ]


def main(argv: Sequence[str]) -> int:
    """Plays the cases and prints; 1 when a goal was missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks stampede", description=__doc__)
    parser.add_argument("--sessions", type=int, default=2000, help="records written beside the second case (2000)")
    options = parser.parse_args(argv)
    cases = [
        Case("expired, 100 Mbit/s", 12.5e6, 10_000_000, 64 << 10),
        Case("naive, 100 Mbit/s", 12.5e6, 0, 0, is_naive=True),
        Case("cold, 1 Gbit/s", 125e6, 60_000_000, 64 << 10, is_at_once=True, sessions=options.sessions),
    ]
    rows, verdicts = [], []
    for case in cases:
        row, found = run(case)
        rows.append(row)
        verdicts += found
    print(table.render(rows))
    return goals.exit_code(verdicts)
