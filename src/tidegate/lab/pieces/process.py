"""A child process: started in a process group of its own, and ended, with all below it, by pid."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, cast

from tidegate.process.failure import StartError

__all__ = ["Child", "below", "lives", "python_path"]

_LOOK_S = 0.01
_TICK_S = 1.0 / os.sysconf("SC_CLK_TCK")


class Child:
    """A process that was started here.

    In a process group of its own, so that Ctrl-C in a terminal reaches only who started it.
    """

    def __init__(self, argv: Sequence[str], *, environment: Mapping[str, str] | None = None) -> None:
        self._process = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            process_group=0,
            env=None if environment is None else dict(environment),
        )
        self.pid = self._process.pid
        self._hears, self._says = cast(IO[bytes], self._process.stdin), cast(IO[bytes], self._process.stdout)
        self._said = b""

    def __repr__(self) -> str:
        return f"<Child {self.pid}>"

    @property
    def has_ended(self) -> bool:
        """Whether it is gone."""
        return self._process.poll() is not None

    async def line(self, timeout_s: float) -> str:
        """The next line that it says; the rest without an end of line when it ended.

        Raises:
            StartError: It said nothing in that time.
        """
        os.set_blocking(self._says.fileno(), False)
        loop = asyncio.get_running_loop()
        end_s = loop.time() + timeout_s
        while b"\n" not in self._said:
            with contextlib.suppress(BlockingIOError):
                data = os.read(self._says.fileno(), 1 << 16)
                self._said += data
                if not data:
                    break
                continue
            if loop.time() > end_s:
                raise StartError(f"process {self.pid} said nothing within {timeout_s:g} s")
            await asyncio.sleep(_LOOK_S)
        line, _, self._said = self._said.partition(b"\n")
        return line.decode(errors="replace")

    def cpu_s(self) -> float:
        """Processor seconds that it has used; 0 when it is gone."""
        try:
            fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) * _TICK_S

    def kill(self) -> None:
        """SIGKILL, as the kernel does it to one that has taken too much memory."""
        self._process.kill()
        self._process.wait()

    async def end(self, patience_s: float) -> None:
        """Asks it to end, waits that long, then ends it and all below it."""
        others = [*below(self.pid)]
        if not self.has_ended:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                await asyncio.to_thread(self._process.wait, patience_s)
        others = [*dict.fromkeys([*others, *below(self.pid)])]
        if not self.has_ended:
            self.kill()
        for pid, began in others:
            if lives(pid, began):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        for stream in (self._hears, self._says):
            with contextlib.suppress(OSError):
                stream.close()


def below(pid: int) -> Iterator[tuple[int, str]]:
    """All descendants of a process, each with the moment at which it began, which tells two of one pid apart."""
    parents: dict[int, list[tuple[int, str]]] = {}
    for place in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = place.read_text().rpartition(")")[2].split()
            parents.setdefault(int(fields[1]), []).append((int(place.parent.name), fields[19]))
    waiting = [pid]
    while waiting:
        for found in parents.pop(waiting.pop(), ()):
            waiting.append(found[0])
            yield found


def lives(pid: int, began: str) -> bool:
    """Whether the process that began then has not ended; another one may have its pid by now."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return False
    return fields[19] == began and fields[0] not in "ZX"


def python_path() -> dict[str, str]:
    """The environment of a child that finds the same modules as this process."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, map(os.path.abspath, sys.path)))}
