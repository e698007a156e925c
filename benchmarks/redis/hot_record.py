"""A record of 20 MB that is read once a second, while 10,000 keys a second that nobody asks for again flood its cache
for a minute of the real clock: the record may not be fetched again before it ends, in an hour.

``at hand``: the values of a worker. ``on the machine``: those that all workers share, asked by one that has no room for
the record itself, so that every read is a look-up there; one worker floods it as fast as it gets the keys in.
``first`` is a record that was there before the flood; ``late`` one that is asked for in the midst of it, when there is
no room without taking somebody else's.
"""

import argparse
import asyncio
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import uvloop

from benchmarks import goals, table
from tidegate.cache.cache import Cache
from tidegate.cache.machine import MachineTier
from tidegate.config.cache import Cache as Settings
from tidegate.memory.generations import GENERATIONS_SIZE, Generations
from tidegate.memory.region import Region
from tidegate.memory.single_flight import SingleFlight
from tidegate.process import tasks

RECORDS = ("first", "late")
COLD_PER_S = 10_000
SECONDS = 60.0
RECORD_BYTES, COLD_BYTES = 20_000_000, 1000
ROOM = 64 << 20
TTL_S = 3600.0
WAITING = 1000  # of values that are not stored yet: beyond four times as many the store turns away
BATCH = 100  # asked for in one turn of the loop: who is behind does not catch up in one go, past all readers
LATE = 0.3  # of the flood


class Told(NamedTuple):
    """What was seen; ``fetched`` counts, for each record, how often it was fetched for its ``reads``."""

    cold_per_s: float
    reads: dict[str, int]
    fetched: dict[str, int]
    evicted: int


class Origin:
    """Where both kinds of values come from."""

    def __init__(self, record_bytes: int) -> None:
        self.record = bytes(record_bytes)
        self.cold = bytes(COLD_BYTES)
        self.fetched = dict.fromkeys(RECORDS, 0)

    async def load_record(self, key: Any) -> bytes:
        """A record, counted."""
        self.fetched[key] += 1
        return self.record

    async def load_cold(self, key: Any) -> bytes:
        """What nobody asks for again."""
        del key
        return self.cold


class Flooded(NamedTuple):
    """A cache, and how many of its values still wait to be stored."""

    cache: Cache
    waiting: Callable[[], int]


async def play(flooded: Flooded, *, count: int, per_s: float, record_bytes: int, every_s: float = 1.0) -> Told:
    """The flood of ``count`` keys, at ``per_s`` or as fast as it goes, and the readers of both records."""
    cache = flooded.cache
    loop = asyncio.get_running_loop()
    origin = Origin(record_bytes)
    reads = dict.fromkeys(RECORDS, 0)

    async def read(name: str) -> None:
        while True:
            assert len(await cache.get(name, origin.load_record)) == record_bytes
            reads[name] += 1
            await asyncio.sleep(every_s)

    readers = [tasks.start(read("first"), "reader of the first record")]
    began, sent = loop.time(), 0
    while sent < count:
        if len(readers) == 1 and sent >= LATE * count:
            readers.append(tasks.start(read("late"), "reader of the late record"))
        while flooded.waiting() > WAITING:  # noqa: ASYNC110 - a figure, and nobody announces it
            await asyncio.sleep(0.001)
        due = min(BATCH, int((loop.time() - began) * per_s) - sent, count - sent)
        await cache.get_many((f"cold:{number}" for number in range(sent, sent + due)), origin.load_cold)
        sent += due
        await asyncio.sleep(0 if due == BATCH else 0.001)
    took = loop.time() - began
    for reader in readers:
        if reader.done():
            reader.result()
        reader.cancel()
    seen = cache.statistics()
    evicted = seen.worker.evictions if seen.machine is None else seen.machine.evictions
    return Told(count / took, reads, origin.fetched, evicted)


@contextmanager
def at_hand(room: int) -> Iterator[Flooded]:
    """A cache with values at hand only."""
    cache = Cache("bench", Settings(ttl=TTL_S, memory=room), Generations(bytearray(GENERATIONS_SIZE)))
    try:
        yield Flooded(cache, lambda: 0)
    finally:
        cache.close()


@contextmanager
def on_the_machine(room: int) -> Iterator[Flooded]:
    """A cache whose values are those of the machine: no record has room at hand."""
    folder = Path(tempfile.mkdtemp(prefix="tidegate-hot-record-", dir="/dev/shm"))
    machine = MachineTier.open(folder / "caches" / "bench", room, print)
    region = Region.create(1)
    settings = Settings(ttl=TTL_S, memory=64 << 10, machine=room)
    flights = SingleFlight(region.mapping, region.secret, 0)
    cache = Cache("bench", settings, region.generations(), flights=flights, machine=machine)
    try:
        yield Flooded(cache, lambda: machine.store_statistics().waiting)
    finally:
        cache.close()
        machine.close()
        region.close()
        shutil.rmtree(folder, ignore_errors=True)


TIERS = {"at hand": at_hand, "on the machine": on_the_machine}


def judged(name: str, told: Told) -> tuple[dict[str, str], list[goals.Verdict]]:
    """A line of the table, and what was demanded of it."""
    row = {
        f"{ROOM >> 20} MiB of values": name,
        "cold keys/s": table.count(told.cold_per_s),
        "evicted": table.count(told.evicted),
        **{f"{record}: reads, fetches": f"{told.reads[record]}, {told.fetched[record]}" for record in RECORDS},
    }
    verdicts = [goals.at_most(f"{name}: fetches of the {record} record", told.fetched[record], 1) for record in RECORDS]
    if name == "at hand":
        verdicts.insert(0, goals.at_least(f"{name}: cold keys a second", told.cold_per_s, 0.99 * COLD_PER_S))
    return row, verdicts


def main(argv: Sequence[str]) -> int:
    """Floods each tier and prints; 1 when a goal was missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks hot-record", description=__doc__)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of the flood, for each tier (60)")
    options = parser.parse_args(argv)
    rows, verdicts = [], []
    for name, tier in TIERS.items():
        with tier(ROOM) as flooded, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            count = round(options.seconds * COLD_PER_S)
            flood = play(flooded, count=count, per_s=COLD_PER_S, record_bytes=RECORD_BYTES)
            row, found = judged(name, runner.run(flood))
        rows.append(row)
        verdicts += found
    print(table.render(rows))
    return goals.exit_code(verdicts)
