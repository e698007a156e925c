"""A process the supervisor started: a fresh interpreter with exactly the descriptors named in its order.

Never a fork of the supervisor. Each runs in a process group of its own, so that Ctrl-C in a terminal reaches the
supervisor alone, which then drains. A pidfd tells of its death, without signals and without mixing up reused pids.
"""

import contextlib
import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

import msgspec

from tidegate.process.channel import Channel
from tidegate.process.messages import CandidateOrder, ControlOrder, SupervisorMessage, WorkerOrder, memory_file
from tidegate.process.program import Program

__all__ = ["Child", "condition_of", "describe_exit"]


class Child:
    """One running process and our end of the conversation with it."""

    def __init__(
        self,
        name: str,
        pid: int,
        channel: Channel[SupervisorMessage] | None,
        process: "subprocess.Popen[bytes] | None" = None,
    ) -> None:
        self.name = name
        self.pid = pid
        self.channel = channel
        self.pidfd = os.pidfd_open(pid)
        self.last_words = ""
        self._process = process  # None: the program that this process ran before has started it

    @classmethod
    def start(
        cls,
        name: str,
        module: str,
        order: WorkerOrder | ControlOrder | CandidateOrder,
        channel: Channel[SupervisorMessage],
        *,
        fds: Sequence[int],
        program: Program,
        stderr: int | None = None,
    ) -> "Child":
        """Starts ``module`` of ``program`` with its order and ``fds``. OSError: no process could be made."""
        order_fd = memory_file(f"{name}-order", msgspec.json.encode(order))
        try:
            argv = program.command(module, str(order_fd))
            process = _spawn(argv, (order_fd, *fds), program.environment(), stderr)
        finally:
            os.close(order_fd)
        return cls(name, process.pid, channel, process)

    @classmethod
    def start_program(
        cls,
        name: str,
        argv: Sequence[str],
        fds: Sequence[int],
        *,
        environment: dict[str, str] | None = None,
        stderr: int | None = None,
    ) -> "Child":
        """Starts any other program, which has no channel. OSError: it could not be started."""
        process = _spawn(argv, fds, environment, stderr)
        return cls(name, process.pid, None, process)

    def __repr__(self) -> str:
        return f"<Child {self.name} pid={self.pid}>"

    def signal(self, number: int) -> None:
        """Sends a signal, if it is still alive."""
        if self.pidfd < 0:
            return
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.pidfd, number)

    def kill(self) -> None:
        """Ends it at once, whatever it does, stopped included."""
        self.signal(signal.SIGKILL)

    def reap(self) -> str:
        """After the pidfd became readable: how it ended, in words."""
        process = self._process
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1]) if process is None else process.wait()
        os.close(self.pidfd)
        self.pidfd = -1
        if self.channel is not None:
            self.channel.close()
            self.channel = None
        return self.last_words or describe_exit(code)


def condition_of(pid: int) -> str:
    """The letter that the kernel has for a process: R, S, D, T, t …; "" when there is none."""
    try:
        # The name in parentheses may hold anything, spaces and parentheses too.
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0].decode("ascii")
    except (OSError, IndexError):
        return ""


def describe_exit(code: int) -> str:
    """A return code as `subprocess` gives it, in words."""
    if code >= 0:
        return f"exited with code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"


def _spawn(
    argv: Sequence[str], fds: Sequence[int], environment: dict[str, str] | None = None, stderr: int | None = None
) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        argv, stdin=subprocess.DEVNULL, stderr=stderr, pass_fds=fds, process_group=0, env=environment
    )
