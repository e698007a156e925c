import os

import msgspec
import pytest

from tidegate.process.messages import (
    Companion,
    SupervisorOrder,
    memory_file,
    read_memory_file,
    read_order,
)


@pytest.fixture
def sealed():
    fd = memory_file("snapshot", b"tide" * 1000)
    yield fd
    os.close(fd)


def test_memory_file_is_read_whole_by_any_number_of_readers(sealed):
    assert read_memory_file(sealed) == b"tide" * 1000
    os.lseek(sealed, 17, os.SEEK_SET)
    assert read_memory_file(sealed) == b"tide" * 1000


@pytest.mark.parametrize("harm", [lambda fd: os.pwrite(fd, b"x", 0), lambda fd: os.ftruncate(fd, 5)])
def test_nobody_can_change_it(sealed, harm):
    with pytest.raises(PermissionError):
        harm(sealed)


def test_order_survives_its_file_and_closes_it():
    order = SupervisorOrder(
        snapshot_fd=7, runtime_dir="/run/x", python_path=["a"], companions=[Companion("demo", ["x"], [9])]
    )
    fd = memory_file("order", msgspec.json.encode(order))
    assert read_order(fd, SupervisorOrder) == order
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)
