"""The processes of a load: started, begun at one moment, listened to, ended.

Each is a fresh interpreter in a process group of its own, so that Ctrl-C reaches only who started them. They end when
their standard input does: whatever becomes of this process, none of them goes on.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import IO, NamedTuple, Self, cast

import msgspec

from tidegate.bench.measured import Measured, SecondCounts
from tidegate.bench.order import Ended, Failed, Order, Ready, Said, SecondOver
from tidegate.process.failure import StartError
from tidegate.process.messages import memory_file

__all__ = ["Fleet"]

_LEAD_NS = 20_000_000  # from the word to the beginning, so that the last to hear of it is in time
_END_S = 5.0  # from the end of its input to the end of a process

_decode = msgspec.json.Decoder(Said)


class _Member(NamedTuple):
    process: subprocess.Popen[bytes]
    hears: IO[bytes]
    says: IO[bytes]


class Fleet:
    """So many processes, one for each order."""

    def __init__(self, orders: Sequence[Order]) -> None:
        self._orders = orders
        self._members: list[_Member] = []
        self._heard: dict[int, bytes] = {}  # by pid: the line that is not whole yet
        self._ended: set[int] = set()  # pids that said how it ended
        self._ready = 0
        self._selector = selectors.DefaultSelector()
        self.failures: list[str] = []
        """What processes said that could not go on, and that they died."""

    def __repr__(self) -> str:
        pids = ", ".join(str(pid) for pid in self.pids)
        return f"<Fleet of {len(self._orders)}: pids {pids}>"

    @property
    def pids(self) -> list[int]:
        """Of the processes that were started."""
        return [member.process.pid for member in self._members]

    def __enter__(self) -> Self:
        try:
            for order in self._orders:
                self._start(order)
        except BaseException:
            self.end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def _start(self, order: Order) -> None:
        fd = memory_file("bench-order", msgspec.msgpack.encode(order))
        try:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "tidegate.bench.process", str(fd)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                pass_fds=[fd],
                process_group=0,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, map(os.path.abspath, sys.path)))},
            )
        finally:
            os.close(fd)
        member = _Member(process, cast(IO[bytes], process.stdin), cast(IO[bytes], process.stdout))
        self._members.append(member)
        self._heard[process.pid] = b""
        self._selector.register(member.says, selectors.EVENT_READ, member)

    def ready(self) -> tuple[int, tuple[str, str] | None]:
        """Waits until each has connected its clients; how many are usable, kind and words of what kept another from it.

        Raises:
            StartError: None is, or a process failed.
        """
        usable = 0
        trouble: tuple[str, str] | None = None
        for said in self._listen(lambda: self._ready + len(self.failures) >= len(self._orders)):
            if isinstance(said, Ready):
                self._ready += 1
                usable += said.usable
                trouble = trouble or said.trouble
        if self.failures:
            raise StartError(self.failures[0])
        if usable == 0:
            kind, words = trouble or ("none", "no connection is usable")
            raise StartError(f"not one connection came about: {kind} ({words})")
        return usable, trouble

    def go(self) -> None:
        """All begin, at one moment."""
        self._tell(f"go {time.monotonic_ns() + _LEAD_NS}\n")

    def stop(self) -> None:
        """All end now, and say what there is."""
        self._tell("stop\n")

    def results(self, on_second: Callable[[SecondCounts], object] | None = None) -> list[Measured]:
        """Waits for what came of it, of each process that lives; ``on_second`` hears of each second of each process."""
        found: list[Measured] = []
        for said in self._listen(lambda: False):
            if isinstance(said, Ended):
                found.append(said.measured)
            elif isinstance(said, SecondOver) and on_second is not None:
                on_second(said.counts)
        return found

    def _tell(self, word: str) -> None:
        for member in self._members:
            with contextlib.suppress(OSError, ValueError):  # it has died, which is heard elsewhere
                member.hears.write(word.encode())
                member.hears.flush()

    def _listen(self, is_enough: Callable[[], bool]) -> Iterator[Said]:
        """What they say, until it is enough or none of them says any more."""
        while self._selector.get_map() and not is_enough():
            for key, _ in self._selector.select():
                process = cast(_Member, key.data).process
                data = os.read(key.fd, 1 << 20)
                *lines, self._heard[process.pid] = (self._heard[process.pid] + data).split(b"\n")
                for line in lines:
                    said: Said = _decode.decode(line)
                    if isinstance(said, Failed):
                        self.failures.append(said.reason)
                    if isinstance(said, Failed | Ended):
                        self._ended.add(process.pid)
                    yield said
                if not data:
                    self._selector.unregister(key.fileobj)
                    code = process.wait()
                    if process.pid not in self._ended:
                        how = f"was killed by signal {-code}" if code < 0 else f"ended with {code}"
                        self.failures.append(f"process {process.pid} of the load {how}")

    def end(self) -> None:
        """Ends what still runs."""
        for member in self._members:
            with contextlib.suppress(OSError):
                member.hears.close()
        deadline = time.monotonic() + _END_S
        for process, _, says in self._members:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            says.close()
        self._selector.close()
