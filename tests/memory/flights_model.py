"""Single flight of the machine as a model: workers that want one value, each slow, stopped or dead at any step.

The cell is changed by one swap that names all of it (``tests/memory/test_tables_model.py`` has how two processes that
meet a new key come to one cell), so here it is a value: the number of a lease, or none. The value that all want is in
the store, or is not. Each worker looks into the store, tries to lead, looks again, fetches, stores and lands, as
``memory/single_flight.py`` says. A lease ends only under one who is slow or stopped.

``flaw`` breaks one rule of ``memory/flights.pyx``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from tests.memory.interleavings import BrokenProtocolError, Found, search

FLAWS = (
    "a landing does not name its lease",
    "what the dead led stays",
    "who leads does not look again",
    "who follows does not look again",
)


class Worker(NamedTuple):
    """Where it is in its program, the number of the lease it thinks it has, and whether that ended under it."""

    at: str = "look"
    lease: int = 0
    is_late: bool = False


class State(NamedTuple):
    """The cell (number of a lease, 0: none), the store, and the workers. ``ended``: leases ended under somebody."""

    cell: int
    holder: int
    has_value: bool
    workers: tuple[Worker, ...]
    leases: int = 0
    fetches: int = 0
    ended: int = 0
    deaths: int = 0
    failures: int = 0


class Model:
    """All steps that are possible in a state."""

    def __init__(self, workers: int, *, deaths: int = 0, ended: int = 0, failures: int = 0, flaw: str = "") -> None:
        self.workers, self.deaths, self.ended, self.failures, self.flaw = workers, deaths, ended, failures, flaw

    def search(self) -> Found:
        return search(State(0, -1, False, (Worker(),) * self.workers), self.next_states, self.check)

    def next_states(self, s: State) -> Iterator[State]:
        if s.cell and s.ended < self.ended:
            late = put(s, s.holder, s.workers[s.holder]._replace(is_late=True))
            yield late._replace(cell=0, holder=-1, ended=s.ended + 1)
        for i, worker in enumerate(s.workers):
            if worker.at in ("done", "buried", "without"):
                continue
            if worker.at == "dead":
                # The supervisor reaps it: what it led is over.
                is_its = s.holder == i and self.flaw != "what the dead led stays"
                freed = s._replace(cell=0, holder=-1) if is_its else s
                yield put(freed, i, Worker("buried"))
                continue
            yield from self.steps(s, i, worker)
            if s.deaths < self.deaths:
                yield put(s, i, worker._replace(at="dead"))._replace(deaths=s.deaths + 1)

    def steps(self, s: State, i: int, w: Worker) -> Iterator[State]:
        if w.at == "look":
            yield put(s, i, Worker("done" if s.has_value else "lead"))
        elif w.at == "lead":
            if s.cell:
                yield put(s, i, Worker("wait"))
            else:
                after = "fetch" if self.flaw == "who leads does not look again" else "look again"
                number = s.leases + 1
                yield put(s, i, Worker(after, number))._replace(cell=number, holder=i, leases=number)
        elif w.at == "wait":
            if not s.cell:
                after = "done" if s.has_value else "without"
                yield put(s, i, Worker(after if self.flaw == "who follows does not look again" else "look"))
        elif w.at == "look again":
            yield put(s, i, w._replace(at="land" if s.has_value else "fetch"))
        elif w.at == "fetch":
            yield put(s, i, w._replace(at="store"))._replace(fetches=s.fetches + 1)
            if s.failures < self.failures:
                yield put(s, i, w._replace(at="land, then look"))._replace(failures=s.failures + 1)
        elif w.at == "store":
            yield put(s, i, w._replace(at="land"))._replace(has_value=True)
        else:
            is_its = s.cell == w.lease or self.flaw == "a landing does not name its lease"
            after = "look" if w.at == "land, then look" else "done"
            landed = s._replace(cell=0, holder=-1) if is_its else s
            yield put(landed, i, Worker(after))

    def check(self, s: State, is_end: bool) -> None:
        leading = [i for i, w in enumerate(s.workers) if w.at in ("look again", "fetch", "store") and not w.is_late]
        if len(leading) > 1:
            raise BrokenProtocolError(f"{leading} lead at once: {s}")
        if any(w.at == "without" for w in s.workers):
            raise BrokenProtocolError(f"somebody went without the value: {s}")
        if s.fetches > 1 + s.ended + s.deaths:
            raise BrokenProtocolError(f"it was fetched {s.fetches} times: {s}")
        if is_end:
            stuck = [i for i, w in enumerate(s.workers) if w.at not in ("done", "buried")]
            if stuck:
                raise BrokenProtocolError(f"{stuck} wait for ever: {s}")


def put(s: State, i: int, worker: Worker) -> State:
    return s._replace(workers=(*s.workers[:i], worker, *s.workers[i + 1 :]))
