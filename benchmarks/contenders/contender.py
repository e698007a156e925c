"""What every program under test has in common: where it listens, what counts as its own, how it starts and stops."""

import abc
import contextlib
import os
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks import processes
from benchmarks.ports import free_port

KEY = "9d7c1f0e5b3a48624d1c0b9a8f7e6d5c"
"""What the load presents as ``X-API-Key`` where a contender asks for a key."""


class NotHereError(RuntimeError):
    """A contender cannot take part on this machine; the text says why."""


@dataclass(frozen=True)
class Ground:
    """What all contenders of a session share: a directory on tmpfs, the upstream, a certificate, programs."""

    directory: Path
    programs: Path
    upstream_port: int
    certificate: Path
    key: Path


class Contender(abc.ABC):
    """One program under test, started once and loaded in many rounds."""

    proxies = True  # False: the row is the harness's ceiling, not a gateway

    def __init__(self, name: str) -> None:
        self.name = name
        self.port = 0
        self.tls_port = 0
        self.command = ""
        self.version = ""
        self.configuration = ""
        self.directory = Path()
        self._process: subprocess.Popen[bytes] | None = None
        self._pids: list[int] = []

    def __repr__(self) -> str:
        return f"<{self.name} port {self.port} pids {self._pids}>"

    @abc.abstractmethod
    def prepare(self, ground: Ground) -> tuple[list[str], Mapping[str, str]]:
        """Writes the configuration into ``self.directory``; returns command and environment, or raises."""

    def start(self, ground: Ground, patience_s: float = 15.0) -> None:
        """Starts the program on its core and returns when it answers; raises NotHereError with its last words."""
        self.port, self.tls_port = free_port(), free_port()
        self.directory = ground.directory / self.name
        self.directory.mkdir(exist_ok=True)
        argv, env = self.prepare(ground)
        self.command = " ".join(argv)
        log = self.directory / "output.log"
        self._process = processes.spawn(argv, processes.CONTENDER_CORE, log, env=env, cwd=self.directory)
        deadline = time.monotonic() + patience_s
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                words = log.read_text(errors="replace").strip().splitlines()[-3:]
                raise NotHereError(f"{self.name} did not start: {' / '.join(words) or 'no output'}")
            time.sleep(0.05)
        processes.pin(self.refresh(), processes.CONTENDER_CORE)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/small", timeout=1) as response:
                return bool(response.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def stop(self) -> None:
        """Ends everything it started; safe to call twice."""
        if self._process is not None:
            processes.stop(self._process)
            self._process = None

    def refresh(self) -> list[int]:
        """Looks again which processes are its own (a replaced worker has a new pid)."""
        self._pids = processes.tree(self._process.pid) if self._process else []
        return self._pids

    @property
    def pids(self) -> list[int]:
        """All its processes at the last look."""
        return self._pids

    def url(self, path: str, tls: bool = False) -> str:
        """Where to send a request for ``path``."""
        return f"https://127.0.0.1:{self.tls_port}{path}" if tls else f"http://127.0.0.1:{self.port}{path}"

    def trim_logs(self) -> None:
        """Empties what it has logged, so that a long session does not fill the tmpfs."""
        for log in self.directory.glob("*.log"):
            with contextlib.suppress(OSError):
                os.truncate(log, 0)


def first_line_of(argv: list[str]) -> str:
    """The first line a program prints about its version, on either stream; empty when it cannot be run."""
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=20, check=False)
    except OSError:
        return ""
    lines = (done.stdout + done.stderr).strip().splitlines()
    return lines[0].strip() if lines else ""
