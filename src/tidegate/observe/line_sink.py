"""Where lines of the error log go: a descriptor that never holds the writer up.

A pipe whose reader sleeps, a terminal somebody stopped with ^S, a full socket buffer: the line is dropped and counted.
The non-blocking flag belongs to the open file, which the process shares with whoever started it, so it is never set
on a descriptor that was inherited: the file is opened a second time, or asked first whether it would take a line.
"""

from __future__ import annotations

import os
import select
import socket
import stat
from pathlib import Path

LINE_MAX = 4096
"""Longest line in bytes: what a pipe takes whole or not at all (PIPE_BUF)."""


class LineSink:
    """Writes lines to a file, or to a descriptor such as standard error; "-" is standard error."""

    def __init__(self, path: str = "-", fd: int = 2) -> None:
        self.path = path
        self.dropped = 0
        self._fd = -1
        self._socket: socket.socket | None = None
        self._ask_first = False
        self._rest = b""
        if path == "-":
            self._use(fd)
        else:
            self._fd = _open_file(path)

    def _use(self, fd: int) -> None:
        mode = os.fstat(fd).st_mode
        if stat.S_ISSOCK(mode):
            self._socket = socket.socket(fileno=os.dup(fd))
        elif stat.S_ISREG(mode):
            self._fd = os.dup(fd)
        else:
            try:
                flags = os.O_WRONLY | os.O_NONBLOCK | os.O_APPEND | os.O_CLOEXEC | os.O_NOCTTY
                self._fd = os.open(f"/proc/self/fd/{fd}", flags)
            except OSError:  # a terminal of somebody else (su, sudo), no /proc
                self._fd = os.dup(fd)
                self._ask_first = True

    def write(self, line: bytes) -> bool:
        """Writes one line with its line feed; False when it was dropped."""
        whole = self._rest + line if len(line) <= LINE_MAX else self._rest + line[: LINE_MAX - 1] + b"\n"
        done = self._send(whole)
        if done >= len(self._rest):
            # Begun lines are finished first, so that two never run into each other.
            dropped = done == len(self._rest)
            self._rest = b"" if dropped else whole[done:]
        else:
            self._rest = self._rest[done:]
            dropped = True
        self.dropped += dropped
        return not dropped

    def _send(self, data: bytes) -> int:
        try:
            if self._socket is not None:
                return self._socket.send(data, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
            if self._ask_first and not self._takes_a_line():
                return 0
            return os.write(self._fd, data)
        except OSError:
            return 0

    def _takes_a_line(self) -> bool:
        poll = select.poll()
        poll.register(self._fd, select.POLLOUT)
        return any(events & select.POLLOUT for _, events in poll.poll(0))

    def reopen(self) -> None:
        """Opens the file again, after it was renamed; raises ``OSError`` and keeps the old one when that fails."""
        if self.path == "-":
            return
        fresh = _open_file(self.path)
        os.close(self._fd)
        self._fd, self._rest = fresh, b""

    def close(self) -> None:
        """Lets go of the descriptor; what was inherited stays open."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __repr__(self) -> str:
        return f"<LineSink {self.path} {self.dropped} dropped>"


def _open_file(path: str) -> int:
    return os.open(Path(path), os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOCTTY, 0o640)
