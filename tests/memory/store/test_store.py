"""The store as a process sees it."""

import asyncio
import gc
import hashlib
import os
import shutil
import stat
import threading

import pytest
from tests.memory.store.stores import FAR_S, MIB, Clock, Process, Said, opened, run, shared_memory, sleeper, until

from tidegate.errors import GatewayError, Kind
from tidegate.memory.store import SMALL_MAX, Entry, Store
from tidegate.memory.store import store as module
from tidegate.process import tasks

LATE_S = 1e9


@pytest.fixture
def place():
    path = shared_memory("store")
    yield path
    shutil.rmtree(path, ignore_errors=True)


def test_what_was_put_is_got_with_all_that_is_known_of_it(place):
    async def main():
        clock = Clock(50.0)
        with opened(place, clock=clock) as store:
            assert store.get(b"k", 51.0) is None
            assert await store.put(b"k", b"value", b"meta", 60.0)
            assert store.get(b"k", 59.9) == Entry(b"value", b"meta", 50.0, 60.0)
            assert store.get(b"k", 60.0) is None
            assert store.get(b"other", 51.0) is None

    run(main())


@pytest.mark.parametrize("size", [0, 1, 1500, 2500, SMALL_MAX, SMALL_MAX + 1, 20 * 1000 * 1000])
def test_value_of_any_size_is_got_as_it_was_put(place, size):
    async def main():
        value = os.urandom(size)
        with opened(place, 32 * MIB) as store:
            assert await store.put(b"k", value, b"m" * 100, LATE_S)
            entry = store.get(b"k", 0.0)
            assert (entry.value, entry.meta) == (value, b"m" * 100)
            is_large = size > SMALL_MAX
            assert isinstance(entry.value, memoryview if is_large else bytes)
            seen = store.statistics()
            assert (seen.entries, seen.small, seen.large) == (1, int(not is_large), int(is_large))
            assert size < seen.bytes < size + 10_000
            assert len([path for path in place.rglob("*") if path.is_file() and path.name.isdecimal()]) == is_large
            entry = None
            gc.collect()

    run(main())


@pytest.mark.parametrize("key", [b"", b"\xff", b"k" * 10_000])
def test_key_may_be_any_bytes(place, key):
    async def main():
        with opened(place) as store:
            assert await store.put(key, b"v", b"", LATE_S)
            assert store.get(key, 0.0).value == b"v"
            assert await store.delete(key)
            assert store.get(key, 0.0) is None

    run(main())


def test_mapped_value_stays_when_its_entry_goes_and_others_come(place):
    async def main():
        with opened(place) as store:
            await store.put(b"k", b"a" * 300_000, b"", LATE_S)
            held = store.get(b"k", 0.0).value
            for turn in range(3):
                await store.put(b"k", bytes([turn]) * 300_000, b"", LATE_S)
            await store.delete(b"k")
            assert store.get(b"k", 0.0) is None
            assert held == b"a" * 300_000
            with pytest.raises(TypeError, match="read-only"):
                held[0] = 1
            await store.put(b"k", b"again" * 100_000, b"", LATE_S)
            assert held[:3] == b"aaa"
            assert len(list(place.glob("1/*"))) == 1

    run(main())


def test_deletion_is_seen_at_once_here(place):
    async def main():
        with opened(place) as store:
            await store.put(b"k", b"v", b"", LATE_S)
            deletion = store.delete(b"k")
            assert store.get(b"k", 0.0) is None
            assert await deletion
            assert store.get(b"k", 0.0) is None
            assert await store.put(b"k", b"w", b"", LATE_S)
            assert store.get(b"k", 0.0).value == b"w"

    run(main())


def test_more_deletions_than_are_remembered_empty_the_store(place, monkeypatch):
    """A writer that is stuck for long: what was invalidated may not come back when it does."""

    async def main():
        said = Said()
        with opened(place, say=said) as store:
            await asyncio.gather(*(store.put(b"%d" % i, b"v", b"", LATE_S) for i in range(6)))
            monkeypatch.setattr(module, "_DELETIONS_MAX", 3)
            comes_back = threading.Event()
            store._writer.run(lambda: comes_back.wait(FAR_S))
            waiting = [store.delete(b"%d" % i) for i in range(5)]
            assert store.statistics().is_away
            assert all(store.get(b"%d" % i, 0.0) is None for i in range(6))
            comes_back.set()
            assert all(await asyncio.gather(*waiting))
            await until(lambda: not store.statistics().is_away)
            assert said.kinds == ["store_rebuilt"]
            assert store.statistics().entries == 0
            assert await store.put(b"5", b"new", b"", LATE_S)
            assert store.get(b"5", 0.0).value == b"new"

    run(main())


