"""The stack of another process of ours down into C, by py-spy where that is installed and may look.

faulthandler (`stack_pipe`) shows the Python line that called a library; which function of the library hangs only
somebody outside can see, who stops the process and reads its memory. That is a program of its own, never waited for: it
writes into a memory file, and is killed when it takes too long. Where it is missing, or the kernel does not let it look
(`kernel.yama.ptrace_scope`, a container without CAP_SYS_PTRACE), nothing is said: the Python stack is there already.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tidegate.observe.stalls import parse_native_stack
from tidegate.process.child import Child

__all__ = ["NativeStacks", "program"]

_DEADLINE_S = 5.0
_CLOSE_S = 1.0
_APART_S = 10.0  # the process stands still for a moment while it is read, and symbols take processor time
_REFUSED_S = 600.0  # until it is tried again where it could not look


def program() -> str | None:
    """Where py-spy is: beside our interpreter, or in the path; None: nowhere."""
    beside = Path(sys.executable).with_name("py-spy")
    return str(beside) if os.access(beside, os.X_OK) else shutil.which("py-spy")


class NativeStacks:
    """Asks for one stack at a time, and not often.

    Args:
        find: where the program is; None: nowhere.
        clock: monotonic seconds.
    """

    def __init__(self, find: Callable[[], str | None] = program, clock: Callable[[], float] = time.monotonic) -> None:
        self._find = find
        self._clock = clock
        self._due_s = float("-inf")
        # the one under way
        self._child: Child | None = None  # whose stack is being read
        self._spy: subprocess.Popen[bytes] | None = None
        self._output_fd = -1
        self._deadline_s = 0.0

    def __repr__(self) -> str:
        return f"<NativeStacks of {self.pid or 'nobody'}>"

    @property
    def pid(self) -> int:
        """Whose stack is being read; 0: nobody's."""
        return 0 if self._child is None else self._child.pid

    def ask(self, child: Child) -> bool:
        """Begins to read the stack of ``child``; False when that is not possible, or not now."""
        now_s = self._clock()
        if self._spy is not None or now_s < self._due_s:
            return False
        found = self._find()
        if found is None:
            self._due_s = now_s + _REFUSED_S
            return False
        argv = [found, "dump", "--native", "--json", "--pid", str(child.pid)]
        try:
            self._output_fd = os.memfd_create("native-stack", os.MFD_CLOEXEC)
            self._spy = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=self._output_fd, stderr=subprocess.DEVNULL, process_group=0
            )
        except OSError:
            self._end(_REFUSED_S)
            return False
        self._child = child
        self._deadline_s = now_s + _DEADLINE_S
        return True

    def take(self) -> list[str] | None:
        """The calls of the event loop's thread, innermost first; empty: not to be had. None: not yet, or not asked."""
        if self._spy is None:
            return None
        code = self._spy.poll()
        if code is None:
            if self._clock() >= self._deadline_s:
                self._spy.kill()  # whether it dies at once is the kernel's business
            return None
        calls = []
        if code == 0:
            size = os.fstat(self._output_fd).st_size
            calls = parse_native_stack(os.pread(self._output_fd, size, 0), self.pid)
        elif code < 0:
            self._let_go_on()
        self._end(_APART_S if calls else _REFUSED_S)
        return calls

    def close(self) -> None:
        """Ends what is under way, if anything is."""
        if self._spy is None:
            return
        self._spy.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._spy.wait(_CLOSE_S)
        self._let_go_on()
        self._end(_REFUSED_S)

    def _let_go_on(self) -> None:
        # Killed between attaching and waiting, it leaves the signal behind that was to stop the process.
        # By its pidfd: the pid may be somebody else's by now, who has nothing to do with it.
        if self._child is not None:
            with contextlib.suppress(OSError):
                self._child.signal(signal.SIGCONT)

    def _end(self, wait_s: float) -> None:
        if self._output_fd >= 0:
            os.close(self._output_fd)
        self._spy = None
        self._output_fd = -1
        self._child = None
        self._due_s = self._clock() + wait_s
