"""The ring of log lines between a worker and control."""

import os
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.memory.log_ring import ring_capacity, wait_for_lines
from tidegate.memory.region import Region

pytestmark = pytest.mark.sanitize

CAPACITY = 1 << 16


@pytest.fixture
def slot():
    region = Region.create(slots=2, log_bytes=CAPACITY)
    yield region.slot(1)
    region.close()


def line(number, size=40):
    return f"{number:012d} {'x' * (size - 14)}\n".encode()


def test_lines_come_out_as_they_went_in(slot):
    ring, reader = slot.take_log_ring(), slot.log_reader()
    lines = [line(i) for i in range(100)]
    assert all(ring.append(one) for one in lines)
    assert reader.read() == b"".join(lines)
    assert reader.read() == b""
    assert reader.pending == 0


def test_full_ring_loses_the_new_line_and_counts_it(slot):
    ring, reader = slot.take_log_ring(), slot.log_reader()
    kept = 0
    while ring.append(line(kept, 64)):
        kept += 1
    assert kept == CAPACITY // 64
    assert not ring.append(line(0))
    assert reader.lost == ring.lost_lines == 2
    assert reader.read(CAPACITY) == b"".join(line(i, 64) for i in range(kept))
    assert ring.append(line(1))


def test_successor_goes_on_where_the_dead_writer_stopped(slot):
    slot.take_log_ring().append(b"one\n")
    slot.take_log_ring().append(b"two\n")
    assert slot.log_reader().read() == b"one\ntwo\n"


def test_reader_that_died_before_it_took_lines_out_leaves_them(slot):
    slot.take_log_ring().append(b"one\n")
    slot.log_reader()
    assert slot.log_reader().read() == b"one\n"


def test_piece_is_cut_at_a_line_end(slot):
    ring, reader = slot.take_log_ring(), slot.log_reader()
    for i in range(10):
        ring.append(line(i))
    assert reader.read(100) == line(0) + line(1)
    assert reader.read(10) == line(2), "a line longer than asked for comes whole"


@given(st.lists(st.integers(20, 16000) | st.just(None), max_size=200))
def test_any_mixture_of_sizes_and_reads_keeps_lines_whole_and_in_order(steps):
    region = Region.create(1, CAPACITY)
    ring, reader = region.slot(0).take_log_ring(), region.slot(0).log_reader()
    wanted, got = [], []
    for i, size in enumerate(steps):
        if size is None:
            got.append(reader.read(5000))
        elif ring.append(line(i, size)):
            wanted.append(line(i, size))
    while piece := reader.read(1 << 20):
        assert piece.endswith(b"\n")
        got.append(piece)
    region.close()
    assert b"".join(got) == b"".join(wanted)
    assert ring.lost_lines == sum(1 for size in steps if size is not None) - len(wanted)


def test_writing_to_a_descriptor_takes_the_lines_out(slot, tmp_path):
    ring, reader = slot.take_log_ring(), slot.log_reader()
    for i in range(50):
        ring.append(line(i))
    with (tmp_path / "log").open("wb", buffering=0) as out:
        assert reader.write_to(out.fileno()) == (50 * 40, 0)
        assert reader.write_to(out.fileno()) == (0, 0)
    assert (tmp_path / "log").read_bytes() == b"".join(line(i) for i in range(50))


def test_short_write_is_finished_by_the_next_call(slot):
    ring, reader = slot.take_log_ring(), slot.log_reader()
    lines = [line(i, 1000) for i in range(60)]
    for one in lines:
        ring.append(one)
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    os.set_blocking(read_end, False)
    got, skip = b"", 0
    for _ in range(10_000):
        try:
            _, skip = reader.write_to(write_end, 1 << 20, skip)
        except BlockingIOError:
            got += os.read(read_end, 777)
        if not reader.pending:
            break
    got += os.read(read_end, 1 << 20)
    os.close(read_end)
    os.close(write_end)
    assert got == b"".join(lines)


def test_error_of_the_descriptor_leaves_the_lines_in_the_ring(slot):
    slot.take_log_ring().append(b"kept\n")
    reader = slot.log_reader()
    with Path("/dev/full").open("wb", buffering=0) as full, pytest.raises(OSError, match="No space left"):
        reader.write_to(full.fileno())
    assert reader.read() == b"kept\n"


@pytest.mark.parametrize("size", [0, CAPACITY // 4 + 1])
def test_line_of_senseless_size_is_refused(slot, size):
    with pytest.raises(ValueError, match="a line has"):
        slot.take_log_ring().append(b"x" * size)


def test_waiting_ends_when_one_ring_has_enough_or_the_time_is_over(slot):
    ring, readers = slot.take_log_ring(), [slot.log_reader()]
    assert not wait_for_lines(readers, 100, 0.001, 0.01)
    ring.append(b"x" * 98 + b"\n")
    assert not wait_for_lines(readers, 100, 0.001, 0.01)
    writer = threading.Timer(0.02, ring.append, [b"\n"])
    writer.start()
    began = time.monotonic()
    assert wait_for_lines(readers, 100, 0.001, 20.0)
    assert time.monotonic() - began < 10
    writer.join()
    assert not wait_for_lines([], 1, 0.001, 0.0)


def test_capacity_is_a_power_of_two_that_holds_what_was_asked():
    assert ring_capacity(1) == 1 << 16
    assert ring_capacity(1 << 20) == 1 << 20
    assert ring_capacity((1 << 20) + 1) == 1 << 21
