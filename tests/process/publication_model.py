"""The switch to a new snapshot as a model: supervisor, control, two workers and their successors, every interleaving.

A step is one message sent or read, one report handled, one death, one death noticed, or the deadline. Channels keep
their order; the supervisor learns of a death when it looks, not when it happens. ``search`` walks all reachable states
and returns what went wrong first. It says what ``process/publication.py`` and ``process/workforce.py`` say.

``flaw`` breaks one rule on purpose: each rule is shown to be needed by the search that fails without it.
"""

from __future__ import annotations

from typing import NamedTuple

FLAWS = (
    "a successor is not told of the one on its way",
    "a successor serves with what it was started with",
    "a serving successor is not waited for",
    "what the dead said counts for the successor",
    "a number is used again",
    "nobody is told to forget",
    "no deadline",
    "control is not told",
)

SLOTS = 2


class Worker(NamedTuple):
    """A worker process. ``holds`` are the snapshots that it has built."""

    order: int
    holds: frozenset[int] = frozenset()
    is_serving: bool = False
    is_alive: bool = True
    is_stopped: bool = False
    inbox: tuple[tuple[str, int], ...] = ()
    outbox: tuple[tuple[str, int], ...] = ()


class Place(NamedTuple):
    """What the supervisor knows of a slot."""

    is_told: bool = False
    prepared: int = 0


class State(NamedTuple):
    """Shared memory, the supervisor, control and all workers."""

    word: int = 1
    newest: int = 1
    pending: int = 0
    highest: int = 1
    attempts: int = 0
    answers: tuple[str, ...] = ()
    control: bool = True
    deaths: int = 0
    workers: tuple[Worker | None, ...] = (None,) * SLOTS
    places: tuple[Place, ...] = (Place(),) * SLOTS


class BrokenSwitchError(Exception):
    """Somebody serves what was not published, or waits for ever."""


class Model:
    """All steps that are possible in a state."""

    def __init__(self, attempts: int, deaths: int, *, may_refuse: bool = True, flaw: str = "") -> None:
        self.attempts, self.deaths, self.may_refuse, self.flaw = attempts, deaths, may_refuse, flaw

    def start(self) -> State:
        serving = Worker(order=1, holds=frozenset({1}), is_serving=True)
        return State(workers=(serving,) * SLOTS, places=(Place(is_told=True, prepared=1),) * SLOTS)

    def next_states(self, s: State) -> list[State]:
        found = self.control_steps(s)
        for slot in range(SLOTS):
            worker = s.workers[slot]
            if worker is None:
                found.append(self.started(s, slot))
                continue
            if worker.is_alive and not worker.is_stopped:
                found += self.worker_steps(s, slot, worker)
                if s.deaths < self.deaths:
                    for end in (worker._replace(is_alive=False, inbox=()), worker._replace(is_stopped=True)):
                        found.append(put(s, slot, end)._replace(deaths=s.deaths + 1))
            if worker.outbox:
                found.append(
                    self.heard(put(s, slot, worker._replace(outbox=worker.outbox[1:])), slot, worker.outbox[0])
                )
            elif not worker.is_alive:
                found.append(self.noticed(s, slot))
        return found

    # -- control ---------------------------------------------------------------------------------------------------

    def control_steps(self, s: State) -> list[State]:
        found = []
        if s.attempts < self.attempts and s.control and not s.pending:
            number = 2 if self.flaw == "a number is used again" else s.highest + 1
            proposed = s._replace(attempts=s.attempts + 1, pending=number, highest=number)
            for slot in range(SLOTS):
                proposed = tell(proposed, slot, "prepare", number)
            found.append(self.concluded(proposed))
        if s.pending and self.flaw != "no deadline":
            found.append(self.withdrawn(s, "late"))
        if s.pending and s.control and s.deaths < self.deaths:
            gone = s._replace(control=False, deaths=s.deaths + 1)
            found.append(self.withdrawn(gone, "nobody")._replace(control=True))
        return found

    # -- a worker --------------------------------------------------------------------------------------------------

    def worker_steps(self, s: State, slot: int, worker: Worker) -> list[State]:
        if not worker.holds:  # it begins with what its order names, and reads its channel afterwards
            built = worker._replace(holds=frozenset({worker.order}))
            return [put(s, slot, say(built, "prepared", worker.order))]
        if not worker.inbox:
            return []
        (what, number), rest = worker.inbox[0], worker.inbox[1:]
        worker = worker._replace(inbox=rest)
        if what == "serve":
            return [put(s, slot, worker._replace(is_serving=True))]
        if what == "forget":
            return [put(s, slot, worker._replace(holds=worker.holds - {number} | (worker.holds & {s.word})))]
        built = [put(s, slot, say(worker._replace(holds=worker.holds | {number}), "prepared", number))]
        if self.may_refuse:
            built.append(put(s, slot, say(worker, "refused", number)))
        return built

    # -- the supervisor --------------------------------------------------------------------------------------------

    def started(self, s: State, slot: int) -> State:
        s = put(s, slot, Worker(order=s.newest))
        s = self.emptied(s, slot)
        if s.pending and self.flaw != "a successor is not told of the one on its way":
            s = tell(s, slot, "prepare", s.pending)
        return s

    def emptied(self, s: State, slot: int) -> State:
        if self.flaw == "what the dead said counts for the successor":
            return s
        return s._replace(places=replaced(s.places, slot, Place()))

    def heard(self, s: State, slot: int, report: tuple[str, int]) -> State:
        what, number = report
        place = s.places[slot]
        if what == "refused":
            if number == s.pending:
                return self.withdrawn(s, "refused")
            worker = s.workers[slot]
            if number == s.newest and worker is not None and worker.is_alive:
                return put(s, slot, worker._replace(is_alive=False, inbox=()))
            return s
        s = s._replace(places=replaced(s.places, slot, place._replace(prepared=max(place.prepared, number))))
        return self.serve_who_can(self.concluded(s))

    def noticed(self, s: State, slot: int) -> State:
        s = self.emptied(s._replace(workers=replaced(s.workers, slot, None)), slot)
        return self.serve_who_can(self.concluded(s))

    def concluded(self, s: State) -> State:
        if not s.pending:
            return s
        for slot, place in enumerate(s.places):
            worker = s.workers[slot]
            is_waited_for = place.is_told
            if self.flaw == "a serving successor is not waited for" and worker is not None and not worker.is_serving:
                is_waited_for = False
            if is_waited_for and place.prepared < s.pending:
                return s
        s = s._replace(word=s.pending, newest=s.pending, pending=0)
        return self.serve_who_can(self.answered(s, "published"))

    def withdrawn(self, s: State, reason: str) -> State:
        number = s.pending
        s = s._replace(pending=0)
        if self.flaw != "nobody is told to forget":
            for slot in range(SLOTS):
                s = tell(s, slot, "forget", number)
        return self.answered(s, reason)

    def answered(self, s: State, answer: str) -> State:
        return s if self.flaw == "control is not told" else s._replace(answers=(*s.answers, answer))

    def serve_who_can(self, s: State) -> State:
        for slot, place in enumerate(s.places):
            worker = s.workers[slot]
            enough = 1 if self.flaw == "a successor serves with what it was started with" else s.newest
            if worker is not None and not place.is_told and place.prepared >= enough:
                s = tell(s, slot, "serve", 0)
                s = s._replace(places=replaced(s.places, slot, s.places[slot]._replace(is_told=True)))
        return s


