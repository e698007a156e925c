"""How workers wait for each other's permits, as a model: arrivals, queues and bells of one limit.

Each worker has one request. It takes a permit and gives it back, or waits for one; the ``leaver`` may stop waiting.
What is in flight and who waits is counted in a cell each; marks and bells are those of ``memory/bells.pyx``. Without a
death nobody may be left waiting while a permit is free, timer or not; a worker may die at any step. ``flaw`` breaks one
rule of ``limits/concurrency.pyx``.

With ``keys`` each request is of a key with permits of its own, as a limit with a key has a gate for each, and all keys
share one bell (``limits/bell.pyx``): how their rows come and go is in ``tests/memory/inflight_model.py``.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any, NamedTuple

from tests.memory.interleavings import BrokenProtocolError, Found, search
from tests.memory.programs import Access, Memory, Next, Process, Program, changed, step

Steps = Generator[Access, Any, Next]
Part = Generator[Access, Any, Any]

FLAWS = (
    "who has taken back does not look again",
    "no second try after the mark",
    "who defers rings nobody",
    "a bell that is not used is not rung on",
    "places of the dead stay",
)
KEYED_FLAW = "of all who share a bell one is rung"


class State(NamedTuple):
    """Memory: cells in flight, cells waiting, marks, bells; and the workers."""

    memory: Memory
    workers: tuple[Process, ...]
    deaths: int = 0


class Model:
    """All steps that are possible in a state.

    ``holders``: so many of the last workers begin with a permit, ``waiters`` of the first waiting for one. ``keys``: of
    each worker's request; none: all are one.
    """

    def __init__(
        self,
        workers: int,
        maximum: int,
        deaths: int = 0,
        flaw: str = "",
        *,
        holders: int = 0,
        waiters: int = 0,
        leaver: int = -1,
        has_timer: bool = False,
        keys: tuple[int, ...] = (),
    ) -> None:
        self.workers, self.maximum, self.deaths, self.flaw = workers, maximum, deaths, flaw
        self.holders, self.waiters, self.leaver, self.has_timer = holders, waiters, leaver, has_timer
        self.keys = keys or (0,) * workers
        self.rings_all = bool(keys) and flaw != KEYED_FLAW
        self.programs: dict[str, Program] = {
            "arrive": self.arrive,
            "enqueue": self.enqueue,
            "second try": self.second_try,
            "defer": self.defer,
            "wait": self.wait,
            "turn": self.turn,
            "try": self.try_turn,
            "served": self.served,
            "hold": self.hold,
            "ring": self.ring,
            "leave": self.leave,
            "forget": self.forget,
        }

    def search(self) -> Found:
        memory: Memory = (0,) * (4 * self.workers)
        workers = [Process("arrive", (i,)) for i in range(self.workers)]
        for i in range(self.workers - self.holders, self.workers):
            memory, workers[i] = changed(memory, i, 1), Process("hold", (i,))
        for i in range(self.waiters):
            memory, workers[i] = changed(changed(memory, self.waiting(i), 1), self.mark(i), 1), Process("wait", (i,))
        return search(State(memory, tuple(workers)), self.next_states, self.check)

    def next_states(self, s: State) -> Iterator[State]:
        for i, worker in enumerate(s.workers):
            if worker.at == "done":
                continue
            is_rung = s.memory[self.bell(i)]
            if worker.at != "wait" or is_rung or self.has_timer:
                memory, moved = step(self.programs, s.memory, worker)
                yield s._replace(memory=memory, workers=put(s, i, moved))
            if worker.at == "wait" and i == self.leaver:
                yield s._replace(workers=put(s, i, Process("leave", (i,))))
            if s.deaths < self.deaths and worker.at != "forget":
                yield s._replace(workers=put(s, i, Process("forget", (i,))), deaths=s.deaths + 1)

    # shared memory; ``i`` is the worker

    def waiting(self, i: int) -> int:
        return self.workers + i

    def mark(self, i: int) -> int:
        return 2 * self.workers + i

    def bell(self, i: int) -> int:
        return 3 * self.workers + i

    def sum(self, first: int, key: int) -> Part:
        total = 0
        for i in range(self.workers):
            if self.keys[i] == key:
                total += yield "load", first + i
        return total

    def fits(self, held: int, asker: str, key: int) -> Part:
        if held > self.maximum:
            return False
        if asker == "turn":
            return True
        before = (yield from self.sum(self.workers, key)) - (asker == "second try")
        return held + before <= self.maximum

    def acquire(self, i: int, asker: str) -> Part:
        """True: admitted; False: refused; None: looked, and there was room again."""
        key = self.keys[i]
        yield "add", i, 1
        if (yield from self.fits((yield from self.sum(0, key)), asker, key)):
            return True
        yield "add", i, -1
        if self.flaw == "who has taken back does not look again":
            return False
        return None if (yield from self.fits(1 + (yield from self.sum(0, key)), asker, key)) else False

    def ring_next(self, i: int, *, has_freed: bool) -> Part:
        key = self.keys[i]
        if not (yield from self.sum(self.workers, key)):
            return
        if not has_freed and (yield from self.sum(0, key)) >= self.maximum:
            return
        for turn in range(1, self.workers + 1):
            other = (i + turn) % self.workers
            if (yield "load", self.mark(other)) and (yield "swap", self.mark(other), 1, 0):
                yield "store", self.bell(other), 1
                if not self.rings_all:
                    return

    # what a worker does

    def arrive(self, i: int) -> Steps:
        got = yield from self.acquire(i, "arrival")
        return ("hold", i) if got else ("enqueue", i) if got is False else ("arrive", i)

    def enqueue(self, i: int) -> Steps:
        yield "add", self.waiting(i), 1
        yield "store", self.mark(i), 1
        return ("wait", i) if self.flaw == "no second try after the mark" else ("second try", i)

    def second_try(self, i: int) -> Steps:
        got = yield from self.acquire(i, "second try")
        return ("served", i) if got else ("defer", i) if got is False else ("second try", i)

    def defer(self, i: int) -> Steps:
        if self.flaw == "who defers rings nobody":
            yield "load", self.mark(i)
        else:
            yield from self.ring_next(i, has_freed=False)
        return "wait", i

    def wait(self, i: int) -> Steps:
        yield "store", self.bell(i), 0
        return "turn", i

    def turn(self, i: int) -> Steps:
        yield "store", self.mark(i), 1
        return "try", i

    def try_turn(self, i: int) -> Steps:
        got = yield from self.acquire(i, "turn")
        return ("served", i) if got else ("wait", i) if got is False else ("try", i)

    def served(self, i: int) -> Steps:
        yield "add", self.waiting(i), -1
        if not (yield "swap", self.mark(i), 1, 0) and self.flaw != "a bell that is not used is not rung on":
            yield from self.ring_next(i, has_freed=False)
        return "hold", i

    def hold(self, i: int) -> Steps:
        yield "add", i, -1
        return "ring", i

    def ring(self, i: int) -> Steps:
        yield from self.ring_next(i, has_freed=True)
        return "done", i

    def leave(self, i: int) -> Steps:
        yield "add", self.waiting(i), -1
        if self.flaw == "a bell that is not used is not rung on":
            yield "store", self.mark(i), 0
            return "done", i
        yield "swap", self.mark(i), 1, 0
        yield from self.ring_next(i, has_freed=False)
        return "done", i

    def forget(self, i: int) -> Steps:
        yield "store", i, 0
        if self.flaw != "places of the dead stay":
            yield "store", self.waiting(i), 0
        yield "store", self.mark(i), 0
        for other in range(self.workers):
            if (yield "load", self.mark(other)) and (yield "swap", self.mark(other), 1, 0):
                yield "store", self.bell(other), 1
        return "done", i

    # what must hold

    def check(self, s: State, is_end: bool) -> None:
        for key in set(self.keys):
            of_key = [worker for worker, one in zip(s.workers, self.keys, strict=True) if one == key]
            held = sum(worker.at in ("hold", "served") for worker in of_key)
            if held > self.maximum:
                raise BrokenProtocolError(f"{held} permits are held, {self.maximum} is the limit: {s}")
        waiting = [i for i, worker in enumerate(s.workers) if worker.at == "wait"]
        if is_end and waiting:
            raise BrokenProtocolError(f"{waiting} wait although nobody holds a permit: {s}")
        if is_end and any(s.memory[: 3 * self.workers]):
            raise BrokenProtocolError(f"nobody is there, and something is counted or marked: {s}")


def put(s: State, i: int, worker: Process) -> tuple[Process, ...]:
    return (*s.workers[:i], worker, *s.workers[i + 1 :])