def test_store_outlives_who_has_it_open(place):
    async def first():
        with opened(place) as store:
            await asyncio.gather(*(store.put(b"%d" % i, b"v%d" % i, b"", LATE_S) for i in range(100)))
            await store.put(b"large", b"v" * 100_000, b"", LATE_S)

    async def second():
        said = Said()
        with opened(place, say=said) as store:
            assert [store.get(b"%d" % i, 0.0).value for i in range(100)] == [b"v%d" % i for i in range(100)]
            assert store.get(b"large", 0.0).value == b"v" * 100_000
            assert store.statistics().entries == 101
            assert said.lines == []

    run(first())
    run(second())


def test_close_makes_what_waits(place):
    async def first():
        with opened(place) as store:
            waiting = [store.put(b"%d" % i, b"v", b"", LATE_S) for i in range(300)]
        assert await asyncio.gather(*waiting) == [True] * 300

    async def second():
        with opened(place) as store:
            assert store.statistics().entries == 300

    run(first())
    run(second())


def test_who_closes_without_holding_the_loop_has_what_waits_made_too(place):
    async def main():
        store = Store.open(place, 16 * MIB, say=Said())
        waiting = [store.put(b"%d" % i, b"v", b"", LATE_S) for i in range(300)]
        closing = tasks.start(store.closed(), "close")
        await asyncio.sleep(0)
        assert await store.put(b"late", b"v", b"", LATE_S) is False
        await closing
        assert store.get(b"0", 0.0) is None
        assert await asyncio.gather(*waiting) == [True] * 300
        with opened(place) as again:
            assert again.statistics().entries == 300

    run(main())


def test_value_beyond_the_bound_is_refused_and_nothing_goes_for_it(place):
    async def main():
        with opened(place, 2 * MIB) as store:
            await store.put(b"small", b"v", b"", LATE_S)
            assert not await store.put(b"large", bytes(3 * MIB), b"", LATE_S)
            assert store.get(b"small", 0.0).value == b"v"
            assert store.statistics().full == 0
            assert list(place.glob("1/*")) == []

    run(main())


def test_meta_has_a_bound(place):
    async def main():
        with opened(place) as store, pytest.raises(ValueError, match="at most 16384 bytes"):
            store.put(b"k", b"v", bytes(16_385), LATE_S)

    run(main())


def test_directory_is_made_for_its_user_alone(place):
    with opened(place):
        assert stat.S_IMODE(place.stat().st_mode) == 0o700
        assert {stat.S_IMODE(path.stat().st_mode) & 0o077 for path in place.rglob("*")} == {0}


def test_directory_that_others_may_enter_is_refused(place):
    place.mkdir(mode=0o755)
    with pytest.raises(GatewayError, match="open to other users") as caught:
        Store.open(place, MIB, say=Said())
    assert caught.value.kind is Kind.PROXY_CONFIGURATION_ERROR


def test_store_of_another_gateway_that_runs_is_refused(place):
    """One that is dead is followed, with all that it had."""

    async def main():
        with sleeper() as other:
            with opened(place, owner=other.pid) as store:
                await store.put(b"k", b"v", b"", LATE_S)
            with pytest.raises(GatewayError, match=f"gateway with pid {other.pid}") as caught:
                Store.open(place, MIB, say=Said(), owner=os.getpid())
            assert caught.value.kind is Kind.PROXY_CONFIGURATION_ERROR
            with opened(place, owner=other.pid) as store:
                assert store.get(b"k", 0.0).value == b"v"
        with opened(place, owner=os.getpid()) as store:
            assert store.get(b"k", 0.0).value == b"v"

    run(main())


