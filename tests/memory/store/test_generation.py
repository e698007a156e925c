"""A ledger and its files, changed together."""

import errno
from pathlib import Path

import lmdb
import pytest

from tidegate.memory.store.directory import StoreDirectory
from tidegate.memory.store.generation import DAMAGED, Generation, StaleGeneration, is_damage, is_no_room
from tidegate.memory.store.writer import Write

MIB = 1 << 20


@pytest.fixture
def generation(tmp_path):
    directory = StoreDirectory(tmp_path / "store")
    index, _ = directory.open_index(MIB)
    made = Generation(directory, index, 1, MIB, is_new=True)
    yield made
    made.ledger.close()
    directory.close()


def write(key, value, now_s=1.0):
    return Write(key, value, None, meta=b"m", stored_s=now_s, expires_s=1e9)


def files(generation):
    return sorted(path.name for path in generation.values.directory.iterdir())


def keys(generation):
    with generation.ledger.environment.begin() as txn:
        return [key[1:] for key, _ in txn.cursor() if key[:1] == b"e"]


def lmdb_error(number):
    """As LMDB raises it of an error of the operating system."""
    error = lmdb.Error("mdb_txn_commit")
    error.code = number
    return error


def test_small_writes_and_deletions_are_made_in_their_order(generation):
    some = [write(b"a", b"1"), write(b"b", b"1"), write(b"a", None), write(b"b", b"2"), write(b"none", None)]
    assert generation.write_small(some, 1.0) == [True] * 5
    assert keys(generation) == [b"b"]


def test_large_write_is_an_entry_and_a_file(generation):
    assert generation.write_large(write(b"a", bytes(100_000)), 1.0)
    assert (keys(generation), files(generation)) == ([b"a"], ["1"])
    assert generation.write_large(write(b"a", bytes(200_000)), 2.0)
    assert (keys(generation), files(generation)) == ([b"a"], ["2"])
    assert generation.write_small([write(b"a", None)], 3.0) == [True]
    assert (keys(generation), files(generation)) == ([], [])


def test_small_and_large_make_room_for_each_other(generation):
    for i in range(20):
        assert generation.write_small([write(b"s%d" % i, bytes(20_000), i)], i) == [True]
    assert generation.write_large(write(b"l", bytes(900_000), 50.0), 50.0)
    assert len(keys(generation)) == 1 + 7
    assert generation.write_small([write(b"t%d" % i, bytes(40_000), 60.0 + i) for i in range(10)], 70.0) == [True] * 10
    assert b"l" not in keys(generation)
    assert files(generation) == []


def test_what_was_given_up_is_not_written_but_deleted(generation):
    some = [write(b"a", b"1"), write(b"b", b"1"), write(b"a", None), write(b"l", bytes(100_000))]
    for one in some[1:]:
        one.is_given_up = True
    assert generation.write_small(some[:3], 1.0) == [True, False, True]
    assert not generation.write_large(some[3], 1.0)
    assert (keys(generation), files(generation)) == ([], [])


def test_large_write_that_is_given_up_while_its_file_is_written_leaves_nothing(generation, monkeypatch):
    one = write(b"l", bytes(100_000))
    really = generation.values.write

    def give_up(value):
        one.is_given_up = True
        return really(value)

    monkeypatch.setattr(generation.values, "write", give_up)
    assert not generation.write_large(one, 1.0)
    assert (keys(generation), files(generation)) == ([], [])


def test_failed_commit_leaves_nothing_of_a_large_value(generation, monkeypatch):
    really = generation._finish
    finished = []

    def fail(change):
        finished.append(files(generation))
        if len(finished) == 2:
            raise lmdb_error(errno.ENOSPC)
        really(change)

    monkeypatch.setattr(generation, "_finish", fail)
    with pytest.raises(lmdb.Error):
        generation.write_large(write(b"l", bytes(100_000)), 1.0)
    assert finished == [[], ["1"]]
    assert (keys(generation), files(generation)) == ([], [])
    assert generation.write_large(write(b"l", bytes(100_000)), 1.0)


def test_value_that_is_heavier_than_the_bound_is_refused(generation):
    assert not generation.write_large(write(b"l", bytes(2 * MIB)), 1.0)
    assert generation.write_small([write(b"s", b"v")], 1.0) == [True]


