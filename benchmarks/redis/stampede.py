"""The stampede that took a gateway down every morning: a shared record of 20 MB that every request needs, over a link
that heartbeats share, read by four workers at once; through a cache, and beside it as it happened.

``expired``: four workers have lost the record, which Redis has, while 1,000 requests a second need it; the link is
capped at 100 Mbit/s. ``cold``: 250 callers in each of four workers ask in one moment, while 2,000 sessions of 0.5 MB
are being written; the link is capped at 1 Gbit/s. ``naive`` is each of them without cache and lanes: every request
fetches, and everything has one connection a worker.

A heartbeat is a PING on the lane for what must not wait; the naive form has one lane. The neighbour is somebody else's
connection over the same link, with a PING every 10 ms. Link and server are real, workers are processes that share
memory; the server counts the bytes that it sends.
"""

import argparse
import asyncio
import contextlib
import multiprocessing
import os
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from multiprocessing.reduction import DupFd
from pathlib import Path
from typing import Any, NamedTuple, Self

import uvloop

from benchmarks import goals, table
from benchmarks.redis.narrow import kind, narrow, run_on_a_line
from benchmarks.redis.server import valkey
from tidegate.cache.cache import Cache
from tidegate.cache.machine import MachineTier
from tidegate.config.cache import Cache as Settings
from tidegate.config.values import Address, parse_address
from tidegate.errors import GatewayError
from tidegate.memory.generations import GENERATIONS_SIZE, Generations
from tidegate.memory.region import Region
from tidegate.memory.single_flight import SingleFlight
from tidegate.process import tasks
from tidegate.redis.lane import LaneSettings
from tidegate.redis.node import LANES, NodeSettings
from tidegate.redis.single import SingleLink

SESSION = 500_000
KEY = "shared"
SECONDS = 6.0
PATIENCE_S = 60.0
BEAT_S = 0.01
MOMENT_S = 0.2  # from the last worker's readiness to the moment at which all begin
NEIGHBOUR_MS = 50.0

Beats = list[tuple[float, float]]
"""When each began, by the machine's monotonic clock in seconds, and how long it took in milliseconds."""


class Case(NamedTuple):
    """What is played.

    ``budget``: bytes a second that large values may take, ``piece`` of them at once; ``sessions``: written by all;
    ``each``: requests a second and worker, or callers at once, who wait for ``deadline_s``; ``size``: of the record.
    """

    name: str
    link_bytes_s: float
    budget: int
    piece: int
    is_naive: bool = False
    is_at_once: bool = False
    sessions: int = 0
    workers: int = 4
    each: int = 250
    size: int = 20_000_000
    deadline_s: float = 10.0


class Told(NamedTuple):
    """What a worker tells: ``began_s`` to ``served_s`` its callers waited, until ``ended_s`` sessions were written."""

    answered: int
    late: int
    reads: int
    loads: int
    written: int
    beats: Beats
    waits_ms: list[float]
    began_s: float
    served_s: float
    ended_s: float


def link_to(address: Address) -> SingleLink:
    """Nobody is turned away here, and a large value has a minute."""
    lane = LaneSettings(timeout_s=PATIENCE_S, wait_timeout_s=PATIENCE_S, max_bytes=1 << 30)
    return SingleLink("bench", address, NodeSettings(lanes=dict.fromkeys(LANES, lane)), print)


def settings(case: Case) -> Settings:
    """The cache of every worker."""
    return Settings(
        redis="bench",
        memory=128 << 20,
        machine=256 << 20,
        ttl=4 * 3600.0,
        wait=case.deadline_s,
        redis_in_flight=case.piece,
        redis_bytes_per_s=case.budget,
    )


async def load(key: Any) -> bytes:
    """The origin, which is not to be asked: Redis has the record."""
    raise AssertionError(f"the origin was asked for {key!r}")


