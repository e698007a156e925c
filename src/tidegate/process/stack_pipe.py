"""The Python stack of another process of ours, whatever it is doing: a signal, a handler in C, a pipe.

The handler is faulthandler's: it takes no lock and no memory, needs no interpreter lock, and writes where the thread of
the event loop is. The signal is SIGURG, which a process that has no handler for it yet ignores; a system call that it
interrupts is begun again by the kernel or by Python. The pipe never blocks its writer: what nobody takes is dropped.
"""

import contextlib
import faulthandler
import os
import signal

from tidegate.process.child import Child

__all__ = ["SIGNAL", "StackPipe", "answer_with_stacks"]

SIGNAL = signal.SIGURG


def answer_with_stacks(fd: int) -> None:
    """From now on this process writes the stack of its main thread to ``fd`` when it gets `SIGNAL`."""
    os.set_inheritable(fd, False)
    faulthandler.register(SIGNAL, file=fd, all_threads=False, chain=False)


class StackPipe:
    """The asking end, for one process at a time."""

    def __init__(self, adopted_fd: int = -1) -> None:
        if adopted_fd >= 0:
            self._reader, self.writer_fd = adopted_fd, -1
        else:
            self._reader, self.writer_fd = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)

    def fileno(self) -> int:
        """The end that is read here."""
        return self._reader

    def handed_on(self) -> None:
        """The process has inherited ``writer_fd``."""
        if self.writer_fd >= 0:
            os.close(self.writer_fd)
            self.writer_fd = -1

    def ask(self, child: Child) -> None:
        """Asks for its stack; `take` brings it, a moment later."""
        self.take()
        child.signal(SIGNAL)

    def take(self) -> bytes:
        """What has been written since the last call; nothing is waited for."""
        pieces = []
        with contextlib.suppress(BlockingIOError):
            while piece := os.read(self._reader, 65536):
                pieces.append(piece)
        return b"".join(pieces)

    def close(self) -> None:
        """Safe to call twice."""
        self.handed_on()
        if self._reader >= 0:
            os.close(self._reader)
            self._reader = -1
