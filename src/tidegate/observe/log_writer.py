"""Brings finished access log lines from the workers' rings to the file, in a thread of control.

The ring is the buffer: lines stay in shared memory until a good piece is together or ``flush`` is over, are written
straight from there, and leave the ring only when they have been written. So a control process that dies loses none,
and a disk that hangs holds this thread and nobody else; when a ring is full its worker counts what is lost.
"""

from __future__ import annotations

import contextlib
import os
import select
import stat
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from tidegate.memory.log_ring import LogReader, wait_for_lines

PIECE = 1 << 20
"""Most bytes of one write."""

_FASTEST_WORKER = 100_000_000
"""Bytes a second that a worker can log: says how often rings must be looked at."""

_LOOK_UP_S = 0.05
"""Longest time until a request to stop or to reopen is seen, and until the flush time is looked at."""

_RETRY_S = 1.0


class Say(Protocol):
    """What ``ErrorLog.say`` looks like from here."""

    def __call__(self, kind: str, message: str, level: str = "warning", **fields: object) -> None: ...


class LogWriterStatistics(NamedTuple):
    """What became of the lines."""

    path: str
    bytes_written: int
    writes: int
    failures: int
    reopened: int
    lines_lost: int
    is_failing: bool


class LogWriter:
    """Empties the rings into one file or standard output.

    Args:
        readers: One for each worker slot.
        path: The file; "-" is standard output.
        flush_s: Longest time a line waits when the disk keeps up.
        say: Where trouble is told.
        clock: Monotonic seconds.
        stdout: The descriptor that "-" stands for.

    Raises:
        OSError: The file cannot be opened for writing.
    """

    def __init__(
        self,
        readers: Sequence[LogReader],
        path: str,
        flush_s: float = 1.0,
        *,
        say: Say,
        clock: Callable[[], float] = time.monotonic,
        stdout: int = 1,
    ) -> None:
        self.path = path
        self._readers = list(readers)
        self._flush_s = flush_s
        self._say = say
        self._clock = clock
        self._fd = os.dup(stdout) if path == "-" else _open_log(path)
        smallest = min(reader.capacity for reader in self._readers)
        self._enough = min(smallest // 8, 1 << 18)
        self._interval_s = min(max(smallest / 2 / _FASTEST_WORKER, 0.002), 0.05)
        self._emptied_at = [clock()] * len(self._readers)
        self._unfinished: tuple[int, int] | None = None  # reader, and bytes of its first line that are in the file
        self._lost_told = self._lost()
        self._lost_told_at = clock()
        self._wake = threading.Event()
        self._asked_to_reopen = False
        self._stopping = False
        self._written = self._writes = self._failures = self._reopened = 0
        self._is_failing = False
        self._thread: threading.Thread | None = None

    def start(self) -> threading.Thread:
        """Starts the thread."""
        self._thread = thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
        thread.start()
        return thread

    def reopen(self) -> None:
        """Opens the file again, after it was renamed (SIGUSR1). Done by the thread; returns at once."""
        self._asked_to_reopen = True
        self._wake.set()

    def stop(self, timeout_s: float = 5.0) -> bool:
        """Writes what is left and ends; False when the disk did not take it in time (it stays in the rings)."""
        self._stopping = True
        self._wake.set()
        thread = self._thread or self.start()
        thread.join(timeout_s)
        if thread.is_alive():
            return False
        return not any(reader.pending for reader in self._readers)

    def statistics(self) -> LogWriterStatistics:
        """What became of the lines."""
        return LogWriterStatistics(
            self.path, self._written, self._writes, self._failures, self._reopened, self._lost(), self._is_failing
        )

    def drain(self, *, everything: bool = False) -> bool:
        """One round over the rings that are due; False when the file took nothing and is to be left alone a while."""
        now = self._clock()
        is_taken = self._drain_due(now, everything)
        self._tell_lost(now)
        return is_taken

    def _drain_due(self, now: float, everything: bool) -> bool:
        first = -1 if self._unfinished is None else self._unfinished[0]
        for at in sorted(range(len(self._readers)), key=lambda at: at != first):
            pending = self._readers[at].pending
            if at == first:  # a line half in the file is finished before another one begins
                if not self._empty(at):
                    return False
            elif not pending:
                self._emptied_at[at] = now
            elif everything or pending >= self._enough or now - self._emptied_at[at] >= self._flush_s:
                if not self._empty(at):
                    return False
                self._emptied_at[at] = now
        return True

    def _empty(self, at: int) -> bool:
        reader = self._readers[at]
        left = reader.pending  # what comes while we write waits for the next round, so that each ring has its turn
        skip = self._unfinished[1] if self._unfinished is not None else 0
        while left > 0 and reader.pending:
            try:
                done, skip = reader.write_to(self._fd, PIECE, skip)
            except BlockingIOError:  # standard output may be a non-blocking pipe
                if not select.select([], [self._fd], [], _RETRY_S)[1]:
                    return False
                continue
            except OSError as error:
                self._failures += 1
                self._is_failing = True
                self._say("log_write_failed", f"access log {self.path}: {error}", level="error", errno=error.errno)
                return False
            self._unfinished = (at, skip) if skip else None
            self._written += done
            self._writes += 1
            left -= done
        self._is_failing = False
        return True

    def _run(self) -> None:
        while not self._stopping:
            if self._asked_to_reopen:
                self._asked_to_reopen = False
                self._reopen()
            if self.drain():
                wait_for_lines(self._readers, self._enough, self._interval_s, min(self._flush_s, _LOOK_UP_S))
            else:
                self._wake.wait(_RETRY_S)
                self._wake.clear()
        self.drain(everything=True)
        os.close(self._fd)

    def _reopen(self) -> None:
        if self.path == "-":
            return
        try:
            fresh = _open_log(self.path)
        except OSError as error:
            self._say("log_reopen_failed", f"access log stays in the old file: {error}", level="error")
            return
        self._fd, old = fresh, self._fd
        self._unfinished = None  # the line is still in its ring: the new file gets all of it
        self._reopened += 1
        with contextlib.suppress(OSError):  # what the old disk says at close has been said at the write
            os.close(old)

    def _lost(self) -> int:
        return sum(reader.lost for reader in self._readers)

    def _tell_lost(self, now: float) -> None:
        if now - self._lost_told_at < 1.0:
            return
        self._lost_told_at = now
        lost = self._lost()
        if lost > self._lost_told:
            self._say(
                "log_lines_lost", "the access log was slower than the workers", lines=lost - self._lost_told, all=lost
            )
            self._lost_told = lost

    def __repr__(self) -> str:
        state = "failing" if self._is_failing else "writing"
        return f"<LogWriter {self.path} {state}, {self._written} bytes, {self._lost()} lines lost>"


def _open_log(path: str) -> int:
    """Opens for appending; a line that another life left half written is closed first."""
    fd = os.open(Path(path), os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOCTTY, 0o640)
    status = os.fstat(fd)
    if stat.S_ISREG(status.st_mode) and status.st_size:
        with contextlib.suppress(OSError), Path(path).open("rb") as written:
            written.seek(-1, os.SEEK_END)
            if written.read(1) != b"\n":
                os.write(fd, b"\n")
    return fd