class Play:
    """Requests, heartbeats and sessions of one worker."""

    def __init__(self, case: Case, told: Connection) -> None:
        self.case = case
        self.told = told
        self.waits_ms: list[float] = []
        self.late = self.written = 0
        self.beats: Beats = []
        self.served_s = 0.0
        self.is_over = False

    async def request(self, get: Callable[[], Awaitable[bytes]]) -> None:
        """One that needs the record; what ``get`` raises is that it was not there in time."""
        began = time.monotonic()
        try:
            answer = await get()
        except (TimeoutError, GatewayError):
            self.late += 1
        else:
            assert len(answer) == self.case.size
            self.waits_ms.append((time.monotonic() - began) * 1000)

    async def requests(self, get: Callable[[], Awaitable[bytes]]) -> None:
        """All of them: at once, or in little groups, and returns when the last has ended."""
        async with asyncio.TaskGroup() as group:
            each = self.case.each
            for number in range(each if self.case.is_at_once else round(each * SECONDS)):
                group.create_task(self.request(get))
                if not self.case.is_at_once and number % 5 == 4:
                    await asyncio.sleep(5 / each)
        self.served_s = time.monotonic()

    async def heartbeats(self, ping: Callable[[], Awaitable[Any]]) -> None:
        """One after the other; the one under way at the end, however late it is, is one too."""
        while not self.is_over:
            began = time.monotonic()
            with contextlib.suppress(TimeoutError, GatewayError):
                async with asyncio.timeout(self.case.deadline_s):
                    await ping()
            self.beats.append((began, (time.monotonic() - began) * 1000))
            await asyncio.sleep(BEAT_S)

    async def sessions(self, put: Callable[[str, bytes], Awaitable[Any]], slot: int) -> None:
        """This worker's part of the records of sessions, one after the other; what is refused is not written."""
        for number in range(slot, self.case.sessions, self.case.workers):
            with contextlib.suppress(GatewayError):
                await put(f"session:{number}", bytes(SESSION))
                self.written += 1

    async def run(
        self,
        slot: int,
        get: Callable[[], Awaitable[bytes]],
        ping: Callable[[], Awaitable[Any]],
        put: Callable[[str, bytes], Awaitable[Any]],
    ) -> Told:
        """Sessions first, then all the others beside them. The naive form's sessions end with its requests."""
        writing = tasks.start(self.sessions(put, slot), "sessions")
        while self.case.sessions and not self.written:  # noqa: ASYNC110 - a figure, and nobody announces it
            await asyncio.sleep(0.001)
        self.told.send(slot)
        began = await asyncio.to_thread(self.told.recv)
        await asyncio.sleep(began - time.monotonic())
        beating = tasks.start(self.heartbeats(ping), "heartbeats")
        await self.requests(get)
        if self.case.is_naive:
            writing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await writing
        ended, self.is_over = time.monotonic(), True
        await beating
        return Told(
            answered=len(self.waits_ms),
            late=self.late,
            reads=len(self.waits_ms),
            loads=0,
            written=self.written,
            beats=self.beats,
            waits_ms=self.waits_ms,
            began_s=began,
            served_s=self.served_s,
            ended_s=ended,
        )


async def work(told: Connection, slot: int) -> None:
    """One worker; what it is to do comes when all are there."""
    case, address, shared, directory = told.recv()
    region = Region.attach(shared.detach())
    play = Play(case, told)
    link = link_to(parse_address(address))
    await link.control.ping()
    if case.is_naive:
        lane = link.bulk  # for everything

        async def get() -> bytes:
            async with asyncio.timeout(case.deadline_s):  # as `wait` is for who asks a cache
                return await fetch(link, case.size)

        told.send(await play.run(slot, get, lane.ping, lane.set))
        link.close()
        return
    # Opened while nobody asks, as a worker does before it is ready.
    machine = MachineTier.open(directory / "caches" / "bench", 256 << 20, print)
    flights = SingleFlight(region.mapping, region.secret, slot)
    cache = Cache("bench", settings(case), region.generations(), link=link, flights=flights, machine=machine)
    # A machine that has just begun hears which version there is, and believes nothing from before.
    await cache.preload()
    found = await play.run(slot, lambda: cache.get(KEY, load), link.control.ping, cache.set)
    seen = cache.statistics()
    told.send(found._replace(reads=0 if seen.redis is None else seen.redis.large, loads=seen.loads))
    cache.close()
    machine.close()
    link.close()


async def fetch(link: SingleLink, size: int) -> bytes:
    """What every request did: the whole record, over the one connection."""
    found = await link.bulk.get(f"cache:bench:{{{KEY}}}")
    return (found or b"")[-size:]