def replaced(values: tuple, at: int, value: object) -> tuple:
    return (*values[:at], value, *values[at + 1 :])


def put(s: State, slot: int, worker: Worker) -> State:
    return s._replace(workers=replaced(s.workers, slot, worker))


def tell(s: State, slot: int, what: str, number: int) -> State:
    worker = s.workers[slot]
    if worker is None or not worker.is_alive:
        return s
    return put(s, slot, worker._replace(inbox=(*worker.inbox, (what, number))))


def say(worker: Worker, what: str, number: int) -> Worker:
    return worker._replace(outbox=(*worker.outbox, (what, number)))


def check(s: State, *, is_end: bool) -> None:
    """Always: who serves holds what is active. At rest: all serve, nothing is pending, nothing is kept for nothing."""
    for slot, worker in enumerate(s.workers):
        if worker is None or not worker.is_alive:
            continue
        if worker.is_serving and s.word not in worker.holds:
            raise BrokenSwitchError(f"worker {slot} serves, {s.word} is active, and it has only {set(worker.holds)}")
        if is_end and worker.is_stopped:
            continue
        if is_end and not worker.is_serving:
            raise BrokenSwitchError(f"worker {slot} never serves")
        if is_end and max(worker.holds) > s.word:
            raise BrokenSwitchError(f"worker {slot} keeps {max(worker.holds)}, which will never be active")
    if is_end and s.pending:
        raise BrokenSwitchError(f"{s.pending} is on its way for ever")
    if is_end and len(s.answers) != s.attempts:
        raise BrokenSwitchError(f"{s.attempts} attempts, {len(s.answers)} answers")


def search(model: Model) -> tuple[int, str, set[tuple[str, ...]]]:
    """Number of states, the first violation ("" when there is none), and the answers that control can get."""
    start = model.start()
    seen = {start}
    todo = [start]
    ends: set[tuple[str, ...]] = set()
    try:
        while todo:
            state = todo.pop()
            nexts = [one for one in model.next_states(state) if one != state]
            check(state, is_end=not nexts)
            if not nexts:
                ends.add(state.answers)
            for one in nexts:
                if one not in seen:
                    seen.add(one)
                    todo.append(one)
    except BrokenSwitchError as violation:
        return len(seen), str(violation), ends
    return len(seen), "", ends
