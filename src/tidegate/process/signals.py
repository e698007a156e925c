"""Signals as readable bytes: the handler does nothing, the loop reads which ones came."""

import os
import select
import signal
import socket
from collections.abc import Iterable

__all__ = ["SignalInbox", "has_terminal"]


def has_terminal() -> bool:
    """Whether this process has a controlling terminal; no longer once that was closed."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True


class SignalInbox:
    """Collects ``numbers`` from now on; to be made in the main thread."""

    def __init__(self, numbers: Iterable[int]) -> None:
        self._reader, writer = socket.socketpair()
        self._reader.setblocking(False)
        writer.setblocking(False)
        self._writer = writer
        signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        for number in numbers:
            signal.signal(number, _nothing)

    def fileno(self) -> int:
        """The descriptor to watch for reading."""
        return self._reader.fileno()

    @property
    def is_empty(self) -> bool:
        """Whether none waits to be read."""
        return not select.select([self._reader], [], [], 0)[0]

    def receive(self) -> list[int]:
        """The signals that have come since the last call."""
        try:
            return list(os.read(self._reader.fileno(), 4096))
        except BlockingIOError:
            return []

    def close(self) -> None:
        """Ends the collection; the signals keep doing nothing."""
        signal.set_wakeup_fd(-1)
        self._reader.close()
        self._writer.close()


def _nothing(number: int, frame: object) -> None:
    """Its being there makes Python write the number to the wake-up descriptor."""
