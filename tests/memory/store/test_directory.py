"""Where a store lies, and whose it is."""

import errno
import fcntl
import os

import pytest
from tests.memory.store.stores import sleeper

from tidegate.errors import GatewayError, Kind, Source
from tidegate.memory.store.directory import StoreDirectory, failure

MIB = 1 << 20


@pytest.fixture
def directory(tmp_path):
    made = StoreDirectory(tmp_path / "a" / "store")
    yield made
    made.close()


def test_index_is_made_once_and_seen_by_all(directory):
    one, reason = directory.open_index(64 * MIB)
    assert (one.generation, one.writer, reason) == (0, 0, "")
    assert len(one.cells) == 64 * MIB // 512
    one.generation, one.writer = 7, 4711
    one.cells[5] = 99
    other, reason = directory.open_index(1 * MIB)
    assert (other.generation, other.writer, other.cells[5], len(other.cells), reason) == (
        7,
        4711,
        99,
        len(one.cells),
        "",
    )


def test_index_has_no_holes(directory):
    """A hole is filled when it is written to through the map: on a full file system that would be a signal."""
    directory.open_index(64 * MIB)
    found = (directory.path / "index").stat()
    assert found.st_blocks * 512 >= found.st_size


@pytest.mark.parametrize(("max_bytes", "cells"), [(1, 1024), (1 << 50, 1 << 21)])
def test_index_has_cells_within_bounds(directory, max_bytes, cells):
    assert len(directory.open_index(max_bytes)[0].cells) == cells


@pytest.mark.parametrize("content", [b"", b"short", b"x" * 10_000, b"TIDESTOR" + bytes(9_000)])
def test_index_that_is_none_is_made_anew(directory, content):
    (directory.path / "index").write_bytes(content)
    index, reason = directory.open_index(MIB)
    assert index.generation == 0
    assert "index" in reason


def test_numbers_of_generations_are_not_used_twice(directory):
    index, _ = directory.open_index(MIB)
    assert directory.next_generation(index) == 1
    assert directory.next_generation(index) == 2
    directory.ledger_of(8).touch()
    assert directory.next_generation(index) == 9
    directory.ledger_of(8).unlink()
    (directory.path / "index").write_bytes(b"spoilt")
    directory.values_of(20).mkdir()
    index, _ = directory.open_index(MIB)
    directory.remove_others(0)
    assert directory.next_generation(index) == 21


def test_one_owner_at_a_time_and_the_next_when_it_is_dead(directory):
    index, _ = directory.open_index(MIB)
    with sleeper() as other:
        assert index.take_over(other.pid) == 0
        assert index.take_over(other.pid) == 0
        assert index.take_over(os.getpid()) == other.pid
    assert index.take_over(os.getpid()) == 0
    assert index.take_over(os.getppid()) == os.getpid()


def test_pid_that_is_used_again_owns_nothing(directory):
    index, _ = directory.open_index(MIB)
    index.take_over(os.getpid())
    index.words[25] -= 1
    assert index.take_over(os.getppid()) == 0


def test_only_the_valid_generation_is_left(directory):
    for number in (1, 2, 3):
        directory.ledger_of(number).touch()
        (directory.path / f"{number}.mdb-lock").touch()
        directory.values_of(number).mkdir()
        (directory.values_of(number) / "5").touch()
    directory.open_index(MIB)
    assert directory.generations() == [1, 2, 3]
    directory.remove_others(2)
    assert sorted(path.name for path in directory.path.iterdir()) == ["2", "2.mdb", "2.mdb-lock", "index"]


def test_lock_is_waited_for_and_not_for_ever(directory):
    other = StoreDirectory(directory.path)
    refused = pytest.raises(GatewayError, match=r"locked for 0.05 s .*is it stopped\?")
    with other.locked(), refused, directory.locked(0.05):
        pass
    with directory.locked(0.0):
        assert fcntl.flock(directory._fd, fcntl.LOCK_EX | fcntl.LOCK_NB) is None
    other.close()


def test_directory_of_another_user_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    with pytest.raises(GatewayError, match="belongs to another user") as caught:
        StoreDirectory(tmp_path / "store")
    assert (caught.value.kind, caught.value.source) == (Kind.PROXY_CONFIGURATION_ERROR, Source.INTERNAL)


@pytest.mark.parametrize("kind", ["file", "link"])
def test_what_is_no_directory_is_refused(tmp_path, kind):
    (tmp_path / "other").mkdir(mode=0o700)
    if kind == "file":
        (tmp_path / "store").touch()
    else:
        (tmp_path / "store").symlink_to(tmp_path / "other")
    with pytest.raises(GatewayError, match="cannot make the store's directory"):
        StoreDirectory(tmp_path / "store")


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOSPC, Kind.GATEWAY_EXHAUSTED),
        (errno.EMFILE, Kind.GATEWAY_EXHAUSTED),
        (errno.EACCES, Kind.PROXY_CONFIGURATION_ERROR),
    ],
)
def test_failures_are_told_apart(number, kind):
    error = failure(OSError(number, os.strerror(number)), "cannot open the store")
    assert error.kind is kind
    assert str(error).endswith(f"cannot open the store: {os.strerror(number)}")
