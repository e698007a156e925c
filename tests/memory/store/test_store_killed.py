"""Real processes with one store, killed and stopped at any moment: what is read is right, and nobody waits for ever."""

import asyncio
import hashlib
import random
import shutil

import pytest
from tests.memory.store.stores import FAR_S, MIB, STANDS_IN_THE_LOCK, Process, Said, opened, run, shared_memory, until

from tidegate.memory.store import Store
from tidegate.process import tasks

LATE_S = 1e9
SEED = 17

WRITES_FOR_EVER = """
import hashlib, itertools, random

def value_of(key, size):
    return hashlib.sha256(key).digest() * (size // 32)

async def main():
    store = open_store()
    chance = random.Random(os.getpid())
    print("begins", flush=True)
    while True:
        key = b"%d" % chance.randrange(60)
        size = chance.choice([64, 1024, 32768, 131072, 1048576])
        await store.put(key, value_of(key, size), key, 1e9)
        if chance.random() < 0.1:
            await store.delete(b"%d" % chance.randrange(60))
        entry = store.get(key, boot_s())
        assert entry is None or entry.value == value_of(key, len(entry.value)), "another's value"

asyncio.run(main())
"""

STANDS_IN_A_READ = """
async def main():
    store = open_store()
    with store._generation.ledger.environment.begin() as txn:
        print("reads", flush=True)
        sys.stdin.readline()
    print("has read", flush=True)
    await asyncio.sleep(1000)

asyncio.run(main())
"""

STANDS_BESIDE_ITS_FILE = """
async def main():
    store = open_store()
    large.LargeValues.take = lambda *_: print("holds", flush=True) or time.sleep(1000)
    store.put(b"large", bytes(1000000), b"", 1e9)
    await asyncio.sleep(1000)

asyncio.run(main())
"""


@pytest.fixture
def place():
    path = shared_memory("killed")
    yield path
    shutil.rmtree(path, ignore_errors=True)


