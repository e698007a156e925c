"""A supervisor in a process of its own, for tests that kill, stop and replace what it started."""

import contextlib
import os
import queue
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import msgspec
import psutil

from tidegate.config.listeners import Listener
from tidegate.config.schema import Gateway
from tidegate.config.server import Server
from tidegate.config.snapshot import Snapshot
from tidegate.process.messages import SupervisorOrder, memory_file
from tidegate.process.worker import COMM

DEADLINE_S = 60.0


def eventually(condition, what, deadline_s=DEADLINE_S):
    """The first true value of ``condition``, looked at until the deadline.

    What takes long is looked at more seldom: to ask for a status, or to go through all processes, two hundred times a
    second would take the processors from what is waited for.
    """
    end = time.monotonic() + deadline_s
    pause_s = 0.005
    while True:
        if value := condition():
            return value
        assert time.monotonic() < end, f"not within {deadline_s:g} s: {what}"
        time.sleep(pause_s)
        pause_s = min(pause_s * 1.5, 0.05)


def are_gone(pids):
    """Whether all these processes have ended, reaped or not."""

    def is_gone(pid):
        try:
            return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True

    return all(is_gone(pid) for pid in pids)


class RunningSupervisor:
    """The process, what it says, and the processes below it."""

    def __init__(self, process):
        self.process = process
        self.pid = process.pid
        self.said = []
        self._lines = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.process.stderr:
            self._lines.put(line.decode().rstrip("\n"))
        self._lines.put(None)

    def hear(self, pattern, deadline_s=DEADLINE_S):
        """The match of the next line that has ``pattern``."""
        end = time.monotonic() + deadline_s
        while True:
            try:
                line = self._lines.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"never said {pattern!r}, but {self.said}") from None
            assert line is not None, f"ended without saying {pattern!r}, but {self.said}"
            self.said.append(line)
            if found := re.search(pattern, line):
                return found

    def everything_said(self):
        """All lines until its end."""
        while (line := self._lines.get(timeout=DEADLINE_S)) is not None:
            self.said.append(line)
        return self.said

    def complaints(self):
        """What it said until its end beside the lines of the error log: nothing, a reason, or a traceback."""
        return [line for line in self.everything_said() if " kind=" not in line]

    def close(self):
        """Once it has ended: nobody that it started is left, as each would hold its standard error."""
        self._reader.join(DEADLINE_S)
        # To close what a thread still reads would wait for ever.
        assert not self._reader.is_alive(), f"not everybody has gone: {self._holders_of_stderr()}"
        self.process.stderr.close()

    def _holders_of_stderr(self):
        """Pid, state and command line of everybody else who could still say something."""
        pipe = Path(f"/proc/self/fd/{self.process.stderr.fileno()}").readlink()
        found = []
        for one in psutil.process_iter():
            with contextlib.suppress(OSError, psutil.Error):
                descriptors = Path(f"/proc/{one.pid}/fd").iterdir()
                if one.pid != os.getpid() and any(descriptor.readlink() == pipe for descriptor in descriptors):
                    found.append((one.pid, one.status(), one.cmdline()))
        return found

    def wait_ready(self):
        found = self.hear(r"ready after [\d.]+ s: (\S+?)(?:, \S+?)*?(?:, admin (\S+))?, (\d+) worker")
        self.listener, self.admin = found[1], found[2]
        return self

    @property
    def address(self):
        host, _, port = self.listener.rpartition(":")
        return host, int(port)

    def children(self, module, name=None):
        """Pids of its live processes that run ``module`` or have called themselves ``name``, as they were started."""
        found = []
        for child in psutil.Process(self.pid).children():
            with contextlib.suppress(psutil.Error):
                is_one = module in child.cmdline() or child.name() == name
                if is_one and child.status() != psutil.STATUS_ZOMBIE:
                    found.append(child.pid)
        return found

    def workers(self):
        """Those that have a place, started for it or as the spare."""
        return self.children("tidegate.process.worker", COMM)

    def control(self):
        return self.children("tidegate.process.control")

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self, deadline_s=DEADLINE_S):
        return self.process.wait(deadline_s)

    def connect(self):
        return socket.create_connection(self.address, timeout=DEADLINE_S)


@contextlib.contextmanager
def supervised(
    *,
    workers=2,
    bind="127.0.0.1:0",
    drain_timeout=5.0,
    has_control=False,
    has_spare=False,
    service="tests.process.echo_service:EchoService",
    environment=None,
    gateway=None,
    runtime_dir="/nonexistent",
    companions=(),
    before=(),
):
    """Runs a supervisor and leaves none of its processes behind."""
    gateway = gateway or Gateway(
        server=Server(workers=workers, admin="127.0.0.1:0", drain_timeout=drain_timeout, spare_worker=has_spare),
        listeners=(Listener(bind=bind),),
    )
    snapshot_fd = memory_file("snapshot", Snapshot.build(gateway).encode())
    order = SupervisorOrder(
        snapshot_fd=snapshot_fd,
        runtime_dir=str(runtime_dir),
        python_path=sys.path,
        companions=list(companions),
        service=service,
        has_control=has_control,
    )
    order_fd = memory_file("order", msgspec.json.encode(order))
    process = subprocess.Popen(
        [*before, sys.executable, "-m", "tidegate.process.supervisor", str(order_fd)],
        pass_fds=(snapshot_fd, order_fd, *(fd for one in companions for fd in one.fds)),
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **(environment or {})},
    )
    os.close(snapshot_fd)
    os.close(order_fd)
    running = RunningSupervisor(process)
    below = []
    try:
        yield running
    finally:
        with contextlib.suppress(psutil.Error):
            below = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        for child in below:
            with contextlib.suppress(psutil.Error):
                child.kill()
        process.wait()
        running.close()


def stop_signal(pid):
    os.kill(pid, signal.SIGSTOP)
    eventually(lambda: psutil.Process(pid).status() == psutil.STATUS_STOPPED, f"{pid} is stopped")
