"""Lines on their way to descriptors that may not take them."""

import fcntl
import os
import pty
import socket

import pytest

from tidegate.observe.line_sink import LINE_MAX, LineSink


def fill(sink):
    """Writes until the sink drops; returns the lines it took."""
    taken = []
    for i in range(200_000):
        line = b"%06d %s\n" % (i, b"x" * (i % 90))
        if not sink.write(line):
            return taken
        taken.append(line)
    pytest.fail("it never dropped a line, so it would have waited")
    return []


def test_full_pipe_drops_and_counts_and_goes_on_when_read():
    read_end, write_end = os.pipe()
    sink = LineSink(fd=write_end)
    taken = fill(sink)
    assert sink.dropped == 1
    assert not fcntl.fcntl(write_end, fcntl.F_GETFL) & os.O_NONBLOCK, "the flag is shared with whoever started us"
    got = os.read(read_end, 1 << 20)
    assert got == b"".join(taken)
    assert sink.write(b"again\n")
    assert os.read(read_end, 100) == b"again\n"
    sink.close()
    os.close(read_end)
    os.close(write_end)


def test_full_socket_drops_whole_lines_only():
    ours, theirs = socket.socketpair()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    sink = LineSink(fd=ours.fileno())
    taken = fill(sink)
    theirs.settimeout(5)
    wanted = b"".join(taken)
    got = b""
    while len(got) < len(wanted):
        got += theirs.recv(1000)
        sink.write(b"") if got else None
    assert got.startswith(wanted)
    assert sink.write(b"again\n")
    got = b"" + got[len(wanted) :]
    while not got.endswith(b"again\n"):
        got += theirs.recv(1000)
    assert all(line.split(b" ")[0].isdigit() for line in got.splitlines()[:-1])
    sink.close()
    ours.close()
    theirs.close()


def test_terminal_nobody_reads_drops():
    leader, follower = pty.openpty()
    sink = LineSink(fd=follower)
    fill(sink)
    assert sink.dropped == 1
    assert os.get_blocking(follower)
    sink.close()
    os.close(leader)
    os.close(follower)


def test_file_is_appended_to_and_reopened_after_it_was_renamed(tmp_path):
    path = tmp_path / "error.log"
    path.write_bytes(b"old\n")
    sink = LineSink(str(path))
    assert sink.write(b"one\n")
    path.rename(tmp_path / "error.log.1")
    assert sink.write(b"two\n")
    sink.reopen()
    assert sink.write(b"three\n")
    sink.close()
    assert (tmp_path / "error.log.1").read_bytes() == b"old\none\ntwo\n"
    assert path.read_bytes() == b"three\n"


def test_reopen_that_fails_keeps_the_old_file(tmp_path):
    folder = tmp_path / "logs"
    folder.mkdir()
    sink = LineSink(str(folder / "error.log"))
    moved = folder.rename(tmp_path / "moved")
    with pytest.raises(FileNotFoundError):
        sink.reopen()
    assert sink.write(b"still\n")
    sink.close()
    assert (moved / "error.log").read_bytes() == b"still\n"


def test_full_disk_drops():
    sink = LineSink("/dev/full")
    assert not sink.write(b"x\n")
    assert sink.dropped == 1
    sink.close()


def test_endless_line_is_cut_to_what_a_pipe_takes_whole(tmp_path):
    sink = LineSink(str(tmp_path / "log"))
    sink.write(b"x" * 10_000)
    sink.close()
    assert (tmp_path / "log").read_bytes() == b"x" * (LINE_MAX - 1) + b"\n"
