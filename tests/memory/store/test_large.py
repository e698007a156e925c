"""Large values as files."""

import os

import pytest

from tidegate.memory.store.large import LargeValues


@pytest.fixture
def values(tmp_path):
    (tmp_path / "1").mkdir()
    return LargeValues(tmp_path / "1")


def names(values):
    return sorted(path.name for path in values.directory.iterdir())


def store(values, value, number):
    values.take(values.write(value), number)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_value_is_mapped_as_it_was_written(values, kind):
    value = os.urandom(3_000_001)
    store(values, kind(value), 7)
    view = values.view(7, len(value))
    assert view == value and view.readonly
    assert names(values) == ["7"]
    assert (values.directory / "7").stat().st_mode & 0o077 == 0


def test_view_outlives_its_file(values):
    store(values, b"v" * 100_000, 7)
    view = values.view(7, 100_000)
    values.remove([7, 8])
    assert names(values) == []
    assert view == b"v" * 100_000


def test_file_of_another_size_or_none_is_no_value(values):
    store(values, b"v" * 100_000, 7)
    assert values.view(7, 99_999) is None
    assert values.view(8, 100_000) is None


def test_link_is_not_followed(values, tmp_path):
    (tmp_path / "secret").write_bytes(b"v" * 100)
    (values.directory / "7").symlink_to(tmp_path / "secret")
    with pytest.raises(OSError, match="symbolic links"):
        values.view(7, 100)


def test_what_was_not_taken_is_discarded(values):
    values.discard(values.write(b"v" * 100_000))
    assert names(values) == []
    values.discard("not there")


def test_write_that_fails_leaves_nothing(values, monkeypatch):
    def fail(fd, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", fail)
    with pytest.raises(OSError, match="No space left"):
        values.write(b"v" * 100_000)
    assert names(values) == []


def test_sweep_leaves_what_is_named_and_what_the_living_write(values):
    for number in (3, 4, 5):
        store(values, b"v" * 100, number)
    parent = os.getppid()
    for name in (f"beside-{parent}-1", f"beside-{os.getpid()}-1", "beside-999999999-4", "beside-", "something"):
        (values.directory / name).write_bytes(b"half")
    assert values.sweep(lambda number: number >= 4) == 5
    assert names(values) == ["4", "5", f"beside-{parent}-1"]
