"""A document that is read once for all who share a cache."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cache.caches import Landing, cache
from tests.redis.links import FAR_S, Log, run, until

from tidegate.cache.cache import Cache
from tidegate.cache.machine import MachineTier
from tidegate.filters.jwt.shared import SharedDocument
from tidegate.filters.jwt.source import Reading


class Publisher:
    """Counts who reads; ``document`` is what there is, ``gate`` holds readings up."""

    def __init__(self) -> None:
        self.read = 0
        self.document: bytes | Exception = b"first"
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self) -> bytes:
        self.read += 1
        assert self.gate.wait(FAR_S)
        if isinstance(self.document, Exception):
            raise self.document
        return self.document


@pytest.fixture
def publisher() -> Iterator[Publisher]:
    one = Publisher()
    yield one
    one.gate.set()


def worker(publisher: Publisher, has: Cache) -> SharedDocument:
    return SharedDocument(lambda: has, "keys", publisher, life_s=300.0, timeout_s=FAR_S)


async def following(one: SharedDocument) -> bytes:
    """In a thread, as those who use it."""
    reading = await asyncio.to_thread(one.next)
    assert isinstance(reading, Reading) and 0 <= reading.age_s < FAR_S
    return reading.content


@pytest.mark.parametrize("codec", ["bytes", "json"])
def test_workers_of_a_machine_read_once_each_time_and_a_restart_reads_nothing(
    publisher: Publisher, tmp_path: Path, codec: str
) -> None:
    async def main() -> None:
        machine = MachineTier.open(tmp_path / "caches" / "test", 1 << 20, Log().say)
        flights = Landing()
        caches = [cache(machine=machine, flights=flights, codec=codec, wait=FAR_S) for _ in range(3)]
        workers = [worker(publisher, one) for one in caches]
        assert await asyncio.gather(*map(following, workers)) == [b"first"] * 3
        assert publisher.read == 1
        publisher.document = b"second"
        assert await asyncio.gather(*map(following, workers[:2])) == [b"second"] * 2
        assert publisher.read == 2
        publisher.document = b"third"
        assert await following(workers[0]) == b"third"
        assert [await following(workers[2]) for _ in range(2)] == [b"second", b"third"], "link by link"
        await until(lambda: caches[0].statistics().machine.stored == 3)  # type: ignore[union-attr]
        again = worker(publisher, cache(machine=machine, flights=flights, codec=codec, wait=FAR_S))
        assert [await following(again) for _ in range(3)] == [b"first", b"second", b"third"]
        assert publisher.read == 3
        machine.close()

    run(main())


def test_what_cannot_be_read_is_told_and_tried_again(publisher: Publisher) -> None:
    async def main() -> None:
        one = worker(publisher, cache(wait=FAR_S))
        publisher.document = OSError("no route")
        with pytest.raises(OSError, match="no route"):
            await following(one)
        publisher.document = b"there"
        assert await following(one) == b"there"
        assert publisher.read == 2

    run(main())


def test_a_publisher_that_does_not_answer_holds_nobody_for_ever(publisher: Publisher) -> None:
    async def main() -> None:
        has = cache(wait=FAR_S)
        one = SharedDocument(lambda: has, "keys", publisher, life_s=300.0, timeout_s=0.05)
        publisher.gate.clear()
        with pytest.raises(Exception, match=r"was not there within|^$"):
            await following(one)
        publisher.gate.set()
        assert await following(worker(publisher, has)) == b"first"
        assert publisher.read == 1, "what came too late for one is there for the next"

    run(main())
