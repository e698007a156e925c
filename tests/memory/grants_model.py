"""What a fleet's store lends a machine, as a model: workers that ask, take and end, a network, another machine.

A worker's program is a row of words: "take" a permit, "end" one, "ask" the store. A step is one access to shared
memory. A worker that is stopped is one that does no step for long, so it is there without being modelled; one that
dies leaves the permits that it counted, which the supervisor takes back. Nothing keeps two workers from asking at
once here, as the mark that does so in ``leases.h`` ends by itself. Questions and answers arrive in any order, late or
never, and what is wanted is anything. The other machine takes all that is left in the store, or gives it back, at any
moment.

Time goes in ticks. A grant is of use for ``HELD`` of them from when it was asked, the store remembers for
``FORGOTTEN`` what it has heard. ``flaw`` breaks one rule of ``memory/grants.h``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from tests.memory.interleavings import BrokenProtocolError, Found, search

FLAWS = (
    "an answer counts whatever was asked since",
    "the store hears an earlier turn after a later one",
    "a question does not lower what there is",
    "those under way are summed before the question begins",
    "who takes a permit does not read the cell again",
    "a grant is of use for as long as the store remembers it",
)

FORGOTTEN = 2


class Worker(NamedTuple):
    """Where it is in its program and in a step of it, and what it has read."""

    todo: tuple[str, ...]
    at: str = ""
    counted: int = 0  # in its own cell of the row
    running: int = 0  # … of those, who were let in
    seen: int = 0
    wanted: int = 0
    used: int = 0
    turn: int = 0
    began: int = 0


class Question(NamedTuple):
    """On its way to the store."""

    turn: int
    used: int
    wanted: int
    began: int


class Answer(NamedTuple):
    """On its way back."""

    turn: int
    lent: int
    began: int


class Record(NamedTuple):
    """What the store knows of the machine."""

    lent: int
    used: int
    turn: int
    heard: int


class State(NamedTuple):
    """Shared memory (permits, their end, the turn), the store, the network, the workers."""

    workers: tuple[Worker, ...]
    permits: int = 0
    until: int = 0
    turn: int = 0
    record: Record | None = None
    other: int = 0
    network: frozenset[Question | Answer] = frozenset()
    now: int = 0
    deaths: int = 0
    is_unheard: bool = False  # the store has forgotten the machine while something was under way there

    @property
    def live(self) -> int:
        """What the machine may use."""
        return self.permits if self.until > self.now else 0


class Model:
    """All steps that are possible in a state, of ``maximum`` permits in the fleet."""

    def __init__(
        self, programs: tuple[tuple[str, ...], ...], maximum: int = 2, deaths: int = 0, ticks: int = 0, flaw: str = ""
    ) -> None:
        self.programs, self.maximum, self.deaths, self.ticks, self.flaw = programs, maximum, deaths, ticks, flaw
        self.held = FORGOTTEN - 1
        if flaw == "a grant is of use for as long as the store remembers it":
            self.held = FORGOTTEN + 1

    def search(self) -> Found:
        return search(State(tuple(Worker(program) for program in self.programs)), self.next_states, self.check)

    def next_states(self, s: State) -> Iterator[State]:
        for i, worker in enumerate(s.workers):
            if worker.at == "dead":
                if worker.counted:
                    yield put(s, i, worker._replace(counted=0))  # the supervisor
                continue
            yield from self.steps(s, i, worker)
            if s.deaths < self.deaths:
                yield put(s, i, Worker((), "dead", worker.counted))._replace(deaths=s.deaths + 1)
        yield from self.store_steps(s)
        if s.now < self.ticks:
            is_lost = s.record is not None and s.record.heard + FORGOTTEN <= s.now + 1
            yield s._replace(
                now=s.now + 1,
                record=None if is_lost else s.record,
                is_unheard=s.is_unheard or (is_lost and under_way(s) > 0),
            )

    def steps(self, s: State, i: int, w: Worker) -> Iterator[State]:
        if w.at:
            yield from getattr(self, w.at)(s, i, w)
        elif w.todo:
            step, todo = w.todo[0], w.todo[1:]
            if step == "take" and self.flaw == "who takes a permit does not read the cell again":
                yield put(s, i, w._replace(todo=todo, at="count_late", seen=s.live))
            elif step == "take":
                yield put(s, i, w._replace(todo=todo, at="sum", counted=w.counted + 1))
            elif step == "end":
                gone = min(1, w.running)
                yield put(s, i, w._replace(todo=todo, counted=w.counted - gone, running=w.running - gone))
            else:
                early = self.flaw == "those under way are summed before the question begins"
                for wanted in range(self.maximum + 1):
                    yield put(s, i, w._replace(todo=todo, at="sum_early" if early else "begin", wanted=wanted))

    # -- a permit -----------------------------------------------------------------------------------------------------

    def sum(self, s: State, i: int, w: Worker) -> Iterator[State]:
        yield put(s, i, w._replace(at="read", seen=under_way(s)))

    def read(self, s: State, i: int, w: Worker) -> Iterator[State]:
        if w.seen <= s.live:
            yield put(s, i, w._replace(at="", running=w.running + 1))
        else:
            yield put(s, i, w._replace(at="", counted=w.counted - 1))

    def count_late(self, s: State, i: int, w: Worker) -> Iterator[State]:
        if under_way(s) < w.seen:
            yield put(s, i, w._replace(at="", counted=w.counted + 1, running=w.running + 1))
        else:
            yield put(s, i, w._replace(at=""))

    # -- a question ---------------------------------------------------------------------------------------------------

    def sum_early(self, s: State, i: int, w: Worker) -> Iterator[State]:
        yield put(s, i, w._replace(at="begin", used=under_way(s)))

    def begin(self, s: State, i: int, w: Worker) -> Iterator[State]:
        permits = s.live if self.flaw == "a question does not lower what there is" else min(s.live, w.wanted)
        until = s.until if s.live else s.now + self.held
        turn = s.turn + 1
        early = self.flaw == "those under way are summed before the question begins"
        w = w._replace(at="send" if early else "sum_asked", turn=turn, began=s.now)
        yield put(s, i, w)._replace(permits=permits, until=until, turn=turn)

    def sum_asked(self, s: State, i: int, w: Worker) -> Iterator[State]:
        yield put(s, i, w._replace(at="send", used=under_way(s)))

    def send(self, s: State, i: int, w: Worker) -> Iterator[State]:
        question = Question(w.turn, w.used, w.wanted, w.began)
        yield put(s, i, w._replace(at="wait"))._replace(network=s.network | {question})

    def wait(self, s: State, i: int, w: Worker) -> Iterator[State]:
        yield put(s, i, w._replace(at=""))  # it gives up
        for message in s.network:
            if isinstance(message, Answer) and message.turn == w.turn:
                yield put(s, i, w._replace(at="answer", seen=message.lent))._replace(network=s.network - {message})

    def answer(self, s: State, i: int, w: Worker) -> Iterator[State]:
        done = put(s, i, w._replace(at=""))
        if s.turn == w.turn or self.flaw == "an answer counts whatever was asked since":
            done = done._replace(permits=w.seen, until=w.began + self.held)
        yield done

    # -- the store and the other machine ------------------------------------------------------------------------------

    def store_steps(self, s: State) -> Iterator[State]:
        known = 0 if s.record is None else max(s.record.lent, s.record.used)
        for message in s.network:
            if not isinstance(message, Question):
                continue
            rest = s.network - {message}
            is_late = s.record is not None and message.turn < s.record.turn
            if is_late and self.flaw != "the store hears an earlier turn after a later one":
                yield s._replace(network=rest)
                continue
            lent = min(message.wanted, max(0, self.maximum - s.other))
            record = Record(lent, message.used, message.turn, s.now)
            yield s._replace(record=record, network=rest | {Answer(message.turn, lent, message.began)})
        if s.other < self.maximum - known:
            yield s._replace(other=self.maximum - known)
        if s.other:
            yield s._replace(other=0)

    def check(self, s: State, is_end: bool) -> None:
        if s.live + s.other > self.maximum:
            raise BrokenProtocolError(f"more may be used than there are: {s}")
        running = sum(w.running for w in s.workers)
        if running + s.other > self.maximum and not s.is_unheard:
            raise BrokenProtocolError(f"more are under way than there are: {s}")
        if is_end and any(w.at == "dead" and w.counted for w in s.workers):
            raise BrokenProtocolError(f"the dead keep permits: {s}")


def under_way(s: State) -> int:
    return sum(worker.counted for worker in s.workers)


def put(s: State, i: int, worker: Worker) -> State:
    return s._replace(workers=(*s.workers[:i], worker, *s.workers[i + 1 :]))
