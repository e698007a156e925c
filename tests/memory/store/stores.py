"""What the tests of the store stand on: stores with a clock that is set, and processes that use one."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

from tidegate.memory.store import Store

FAR_S = 60.0
"""Deadline of what has to happen sooner or later, on a machine with anything else to do."""

MIB = 1 << 20

STANDS_IN_THE_LOCK = """
async def main():
    store = open_store()
    def stand(*_):
        print("holds", flush=True)
        time.sleep(1000)
    ledger.Change.put = stand
    store.put(b"held", b"never", b"", 1e9)
    await asyncio.sleep(1000)

asyncio.run(main())
"""
"""A program for a ``Process``: it says "holds" and stands still with the store's writer lock."""


class Clock:
    """A clock that is set."""

    def __init__(self, now_s: float = 1000.0) -> None:
        self.now_s = now_s

    def __call__(self) -> float:
        return self.now_s

    def tick(self, by_s: float = 1.0) -> float:
        self.now_s += by_s
        return self.now_s


class Said:
    """What was said, as the error log would be asked to."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []

    def __call__(self, kind: str, message: str, level: str = "warning", **fields: object) -> None:
        self.lines.append((kind, message))

    @property
    def kinds(self) -> list[str]:
        return [kind for kind, _ in self.lines]


@contextlib.contextmanager
def opened(
    directory: Path, max_bytes: int = 16 * MIB, *, say: Callable[..., None] | None = None, **options
) -> Iterator[Store]:
    store = Store.open(directory, max_bytes, say=say or Said(), **options)
    try:
        yield store
    finally:
        store.close(FAR_S)


@contextlib.contextmanager
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A process that does nothing."""
    with subprocess.Popen(["sleep", "1000"]) as child:
        try:
            yield child
        finally:
            child.kill()


def run(coroutine):
    """Runs to its end, within a far deadline."""

    async def bounded():
        async with asyncio.timeout(FAR_S):
            return await coroutine

    return asyncio.run(bounded())


async def until(condition):
    """Asks until it is so, within a far deadline; the condition may be awaited."""
    async with asyncio.timeout(FAR_S):
        while not (await found if inspect.isawaitable(found := condition()) else found):  # noqa: ASYNC110 - other processes ring no bell
            await asyncio.sleep(0.005)


def shared_memory(prefix: str) -> Path:
    """A new name on the machine's tmpfs."""
    return Path(f"/dev/shm/tidegate-test-{os.getpid()}-{prefix}-{time.monotonic_ns()}")


PROGRAM = """
import asyncio, os, signal, sys, time
from pathlib import Path
from tidegate.memory.store import Store, boot_s
from tidegate.memory.store import ledger, large

def say(kind, message, level="warning", **fields):
    print("said", kind, flush=True)

def open_store(**options):
    return Store.open(Path(sys.argv[1]), int(sys.argv[2]), say=say, **options)

"""


class Process:
    """A process of its own that runs some lines with a store in the directory; it says what it prints."""

    def __init__(self, directory: Path, max_bytes: int, lines: str) -> None:
        self.child = subprocess.Popen(
            [sys.executable, "-c", PROGRAM + lines, str(directory), str(max_bytes)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
        )
        self._heard = b""

    @property
    def pid(self) -> int:
        return self.child.pid

    def hear(self, wanted: str) -> str:
        """Waits for a line that begins like that and returns it."""
        deadline = time.monotonic() + FAR_S
        out = self.child.stdout
        assert out is not None
        while True:
            *lines, _ = self._heard.split(b"\n")
            for at, line in enumerate(lines):
                if line.startswith(wanted.encode()):
                    self._heard = b"\n".join(self._heard.split(b"\n")[at + 1 :])
                    return line.decode()
            left = deadline - time.monotonic()
            if left < 0 or not select.select([out], [], [], left)[0]:
                raise AssertionError(f"{wanted!r} was not said, but {self._heard!r}")
            more = os.read(out.fileno(), 65536)
            assert more, f"it ended before it said {wanted!r}: {self._heard!r}"
            self._heard += more

    def tell(self, line: str) -> None:
        assert self.child.stdin is not None
        self.child.stdin.write(line.encode() + b"\n")

    def stop(self) -> None:
        """Stops it, and waits until it stands still."""
        os.kill(self.pid, signal.SIGSTOP)
        os.waitpid(self.pid, os.WUNTRACED)

    def go_on(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        if self.child.poll() is None:
            self.child.kill()
        self.child.wait()
        for end in (self.child.stdin, self.child.stdout):
            if end is not None:
                end.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