def spoil_ledger(place):
    path = next(place.glob("*.mdb"))
    path.write_bytes(hashlib.sha256(b"spoilt").digest() * (path.stat().st_size // 32))


def cut_ledger(place):
    path = next(place.glob("*.mdb"))
    os.truncate(path, path.stat().st_size // 2 // 4096 * 4096)


def empty_ledger(place):
    os.truncate(next(place.glob("*.mdb")), 0)


def remove_ledger(place):
    next(place.glob("*.mdb")).unlink()


def remove_values(place):
    shutil.rmtree(next(path for path in place.iterdir() if path.name.isdecimal()))


def spoil_index(place):
    (place / "index").write_bytes(b"something else")


def other_version(place):
    with (place / "index").open("r+b") as file:
        file.seek(8)
        file.write(b"\x63")


def other_boot(place):
    with (place / "index").open("r+b") as file:
        file.seek(16)
        file.write(bytes(16))


DAMAGES = [spoil_ledger, cut_ledger, empty_ledger, remove_ledger, remove_values, spoil_index, other_version, other_boot]


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_or_foreign_store_is_begun_anew_and_said_once(place, damage):
    async def fill():
        with opened(place) as store:
            await asyncio.gather(*(store.put(b"%d" % i, bytes(1000), b"", LATE_S) for i in range(500)))
            await store.put(b"large", bytes(100_000), b"", LATE_S)

    async def find_empty():
        said = Said()
        with opened(place, say=said) as store:
            assert said.kinds == ["store_rebuilt"]
            assert store.statistics().rebuilt == 1
            assert store.get(b"7", 0.0) is None
            assert store.get(b"large", 0.0) is None
            assert await store.put(b"7", b"new", b"", LATE_S)
            assert await store.put(b"large", bytes(100_000), b"", LATE_S)
            assert store.get(b"7", 0.0).value == b"new"
        assert len(list(place.glob("*.mdb"))) == 1
        said = Said()
        with opened(place, say=said) as store:
            assert said.lines == []
            assert store.get(b"7", 0.0).value == b"new"

    run(fill())
    damage(place)
    run(find_empty())


def test_what_the_dead_left_unfinished_is_swept(place):
    async def main():
        with opened(place) as store:
            await store.put(b"large", bytes(100_000), b"", LATE_S)
        known = set(place.glob("1/*"))
        (place / "1" / "beside-999999999-1").write_bytes(b"half")
        (place / "1" / "0").write_bytes(b"evicted")
        with opened(place) as store:
            assert set(place.glob("1/*")) == known
            assert store.get(b"large", 0.0).value == bytes(100_000)

    run(main())


def test_large_value_whose_file_is_gone_or_cut_is_a_miss(place):
    async def main():
        with opened(place) as store:
            await store.put(b"a", bytes(100_000), b"", LATE_S)
            await store.put(b"b", bytes(100_000), b"", LATE_S)
            os.truncate(place / "1" / "1", 5)
            (place / "1" / "2").unlink()
            assert store.get(b"a", 0.0) is None
            assert store.get(b"b", 0.0) is None
            assert await store.put(b"a", bytes(200_000), b"", LATE_S)
            assert store.get(b"a", 0.0).value == bytes(200_000)

    run(main())


def test_record_that_is_none_is_found_and_the_store_begun_anew_under_way(place):
    async def main():
        said = Said()
        with opened(place, say=said) as store:
            await store.put(b"k", b"v", b"", LATE_S)
            ledger = store._generation.ledger
            with ledger.environment.begin(write=True) as txn:
                txn.put(b"ek", b"no record")
            assert store.get(b"k", 0.0) is None
            await until(lambda: store.put(b"k", b"new", b"", LATE_S))
            await until(lambda: store.get(b"k", 0.0))
            assert store.get(b"k", 0.0).value == b"new"
            assert said.kinds == ["store_rebuilt"]
            assert store.statistics().broken == 1

    run(main())


def test_expired_entries_go_before_any_other(place):
    async def main():
        clock = Clock(100.0)
        with opened(place, 2 * MIB, clock=clock) as store:
            for i in range(5):
                await store.put(b"short%d" % i, bytes(60_000), b"", 110.0)
                await store.put(b"long%d" % i, bytes(60_000), b"", LATE_S)
            clock.now_s = 120.0
            for i in range(20):
                await store.put(b"new%d" % i, bytes(60_000), b"", LATE_S)
            seen = store.statistics()
            assert (seen.expirations, seen.evictions, seen.entries) == (5, 0, 25)
            assert all(store.get(b"long%d" % i, 120.0) for i in range(5))

    run(main())


def test_large_values_that_follow_small_ones_take_their_room(place):
    """LMDB's file does not shrink: what is left in it is written anew, and all who have it open follow."""

    async def main():
        bound = 8 * MIB
        with opened(place, bound) as store:
            await asyncio.gather(*(store.put(b"s%d" % i, bytes(60_000), b"", LATE_S) for i in range(200)))
            file = store._generation.ledger
            assert file.file_bytes() > 7 * MIB
            lines = """
async def main():
    store = open_store()
    print("open", flush=True)
    for line in sys.stdin:
        for _ in range(3000):
            if store.get(b"l29", boot_s()) is not None:
                print("has it", store._index.generation == store._generation.number, flush=True)
                break
            await asyncio.sleep(0.01)

asyncio.run(main())
"""
            with Process(place, bound, lines) as other:
                other.hear("open")
                for i in range(30):
                    assert await store.put(b"l%d" % i, bytes([i]) * 500_000, b"", LATE_S)
                    assert store.get(b"l%d" % i, 1.0).value[:1] == bytes([i])
                other.tell("look")
                other.hear("has it True")
            assert store._generation.number == 2
            assert store.statistics().rebuilt == 0
            on_disk = sum(path.stat().st_blocks * 512 for path in place.rglob("*") if path.is_file())
            assert on_disk < bound + bound // 4 + 5 * MIB

    run(main())
