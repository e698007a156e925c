"""Workers that are killed and stopped, how soon others serve in their place, and which failures that explains.

Who is in which slot, and whether he serves, is read from the gateway's shared memory: that costs the gateway nothing
and is known within a millisecond.
"""

import os
import random
import select
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Self

from benchmarks.load.exchanges import Exchange, read
from benchmarks.trouble.gateway import Running
from tidegate.memory.region import Region
from tidegate.memory.slot import SlotState, SlotStatistics

LOOK_S = 0.001
PATIENCE_S = 60.0


class Kill(NamedTuple):
    """A worker that was killed; ``at_ns`` and ``gone_ns`` on CLOCK_MONOTONIC, ``at_s`` since 1970."""

    pid: int
    at_s: float
    at_ns: int
    gone_ns: int
    replaced_s: float  # from the signal until another worker serves in its slot


def region_of(running: Running) -> Region:
    """The shared memory of a gateway, to look at."""
    folder = Path(f"/proc/{running.process.pid}/fd")
    path = next(entry for entry in folder.iterdir() if os.readlink(entry).startswith("/memfd:tidegate "))  # noqa: PTH115
    return Region.attach(os.open(path, os.O_RDWR | os.O_CLOEXEC))


class Victims(threading.Thread):
    """Harms workers in a thread of its own while the block lasts; left when the harm is done."""

    def __init__(self, running: Running, harm: "Callable[[Victims], None]") -> None:
        super().__init__(name="victims")
        self.region = region_of(running)
        self.kills: list[Kill] = []
        self.stops = 0
        self._harm = harm
        self._chance = random.Random(5)  # the same harm each time
        self._failure: BaseException | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.join()
        if self._failure is not None and kind is None:
            raise self._failure

    def run(self) -> None:
        """Until the harm is done."""
        try:
            self._harm(self)
        except Exception as error:  # noqa: BLE001 - raised again in the thread that waits
            self._failure = error

    def serving(self) -> list[SlotStatistics]:
        """Who serves."""
        marks = [self.region.slot(index).statistics() for index in range(self.region.slots)]
        return [mark for mark in marks if mark.state is SlotState.READY]

    def kill(self) -> None:
        """SIGKILL for one that serves; returns when another serves in its place."""
        victim = self._one()
        pidfd = os.pidfd_open(victim.pid)
        try:
            at_s, at_ns = time.time(), time.monotonic_ns()
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            select.select([pidfd], [], [], PATIENCE_S)
            gone_ns = time.monotonic_ns()
        finally:
            os.close(pidfd)
        self._wait(lambda: any(mark.slot == victim.slot and mark.pid != victim.pid for mark in self.serving()))
        self.kills.append(Kill(victim.pid, at_s, at_ns, gone_ns, (time.monotonic_ns() - at_ns) / 1e9))

    def stop(self, seconds: float) -> None:
        """SIGSTOP for one that serves, and SIGCONT after so long."""
        victim = self._one()
        self.stops += 1
        os.kill(victim.pid, signal.SIGSTOP)
        try:
            time.sleep(seconds)
        finally:
            os.kill(victim.pid, signal.SIGCONT)

    def wait_until_all_serve(self) -> None:
        """Returns when every slot of a generation has a worker again."""
        self._wait(lambda: len(self.serving()) == self.region.workers)

    def _one(self) -> SlotStatistics:
        return self._chance.choice(self.serving())

    def _wait(self, condition: Callable[[], bool]) -> None:
        end_s = time.monotonic() + PATIENCE_S
        while not condition():
            if time.monotonic() > end_s:
                raise TimeoutError(f"no worker serves in the place of one that was killed, after {PATIENCE_S:g} s")
            time.sleep(LOOK_S)


@dataclass(frozen=True)
class Blamed:
    """Failed exchanges by what explains them."""

    with_the_killed: list[Exchange] = field(default_factory=list)  # on a connection that the killed worker had
    in_its_hands: list[Exchange] = field(
        default_factory=list
    )  # first of its connection, begun before the worker was gone
    others: list[Exchange] = field(default_factory=list)


def attribute(raw: Path, kills: Sequence[Kill]) -> Blamed:
    """Who is to blame for what failed.

    A connection that had answered tells by which worker. One that had not may have been accepted by the victim only if
    it was begun before that was gone, and fails with it, not later.
    """
    blamed = Blamed()
    by_pid = {kill.pid: kill for kill in kills}
    for exchange in read(raw):
        if not exchange.has_failed:
            continue
        kill = by_pid.get(exchange.server)
        if kill is not None and exchange.ended_ns >= kill.at_ns:
            blamed.with_the_killed.append(exchange)
        elif exchange.server == 0 and any(_was_in_its_hands(exchange, kill) for kill in kills):
            blamed.in_its_hands.append(exchange)
        else:
            blamed.others.append(exchange)
    return blamed


def _was_in_its_hands(exchange: Exchange, kill: Kill) -> bool:
    return exchange.begun_ns <= kill.gone_ns and kill.at_ns <= exchange.ended_ns <= kill.gone_ns + 100_000_000
