"""Credits that a machine borrows of a fleet as a model: workers that take, ask and settle, each dead at any step.

A worker's program is a row of words: "take" a credit, "borrow" some, "settle" what an epoch has left. A step is one
access to shared memory; a swap is one, as ``cells.h`` makes it, and names what was read before. A worker that is
stopped is one that does no step for long. Time goes in ticks of an epoch; the store lends at any moment, and its
answer is there when the worker looks.

``flaw`` breaks one rule of ``memory/leases.h``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from tests.memory.interleavings import BrokenProtocolError, Found, search

FLAWS = (
    "a swap does not name what it changes",
    "a cell is of whatever epoch",
    "what was borrowed is of the epoch in which it came",
    "what is given back stays in its cell",
    "a question keeps others from asking for good",
)

LENT = 2  # with each question


class Cell(NamedTuple):
    """Credits that were borrowed in an epoch, of which each knows when that was: the referee's, not the protocol's."""

    epoch: int = -1
    credits: tuple[int, ...] = ()


class Worker(NamedTuple):
    """Where it is in its program and in a step of it, and what it has read."""

    todo: tuple[str, ...]
    at: str = ""
    began: int = -1
    epoch: int = -1
    seen: Cell = Cell()
    lent: tuple[int, ...] = ()


class State(NamedTuple):
    """Shared memory (a cell for each parity of epochs, until when somebody asks), workers, and what became of credits.

    A credit is the epoch in which it was asked for.
    """

    workers: tuple[Worker, ...]
    cells: tuple[Cell, Cell] = (Cell(), Cell())
    asks_until: int = 0
    now: int = 0
    out: int = 0  # lent, and neither used nor given back
    deaths: int = 0


class Model:
    """All steps that are possible in a state."""

    def __init__(self, programs: tuple[tuple[str, ...], ...], ticks: int = 3, deaths: int = 0, flaw: str = "") -> None:
        self.programs, self.ticks, self.deaths, self.flaw = programs, ticks, deaths, flaw

    def search(self) -> Found:
        return search(State(tuple(Worker(program) for program in self.programs)), self.next_states, self.check)

    def next_states(self, s: State) -> Iterator[State]:
        for i, worker in enumerate(s.workers):
            if worker.at == "dead":
                continue
            yield from self.steps(s, i, worker)
            if s.deaths < self.deaths:
                yield put(s, i, Worker((), "dead"))._replace(deaths=s.deaths + 1)
        if s.now < self.ticks:
            yield s._replace(now=s.now + 1)

    def steps(self, s: State, i: int, w: Worker) -> Iterator[State]:
        if w.at:
            yield from getattr(self, w.at)(s, i, w)
        elif w.todo:
            step = w.todo[0]
            w = w._replace(todo=w.todo[1:], began=s.now)
            if step == "take":
                yield put(s, i, w._replace(at="read_to_take", epoch=s.now - 1))
            elif step == "borrow":
                yield put(s, i, w._replace(at="mark"))
            else:
                for epoch in range(s.now - 1):  # those that are over
                    yield put(s, i, w._replace(at="read_to_settle", epoch=epoch))
                yield put(s, i, w)

    def swapped(self, s: State, w: Worker, after: Cell) -> State | None:
        """The cell of the worker's epoch as ``after``, if it is what was read; None: it is another by now."""
        parity = w.epoch % 2
        if s.cells[parity] != w.seen and self.flaw != "a swap does not name what it changes":
            return None
        cells = list(s.cells)
        cells[parity] = after
        return s._replace(cells=(cells[0], cells[1]))

    def is_of(self, cell: Cell, epoch: int) -> bool:
        return cell.epoch == epoch or (self.flaw == "a cell is of whatever epoch" and cell.epoch >= 0)

    # -- take ---------------------------------------------------------------------------------------------------------

    def read_to_take(self, s: State, i: int, w: Worker) -> Iterator[State]:
        yield put(s, i, w._replace(at="take", seen=s.cells[w.epoch % 2]))

    def take(self, s: State, i: int, w: Worker) -> Iterator[State]:
        if self.is_of(w.seen, w.epoch) and w.seen.credits:
            after = self.swapped(s, w, Cell(w.seen.epoch, w.seen.credits[1:]))
            if after is None:
                yield put(s, i, w._replace(at="read_to_take"))
                return
            if w.seen.credits[0] < w.began - 1:
                raise BrokenProtocolError(f"a credit is used that is over: {s}")
            yield put(after, i, done(w))._replace(out=s.out - 1)
        elif w.epoch < w.began:
            yield put(s, i, w._replace(at="read_to_take", epoch=w.epoch + 1))
        else:
            yield put(s, i, done(w))

    # -- borrow -------------------------------------------------------------------------------------------------------

    def mark(self, s: State, i: int, w: Worker) -> Iterator[State]:
        if s.asks_until > s.now:
            return  # it waits: only time, or the one who asks, helps it
        ends = self.ticks + 1 if self.flaw == "a question keeps others from asking for good" else s.now + 1
        # Where no more time is played it ends at once: then two ask, which is no harm.
        w = w._replace(at="ask", began=s.now)
        yield put(s, i, w)._replace(asks_until=ends if s.now < self.ticks else s.now)

    def ask(self, s: State, i: int, w: Worker) -> Iterator[State]:
        yield put(s, i, w._replace(at="epoch", lent=(w.began,) * LENT))._replace(out=s.out + LENT)

    def epoch(self, s: State, i: int, w: Worker) -> Iterator[State]:
        late = self.flaw == "what was borrowed is of the epoch in which it came"
        yield put(s, i, w._replace(at="read_to_put", epoch=s.now if late else w.began))

    def read_to_put(self, s: State, i: int, w: Worker) -> Iterator[State]:
        if w.epoch + 1 < s.now:
            yield put(s, i, w._replace(at="free"))  # it is over: what was lent is lost to the fleet for now
        else:
            yield put(s, i, w._replace(at="put", seen=s.cells[w.epoch % 2]))

    def put(self, s: State, i: int, w: Worker) -> Iterator[State]:
        before = w.seen.credits if self.is_of(w.seen, w.epoch) else ()
        after = self.swapped(s, w, Cell(w.epoch, tuple(sorted(before + w.lent))))
        if after is None:
            yield put(s, i, w._replace(at="read_to_put"))
        else:
            yield put(after, i, w._replace(at="free"))

    def free(self, s: State, i: int, w: Worker) -> Iterator[State]:
        yield put(s, i, done(w))._replace(asks_until=0)

    # -- settle -------------------------------------------------------------------------------------------------------

    def read_to_settle(self, s: State, i: int, w: Worker) -> Iterator[State]:
        yield put(s, i, w._replace(at="settle", seen=s.cells[w.epoch % 2]))

    def settle(self, s: State, i: int, w: Worker) -> Iterator[State]:
        if w.seen.epoch != w.epoch or not w.seen.credits:
            yield put(s, i, done(w))
            return
        kept = w.seen.credits if self.flaw == "what is given back stays in its cell" else ()
        after = self.swapped(s, w, Cell(w.epoch, kept))
        if after is None:
            yield put(s, i, w._replace(at="read_to_settle"))
        else:
            yield put(after, i, done(w))._replace(out=s.out - len(w.seen.credits))

    def check(self, s: State, is_end: bool) -> None:
        if s.out < 0:
            raise BrokenProtocolError(f"credits were used or given back twice: {s}")
        if is_end and any(w.at == "mark" for w in s.workers):
            raise BrokenProtocolError(f"somebody waits for good: {s}")


def done(w: Worker) -> Worker:
    return Worker(w.todo)


def put(s: State, i: int, worker: Worker) -> State:
    return s._replace(workers=(*s.workers[:i], worker, *s.workers[i + 1 :]))
