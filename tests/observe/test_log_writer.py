"""Lines from the rings to the file, and disks in trouble."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tidegate.memory.region import Region
from tidegate.observe.log_writer import LogWriter


class Told(list):
    def __call__(self, kind, message, level="warning", **fields):
        self.append((kind, fields))


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def region():
    made = Region.create(slots=2, log_bytes=1 << 16)
    yield made
    made.close()


@pytest.fixture
def told():
    return Told()


def readers(region):
    return [region.slot(i).log_reader() for i in range(region.slots)]


def wait_for(condition, timeout_s=60.0):
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.002)


def test_lines_of_all_workers_reach_the_file(region, told, tmp_path):
    path = tmp_path / "access.log"
    writer = LogWriter(readers(region), str(path), flush_s=0.01, say=told)
    writer.start()
    rings = [region.slot(i).take_log_ring() for i in range(2)]
    wanted = [[b"%d %06d %s\n" % (who, i, b"x" * (i % 200)) for i in range(3000)] for who in range(2)]
    for pair in zip(*wanted, strict=True):
        for ring, line in zip(rings, pair, strict=True):
            if not ring.append(line):
                wait_for(lambda ring=ring: ring.pending < 1 << 15)
                assert ring.append(line)
    assert writer.stop()
    lines = path.read_bytes().splitlines(keepends=True)
    assert [line for line in lines if line.startswith(b"0 ")] == wanted[0]
    assert [line for line in lines if line.startswith(b"1 ")] == wanted[1]
    assert len(lines) == 6000
    assert not [kind for kind, _ in told if kind != "log_lines_lost"]


def test_few_lines_wait_for_the_flush_and_many_do_not(region, told, tmp_path):
    clock, path = Clock(), tmp_path / "access.log"
    writer = LogWriter(readers(region), str(path), flush_s=1.0, say=told, clock=clock)
    ring = region.slot(0).take_log_ring()
    ring.append(b"one\n")
    assert writer.drain()
    assert path.read_bytes() == b""
    clock.now = 1.0
    assert writer.drain()
    assert path.read_bytes() == b"one\n"
    for _ in range(20):
        ring.append(b"x" * 999 + b"\n")
    assert writer.drain()
    assert path.stat().st_size == 4 + 20_000
    assert writer.stop()


def test_file_renamed_is_left_and_a_new_one_opened(region, told, tmp_path):
    path = tmp_path / "access.log"
    writer = LogWriter(readers(region), str(path), flush_s=0.0, say=told)
    writer.start()
    ring = region.slot(0).take_log_ring()
    ring.append(b"one\n")
    wait_for(lambda: path.read_bytes() == b"one\n")
    path.rename(tmp_path / "access.log.1")
    writer.reopen()
    wait_for(path.exists)
    ring.append(b"two\n")
    assert writer.stop()
    assert (tmp_path / "access.log.1").read_bytes() == b"one\n"
    assert path.read_bytes() == b"two\n"
    assert writer.statistics().reopened == 1


def test_reopen_that_fails_is_said_and_the_old_file_goes_on(region, told, tmp_path):
    folder = tmp_path / "logs"
    folder.mkdir()
    writer = LogWriter(readers(region), str(folder / "access.log"), flush_s=0.0, say=told)
    folder.rename(tmp_path / "moved")
    writer.start()
    writer.reopen()
    wait_for(lambda: told)
    region.slot(0).take_log_ring().append(b"one\n")
    assert writer.stop()
    assert [kind for kind, _ in told] == ["log_reopen_failed"]
    assert (tmp_path / "moved" / "access.log").read_bytes() == b"one\n"


def test_full_disk_is_said_and_lines_stay_until_the_ring_is_full(region, told):
    writer = LogWriter(readers(region), "/dev/full", flush_s=0.0, say=told)
    ring = region.slot(0).take_log_ring()
    ring.append(b"one\n")
    assert not writer.drain()
    assert told == [("log_write_failed", {"errno": 28})]
    assert writer.statistics().is_failing and writer.statistics().failures == 1
    assert ring.pending == 4
    assert not writer.stop()


def test_lines_lost_while_the_disk_is_full_are_said_too(region, told):
    clock = Clock()
    writer = LogWriter(readers(region), "/dev/full", flush_s=0.0, say=told, clock=clock)
    ring = region.slot(0).take_log_ring()
    while ring.append(b"x" * 99 + b"\n"):
        pass
    clock.now = 2.0
    assert not writer.drain()
    assert told == [("log_write_failed", {"errno": 28}), ("log_lines_lost", {"lines": 1, "all": 1})]
    assert not writer.stop()


def test_lines_lost_are_said_once_a_second_with_their_number(region, told, tmp_path):
    clock = Clock()
    writer = LogWriter(readers(region), str(tmp_path / "log"), say=told, clock=clock)
    ring = region.slot(0).take_log_ring()
    while ring.append(b"x" * 99 + b"\n"):
        pass
    for _ in range(9):
        ring.append(b"x" * 99 + b"\n")
    for clock.now in (0.5, 1.0, 1.5, 3.0):
        writer.drain()
    assert told == [("log_lines_lost", {"lines": 10, "all": 10})]
    assert writer.statistics().lines_lost == 10
    assert writer.stop()


def test_reader_of_standard_output_that_sleeps_holds_no_worker_and_gets_whole_lines_later(region, told):
    read_end, write_end = os.pipe()
    writer = LogWriter(readers(region), "-", flush_s=0.0, say=told, stdout=write_end)
    writer.start()
    ring = region.slot(0).take_log_ring()
    kept = 0
    began = time.perf_counter()
    for i in range(5000):
        kept += ring.append(b"%06d %s\n" % (i, b"x" * 80))
    took = time.perf_counter() - began
    wait_for(lambda: ring.pending > 1 << 15)
    assert ring.lost_lines == 5000 - kept > 0
    assert took < 10, "some 10 ms; who is held up by the reader is held up for good"
    got = b""
    while got.count(b"\n") < kept:
        got += os.read(read_end, 1 << 16)
    assert writer.stop()
    assert all(re.fullmatch(rb"\d{6} x{80}", line) for line in got.splitlines())
    os.close(read_end)
    os.close(write_end)


def test_non_blocking_standard_output_is_waited_for(region, told):
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    writer = LogWriter(readers(region), "-", flush_s=0.0, say=told, stdout=write_end)
    ring = region.slot(0).take_log_ring()
    wanted = []
    writer.start()
    for i in range(300):
        wanted.append(b"%03d %s\n" % (i, b"x" * (i * 7)))
        if not ring.append(wanted[-1]):
            wanted.pop()
    got = b""
    while len(got) < sum(map(len, wanted)):
        got += os.read(read_end, 1000)
    assert got == b"".join(wanted)
    assert writer.stop()
    assert not [kind for kind, _ in told if kind == "log_write_failed"]
    os.close(read_end)
    os.close(write_end)


def test_line_begun_before_the_disk_was_full_is_finished_first(region, told, tmp_path, monkeypatch):
    """A file-size limit makes the kernel write half a line and then fail, as a full disk does."""
    code = (
        "import resource, signal, sys\n"
        "from tidegate.memory.region import Region\n"
        "from tidegate.observe.log_writer import LogWriter\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "region = Region.attach(int(sys.argv[1]))\n"
        "soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1234, hard))\n"
        "readers = [region.slot(i).log_reader() for i in range(2)]\n"
        "writer = LogWriter(readers, sys.argv[2], 0.0, say=lambda *a, **k: None)\n"
        "assert not writer.drain(everything=True)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))\n"
        "region.slot(1).take_log_ring().append(b'z' * 99 + b'\\n')\n"
        "assert writer.drain(everything=True)\n"
    )
    ring = region.slot(0).take_log_ring()
    for i in range(50):
        ring.append(b"%04d %s\n" % (i, b"x" * 94))
    path = tmp_path / "access.log"
    subprocess.run([sys.executable, "-c", code, str(region.fd), str(path)], pass_fds=[region.fd], check=True)
    lines = path.read_bytes().splitlines(keepends=True)
    assert lines == [b"%04d %s\n" % (i, b"x" * 94) for i in range(50)] + [b"z" * 99 + b"\n"]


def test_control_that_dies_leaves_the_lines_to_the_next(region, told, tmp_path):
    path = tmp_path / "access.log"
    ring = region.slot(0).take_log_ring()
    dead = LogWriter(readers(region), str(path), say=told)
    ring.append(b"kept\n")
    dead.drain()
    path.write_bytes(b"half a li")
    after = LogWriter(readers(region), str(path), say=told)
    assert after.stop()
    assert path.read_bytes() == b"half a li\nkept\n"


def test_file_that_cannot_be_opened_is_an_error_at_the_start(region, told, tmp_path):
    with pytest.raises(FileNotFoundError):
        LogWriter(readers(region), str(Path(tmp_path) / "nowhere" / "log"), say=told)