def is_right(key, value):
    return value == hashlib.sha256(key).digest() * (len(value) // 32)


def check_all(store):
    """Every entry is its key's, and the files are those of the entries."""
    found = 0
    for i in range(60):
        entry = store.get(b"%d" % i, 1.0)
        if entry is not None:
            assert is_right(b"%d" % i, entry.value) and entry.meta == b"%d" % i
            found += 1
    assert found == store.statistics().entries
    return found


@pytest.mark.slow
def test_killed_writers_leave_a_whole_store(place):
    async def main():
        chance = random.Random(SEED)
        with opened(place, 8 * MIB) as store:
            for _ in range(8):
                with Process(place, 8 * MIB, WRITES_FOR_EVER) as one, Process(place, 8 * MIB, WRITES_FOR_EVER) as other:
                    one.hear("begins")
                    other.hear("begins")
                    await asyncio.sleep(chance.random() / 5)
                    one.kill()
                    await asyncio.sleep(chance.random() / 10)
                    assert await store.put(b"7", hashlib.sha256(b"7").digest(), b"7", LATE_S)
                check_all(store)
            assert store.statistics().rebuilt == 0
        with opened(place, 8 * MIB) as store:
            assert check_all(store) > 10
            large = store.statistics().large
            assert len(list(place.glob("1/*"))) == large
            with store._generation.ledger.environment.begin() as txn:
                assert txn.id() > 50

    run(main())


def test_killed_holder_of_the_lock_is_followed_at_once(place):
    async def main():
        said = Said()
        with opened(place, say=said) as store, Process(place, 16 * MIB, STANDS_IN_THE_LOCK) as holder:
            holder.hear("holds")
            waits = store.put(b"k", b"v", b"", LATE_S)
            holder.kill()
            assert await waits
            assert store.get(b"k", 0.0).value == b"v"
            assert store.get(b"held", 0.0) is None
            assert said.lines == []

    run(main())


def test_stopped_holder_of_the_lock_costs_nobody_more_than_the_bound(place):
    async def main():
        said = Said()
        with opened(place, say=said, patience_s=0.2) as store:
            await store.put(b"k", b"before", b"", LATE_S)
            await store.put(b"gone", b"before", b"", LATE_S)
            with Process(place, 16 * MIB, STANDS_IN_THE_LOCK) as holder:
                holder.hear("holds")
                holder.stop()
                put, deleted = store.put(b"k", b"after", b"", LATE_S), store.delete(b"gone")
                assert await put is False
                assert await deleted is False
                assert said.kinds == ["store_stuck"]
                assert f"process {holder.pid} has its lock" in said.lines[0][1]
                # Reads go on, of all but what was invalidated; who writes is told at once.
                assert store.get(b"k", 0.0).value == b"before"
                assert store.get(b"gone", 0.0) is None
                assert store.put(b"k", b"after", b"", LATE_S).done()
                assert store.statistics().is_stuck
            await until(lambda: not store.statistics().is_stuck and not store._deleting)
            assert said.kinds == ["store_stuck", "store_back"]
            assert store.get(b"k", 0.0).value == b"before"
            assert store.get(b"gone", 0.0) is None
            assert await store.put(b"k", b"again", b"", LATE_S)

    run(main())


def test_a_store_whose_lock_a_stopped_process_has_is_closed_while_the_loop_goes_on(place):
    async def main():
        store = Store.open(place, 16 * MIB, say=Said(), patience_s=0.2)
        with Process(place, 16 * MIB, STANDS_IN_THE_LOCK) as holder:
            holder.hear("holds")
            holder.stop()
            put = store.put(b"k", b"v", b"", LATE_S)
            turns, closing = 0, tasks.start(store.closed(), "close")
            while not closing.done():
                turns += 1
                await asyncio.sleep(0.005)
            assert turns > 3, "it waited for the writer, and nobody for it"
            assert await put is False and store.get(b"k", 0.0) is None
            holder.kill()
        store._writer._thread.join(FAR_S)

    run(main())


def test_a_new_process_opens_the_store_while_the_holder_is_stopped(place):
    async def main():
        with Process(place, 16 * MIB, STANDS_IN_THE_LOCK) as holder:
            holder.hear("holds")
            holder.stop()
            with opened(place, patience_s=0.1) as store:
                assert store.get(b"k", 0.0) is None
                assert await store.put(b"k", b"v", b"", LATE_S) is False
                holder.kill()
                await until(lambda: store.put(b"k", b"v", b"", LATE_S))

    run(main())


@pytest.mark.parametrize("how", ["killed", "goes on"])
def test_slow_reader_keeps_pages_and_costs_room_only_as_long_as_it_reads(place, how):
    """What it looks at cannot be used again, so that the map fills up; then writes fail, and come back."""

    async def fill(store, turn):
        return await asyncio.gather(*(store.put(b"%d" % i, bytes([turn]) * 60_000, b"", LATE_S) for i in range(30)))

    async def all_filled(store, turn):
        return all(await fill(store, turn))

    async def main():
        said = Said()
        with opened(place, 2 * MIB, say=said) as store:
            await fill(store, 1)
            with Process(place, 2 * MIB, STANDS_IN_A_READ) as reader:
                reader.hear("reads")
                reader.stop()
                for turn in range(60):
                    if not all(await fill(store, turn)):
                        break
                assert store.statistics().is_full
                assert said.kinds[0] == "store_full"
                assert store.statistics().entries > 0
                if how == "killed":
                    reader.kill()
                else:
                    reader.go_on()
                    reader.tell("")
                    reader.hear("has read")
                # Who follows a dead process opens the store, and so clears what the dead one read.
                with Process(place, 2 * MIB, "open_store(); print('open', flush=True); time.sleep(1000)") as successor:
                    successor.hear("open")
                    await until(lambda: all_filled(store, 7))

    run(main())


def test_killed_between_file_and_entry_leaves_nothing(place):
    async def main():
        with opened(place) as store:
            with Process(place, 16 * MIB, STANDS_BESIDE_ITS_FILE) as holder:
                holder.hear("holds")
                assert len(list(place.glob("1/beside-*"))) == 1
            assert await store.put(b"k", b"v", b"", LATE_S)
        with opened(place) as store:
            assert store.get(b"large", 0.0) is None
            assert list(place.glob("1/*")) == []

    run(main())


def test_all_processes_killed_leave_what_they_stored(place):
    lines = """
async def main():
    store = open_store()
    await asyncio.gather(*(store.put(b"%d" % i, b"%d" % i * 100, b"", 1e9) for i in range(1000)))
    await store.put(b"large", b"v" * 1000000, b"", 1e9)
    print("stored", flush=True)
    await asyncio.sleep(1000)

asyncio.run(main())
"""

    async def main():
        with Process(place, 16 * MIB, lines) as one:
            one.hear("stored")
            one.kill()
        said = Said()
        with opened(place, say=said) as store:
            assert all(store.get(b"%d" % i, 0.0).value == b"%d" % i * 100 for i in range(1000))
            assert store.get(b"large", 0.0).value == b"v" * 1_000_000
            assert said.lines == []

    run(main())


def test_all_follow_when_one_begins_anew(place):
    lines = """
async def main():
    store = open_store()
    print("open", store.get(b"k", 0.0) is not None, flush=True)
    for line in sys.stdin:
        for _ in range(3000):
            entry = store.get(b"k", 0.0)
            if entry is not None:
                break
            await asyncio.sleep(0.01)
        print("has", entry and entry.value, flush=True)

asyncio.run(main())
"""

    async def main():
        with opened(place) as store:
            await store.put(b"k", b"old", b"", LATE_S)
            with Process(place, 16 * MIB, lines) as other:
                other.hear("open True")
                store._go_away(lambda: store._begin_anew(store._generation, "a test wants it"))
                assert await store.put(b"k", b"new", b"", LATE_S)
                other.tell("look")
                other.hear("has b'new'")

    run(main())