def worker(slot: int, told: Connection) -> None:
    """The process of a worker."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work(told, slot))


async def prepare(address: str, size: int) -> None:
    """Puts the record into Redis, not over the capped link."""
    link = link_to(parse_address(address))
    generations = Generations(bytearray(GENERATIONS_SIZE))
    cache = Cache("bench", Settings(redis="bench", memory=128 << 20, ttl=4 * 3600.0), generations, link=link)
    await cache.set(KEY, os.urandom(size))
    cache.close()
    link.close()


class Neighbour:
    """Somebody else's connection over the same link: a heartbeat after the other, in a thread."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self.beats: Beats = []
        self._is_over = False
        self._socket = socket.create_connection((host, int(port)), timeout=PATIENCE_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._is_over:
            began = time.monotonic()
            self._socket.sendall(b"PING\r\n")
            answer = self._socket.recv(64)
            assert answer == b"+PONG\r\n"
            self.beats.append((began, (time.monotonic() - began) * 1000))
            time.sleep(BEAT_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over = True
        self._thread.join()
        self._socket.close()


def sent_by(port: int) -> int:
    """Bytes that the server has sent to anybody."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as one, one.makefile("rb") as lines:
        one.sendall(b"INFO stats\r\n")
        return next(int(line.partition(b":")[2]) for line in lines if line.startswith(b"total_net_output_bytes:"))


@contextlib.contextmanager
def shared(workers: int) -> Iterator[tuple[Region, Path]]:
    """What the workers of a machine share: memory, and a directory for the store."""
    folder = Path(tempfile.mkdtemp(prefix="tidegate-stampede-", dir="/dev/shm"))
    region = Region.create(workers)
    try:
        yield region, folder
    finally:
        region.close()
        shutil.rmtree(folder, ignore_errors=True)


def run(case: Case) -> tuple[dict[str, str], list[goals.Verdict]]:
    """Plays a case with workers of its own."""
    context = multiprocessing.get_context("spawn")
    with shared(case.workers) as (region, folder), valkey() as (port, _):
        asyncio.run(prepare(f"127.0.0.1:{port}", case.size))
        with narrow(f"127.0.0.1:{port}", case.link_bytes_s) as address:
            before = sent_by(port)
            ends, processes = [], []
            for slot in range(case.workers):
                here, there = context.Pipe()
                processes.append(context.Process(target=worker, args=(slot, there), daemon=True))
                processes[-1].start()
                ends.append(here)
            for end in ends:
                end.send((case, address, DupFd(region.fd), folder))
            with Neighbour(address) as neighbour:
                for end in ends:
                    end.recv()
                moment = time.monotonic() + MOMENT_S
                for end in ends:
                    end.send(moment)
                told: list[Told] = [end.recv() for end in ends]
            for process in processes:
                process.join()
            return judged(case, told, neighbour.beats, sent_by(port) - before)


def at_share(values: Sequence[float], share: float) -> float:
    """The value that so many of them do not exceed."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))] if values else float("nan")


def judged(case: Case, told: list[Told], neighbour: Beats, sent: int) -> tuple[dict[str, str], list[goals.Verdict]]:
    """A line of the table, and what was demanded of it.

    Args:
        case: What was played.
        told: By the workers.
        neighbour: Heartbeats of another connection.
        sent: Bytes that the server has sent.
    """
    answered, late = sum(one.answered for one in told), sum(one.late for one in told)
    reads = sum(one.reads for one in told)
    beats = [ms for one in told for _, ms in one.beats]
    meanwhile = [ms for one in told for began, ms in one.beats if began <= one.served_s]
    waits = [wait for one in told for wait in one.waits_ms]
    first, last = min(one.began_s for one in told), max(one.ended_s for one in told)
    others = [ms for began, ms in neighbour if first <= began <= last]
    row = {
        "": case.name,
        "answered": table.count(answered),
        "not in time": table.count(late),
        "reads": table.count(reads),
        "records sent": f"{sent / case.size:.2f}",
        "wait p50": f"{at_share(waits, 0.5):,.0f} ms",
        "max": f"{at_share(waits, 1):,.0f} ms",
        "sessions": table.count(sum(one.written for one in told)),
        "heartbeat p99": f"{at_share(beats, 0.99):,.1f} ms",
        "of the stampede": f"{at_share(meanwhile, 0.99):,.1f} ms",
        "neighbour p99": f"{at_share(others, 0.99):,.1f} ms",
        "most": f"{at_share(others, 1):,.1f} ms",
    }
    if case.is_naive:
        return row, []
    bound_ms = 5 if case.is_at_once else 50
    verdicts = [
        goals.at_most(f"{case.name}: reads of the record", reads, 1),
        goals.at_most(f"{case.name}: records that the server sent", sent / case.size, 1.1),
        goals.at_most(f"{case.name}: requests not answered in time", late, 0),
        goals.at_most(f"{case.name}: questions to the origin", sum(one.loads for one in told), 0),
        goals.at_most(f"{case.name}: heartbeat p99 in milliseconds", at_share(beats, 0.99), bound_ms),
        goals.at_most(f"{case.name}: while callers wait", at_share(meanwhile, 0.99), bound_ms),
    ]
    if case.is_at_once:
        demand = f"{case.name}: the neighbour's longest heartbeat in milliseconds"
        verdicts.append(goals.at_most(demand, at_share(others, 1), NEIGHBOUR_MS))
    return row, verdicts


def main(argv: Sequence[str]) -> int:
    """Plays the cases and prints; 1 when a goal was missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks stampede", description=__doc__)
    parser.add_argument("--sessions", type=int, default=2000, help="records written beside the cold case (2000)")
    options = parser.parse_args(argv)
    if (code := run_on_a_line("stampede", argv)) is not None:
        return code
    cold = Case("cold, 1 Gbit/s", 125e6, 60_000_000, 64 << 10, is_at_once=True, sessions=options.sessions)
    expired = Case("expired, 100 Mbit/s", 12.5e6, 10_000_000, 64 << 10)
    cases = [
        expired,
        expired._replace(name="naive, 100 Mbit/s", is_naive=True),
        cold,
        cold._replace(name="naive, 1 Gbit/s", is_naive=True),
    ]
    rows, verdicts = [], []
    for case in cases:
        row, found = run(case)
        rows.append(row)
        verdicts += found
    print(f"the line is {kind()}")
    print(table.render(rows))
    return goals.exit_code(verdicts)
