"""A process the supervisor started: a fresh interpreter with exactly the descriptors named in its order.

Never a fork of the supervisor. Each runs in a process group of its own, so that Ctrl-C in a terminal reaches the
supervisor alone, which then drains. A pidfd tells of its death, without signals and without mixing up reused pids.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence

import msgspec

from tidegate.process.channel import Channel
from tidegate.process.messages import ControlOrder, SupervisorMessage, WorkerOrder, memory_file

__all__ = ["Child", "describe_exit"]


class Child:
    """One running process and our end of the conversation with it."""

    def __init__(
        self, name: str, process: "subprocess.Popen[bytes]", channel: Channel[SupervisorMessage] | None
    ) -> None:
        self.name = name
        self.pid = process.pid
        self.channel = channel
        self.pidfd = os.pidfd_open(process.pid)
        self.last_words = ""
        self._process = process

    @classmethod
    def start(
        cls,
        name: str,
        module: str,
        order: WorkerOrder | ControlOrder,
        channel: Channel[SupervisorMessage],
        fds: Sequence[int],
    ) -> "Child":
        """Starts ``python -m module`` with its order and ``fds``. OSError: no process could be made."""
        order_fd = memory_file(f"{name}-order", msgspec.json.encode(order))
        try:
            # -P: nothing is imported from the directory the gateway happens to be started in.
            argv = [sys.executable, "-P", "-m", module, str(order_fd)]
            return cls(name, _spawn(argv, (order_fd, *fds)), channel)
        finally:
            os.close(order_fd)

    @classmethod
    def start_program(cls, name: str, argv: Sequence[str], fds: Sequence[int]) -> "Child":
        """Starts any other program, which has no channel. OSError: it could not be started."""
        return cls(name, _spawn(argv, fds), None)

    def __repr__(self) -> str:
        return f"<Child {self.name} pid={self.pid}>"

    def signal(self, number: int) -> None:
        """Sends a signal, if it is still alive."""
        self._process.send_signal(number)

    def kill(self) -> None:
        """Ends it at once, whatever it does, stopped included."""
        self.signal(signal.SIGKILL)

    def reap(self) -> str:
        """After the pidfd became readable: how it ended, in words."""
        code = self._process.wait()
        os.close(self.pidfd)
        if self.channel is not None:
            self.channel.close()
            self.channel = None
        return self.last_words or describe_exit(code)


def describe_exit(code: int) -> str:
    """A return code as `subprocess` gives it, in words."""
    if code >= 0:
        return f"exited with code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"


def _spawn(argv: Sequence[str], fds: Sequence[int]) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(argv, stdin=subprocess.DEVNULL, pass_fds=fds, process_group=0)