def test_what_was_used_longest_ago_is_given_up(generation):
    for i in range(40):
        generation.write_small([write(b"%02d" % i, bytes(10_000), i)], i)
    generation.give_up_for(write(b"new", bytes(40_000)), 100.0)
    assert keys(generation) == [b"%02d" % i for i in range(4, 40)]


def test_small_values_are_not_given_up_for_a_large_one(generation):
    """It would find no more room: what they leave is LMDB's."""
    for i in range(10):
        generation.write_small([write(b"%d" % i, bytes(60_000), i)], i)
    generation.write_large(write(b"l", bytes(100_000), 50.0), 50.0)
    generation.give_up_for(write(b"new", bytes(200_000)), 100.0)
    assert len(keys(generation)) == 11
    generation.give_up_for(write(b"new", bytes(90_000)), 100.0)
    assert len(keys(generation)) == 9


def test_lock_has_no_holder_once_it_is_given_back(generation):
    generation.write_small([write(b"a", b"1")], 1.0)
    assert generation._index.writer == 0


@pytest.mark.parametrize(
    ("error", "no_room", "damage"),
    [
        (OSError(errno.ENOSPC, ""), True, False),
        (lmdb_error(errno.ENOSPC), True, False),
        (lmdb_error(errno.EIO), True, False),
        (lmdb.MapFullError(""), True, False),
        (lmdb_error(errno.ENOENT), False, True),
        (FileNotFoundError(errno.ENOENT, ""), False, True),
        (PermissionError(errno.EACCES, ""), False, False),
        (lmdb.ReadersFullError(""), False, False),
        *((kind(""), False, True) for kind in DAMAGED),
    ],
)
def test_errors_are_told_apart(error, no_room, damage):
    assert (is_no_room(error), is_damage(error)) == (no_room, damage)


def test_who_waited_for_the_lock_of_another_generation_writes_nothing(generation):
    generation._index.generation = 2
    with pytest.raises(StaleGeneration):
        generation.write_small([write(b"a", b"1")], 1.0)
    with pytest.raises(StaleGeneration):
        generation.write_large(write(b"l", bytes(100_000)), 1.0)
    assert (keys(generation), files(generation), generation._index.writer) == ([], [], 0)


def test_large_value_whose_place_is_gone_is_for_another_generation(generation, monkeypatch):
    generation.values.directory.rmdir()
    with pytest.raises(StaleGeneration):
        generation.write_large(write(b"l", bytes(100_000)), 1.0)


def test_copy_has_all_that_is_there_and_its_own_names_of_the_files(generation, tmp_path):
    directory = StoreDirectory(tmp_path / "store")
    for i in range(10):
        generation.write_small([write(b"%d" % i, bytes(50_000), i)], i)
    generation.write_large(write(b"l", b"v" * 100_000, 20.0), 20.0)
    for i in range(8):
        generation.write_small([write(b"%d" % i, None)], 30.0)
    generation._index.generation = 1
    with generation.copied(directory, 40.0) as made:
        assert generation._index.writer != 0
    assert generation._index.writer == 0
    assert (keys(made), files(made)) == ([b"8", b"9", b"l"], ["1"])
    assert made.ledger.totals() == generation.ledger.totals()
    assert made.ledger.file_bytes() < generation.ledger.file_bytes() / 2
    generation._index.generation = made.number
    directory.remove_others(made.number)
    assert made.values.view(1, 100_000) == b"v" * 100_000
    assert made.write_small([write(b"new", b"v")], 50.0) == [True]
    made.ledger.close()
    directory.close()


def test_copy_that_finds_no_room_leaves_nothing(generation, tmp_path, monkeypatch):
    directory = StoreDirectory(tmp_path / "store")
    generation._index.generation = 1
    generation.write_large(write(b"l", b"v" * 100_000), 1.0)

    def fail(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "hardlink_to", fail)
    with pytest.raises(OSError, match="No space left"), generation.copied(directory, 2.0):
        pass
    assert directory.generations() == [1]
    assert generation.write_small([write(b"new", b"v")], 3.0) == [True]
    directory.close()
