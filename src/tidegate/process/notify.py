"""What systemd is told (sd_notify(3)): ready, stopping, still alive. Plain datagrams; without systemd nothing is said.

The watchdog is told for as long as the supervisor's loop turns, whatever the workers do: one that hangs is found and
replaced by the stall watch, and a restart of the whole would cut what all the others serve.
"""

import contextlib
import os
import socket
import time
from collections.abc import Callable, Mapping

__all__ = ["Notifier"]


class Notifier:
    """Tells whoever started the gateway, by ``NOTIFY_SOCKET`` and ``WATCHDOG_USEC`` of its environment."""

    def __init__(
        self, environment: Mapping[str, str] = os.environ, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        address = environment.get("NOTIFY_SOCKET", "")
        # "@" stands for the zero byte of an abstract address; anything but a path is none.
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._socket: socket.socket | None = None
        if address.startswith(("/", "@")):
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            self._socket.setblocking(False)
        self._every_s = _watchdog_s(environment) / 2
        self._due_s = 0.0

    def __repr__(self) -> str:
        return f"<Notifier {self._address!r} watchdog every {self._every_s:g} s>"

    def say(self, **fields: str) -> None:
        """Tells ``fields``. Never waits, and a listener that is not there is no trouble of ours."""
        if self._socket is None:
            return
        text = "\n".join(f"{name}={value}" for name, value in fields.items())
        with contextlib.suppress(OSError):
            self._socket.sendto(text.encode(), self._address)

    def beat(self) -> None:
        """The loop turns; to be called whenever it does."""
        if self._socket is None or self._every_s == 0:
            return
        now_s = self._clock()
        if now_s >= self._due_s:
            self._due_s = now_s + self._every_s
            self.say(WATCHDOG="1")

    def close(self) -> None:
        """Nothing more is told."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _watchdog_s(environment: Mapping[str, str]) -> float:
    """How long systemd waits for a sign of life; 0: it does not, or not for us."""
    microseconds = environment.get("WATCHDOG_USEC", "")
    if environment.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()) or not microseconds.isdecimal():
        return 0.0
    return int(microseconds) / 1e6
