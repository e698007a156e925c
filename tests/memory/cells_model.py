"""The protocol of the cells as a model: processes that charge and refund keys, each stopped for good at any step.

A key's two sets are one row of cells here. Charges are counted in whole ones and nothing leaks away, so a key lets
``allowed`` pass. Two things are wider than in ``memory/cells.h``, which the protocol has to bear as well: any cell may
be the one to give up, dead or not, and an announcement may be taken for old at any time.

A process that is stopped is one that takes no further step, so what holds in every state holds whoever stopped or
died. That nobody is held up by it is ``finishes_alone``: from every state each process ends within a few tries when the
others stand still. ``flaw`` breaks one rule of ``memory/cells.h``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from tests.memory.interleavings import BrokenProtocolError, Found, search

FLAWS = (
    "no look at the other cells",
    "announcements without a nonce",
    "both of two announcements stay",
    "the announcement stays where there is a charged cell",
    "a cell of the same key is given up",
    "charged without a compare of the key",
    "refunded without a compare of the key",
    "refused without a swap",
    "a turn that others wait behind is given back",
)
Cell = tuple[str, int]  # key; charges, 0: none, negative: a nonce
FREE: Cell = ("", 0)


class Process(NamedTuple):
    """One worker: what it does for which key, where it is, what it read in which cell."""

    todo: tuple[tuple[str, str], ...]
    at: str = "find"
    cell: int = 0  # that is read next
    mine: int = -1  # announced or charged
    seen: Cell = FREE
    other: Cell = FREE
    tries: int = 0
    turn: int = -1  # that it was given last and waits for


class State(NamedTuple):
    """Shared memory, the processes, and what an onlooker knows: who passed, and what was forgotten with its cell."""

    cells: tuple[Cell, ...]
    processes: tuple[Process, ...]
    nonce: int = 0
    passed: int = 0
    forgotten: int = 0
    gave_up: int = 0


class Model:
    """All steps that are possible in a state; the key looked at is "h"."""

    def __init__(
        self, cells: tuple[Cell, ...], programs: tuple[str, ...], flaw: str = "", *, allowed: int = 2, tries: int = 4
    ) -> None:
        """``programs``: for each process a word a deed, "+h -h =h +f": charge h, give h back, then its turn, charge f.

        ``tries``: after so many a process gives up, as those of the real thing do after many more.
        """
        todo = tuple(tuple((word[0], word[1:]) for word in program.split()) for program in programs)
        self.start = State(cells, tuple(Process(deeds) for deeds in todo))
        self.already = sum(charges for key, charges in cells if key == "h" and charges > 0)
        self.flaw, self.allowed, self.tries = flaw, allowed, tries
        self.gives_turns = any(deed == "=" for deeds in todo for deed, _ in deeds)

    def search(self) -> Found:
        return search(self.start, self.next_states, self.check)

    def finishes_alone(self) -> Found:
        """The same walk; in each state each process is run to its end alone."""

        def check(s: State, is_end: bool) -> None:
            for i, p in enumerate(s.processes):
                if p.todo:
                    alone = put(s._replace(gave_up=0), i, p._replace(tries=0, todo=p.todo[:1]))
                    search(alone, lambda state, i=i: self.steps(state, i), raise_if_gave_up)

        return search(self.start, self.next_states, check)

    def next_states(self, s: State) -> Iterator[State]:
        for i in range(len(s.processes)):
            yield from self.steps(s, i)

    def steps(self, s: State, i: int) -> Iterator[State]:
        p = s.processes[i]
        if not p.todo:
            return
        deed, key = p.todo[0]
        if p.at in ("find", "find used"):
            yield from self.find_steps(s, i, p, deed, key)
        elif p.at in ("give up", "give up used"):
            yield from self.give_up_steps(s, i, p, key)
        elif p.at == "announce":
            yield from self.announce_steps(s, i, p, key)
        elif p.at in ("look", "look used", "drop mine", "drop other"):
            yield from self.look_steps(s, i, p, key)
        else:
            yield from self.swap_steps(s, i, p, deed, key)

    def find_steps(self, s: State, i: int, p: Process, deed: str, key: str) -> Iterator[State]:
        if p.at == "find used":
            used = s.cells[p.cell][1]
            if used >= 0:
                yield put(s, i, p._replace(at="swap", mine=p.cell, seen=(key, used)))
                return
            if p.mine < 0:
                p = p._replace(mine=p.cell, seen=(key, used))
            p = p._replace(at="find", cell=p.cell + 1)
        elif p.cell < len(s.cells):
            is_of = s.cells[p.cell][0] == key
            p = p._replace(at="find used") if is_of else p._replace(cell=p.cell + 1)
        if p.cell < len(s.cells):
            yield put(s, i, p)
        elif deed in "-=":
            yield self.done(s, i, p)
        elif p.mine < 0:
            yield put(s, i, p._replace(at="give up", cell=-1))
        else:
            yield put(s, i, p._replace(at="swap" if self.flaw == "no look at the other cells" else "look", cell=0))

    def give_up_steps(self, s: State, i: int, p: Process, key: str) -> Iterator[State]:
        if p.at == "give up":
            for cell in range(len(s.cells)):
                found = s.cells[cell][0]
                if found == key and self.flaw != "a cell of the same key is given up":
                    yield self.again(s, i, p)
                else:
                    yield put(s, i, p._replace(at="give up used", cell=cell, other=(found, 0)))
        else:
            yield put(s, i, p._replace(at="announce", other=(p.other[0], s.cells[p.cell][1])))

    def announce_steps(self, s: State, i: int, p: Process, key: str) -> Iterator[State]:
        if s.cells[p.cell] != p.other:
            yield self.again(s, i, p)
            return
        forgotten = p.other[1] if p.other[0] == "h" and p.other[1] > 0 and key != "h" else 0
        nonce = -1 if self.flaw == "announcements without a nonce" else s.nonce - 1
        at = "swap" if self.flaw == "no look at the other cells" else "look"
        s = store(s, p.cell, (key, nonce))._replace(nonce=nonce, forgotten=s.forgotten + forgotten)
        yield put(s, i, p._replace(at=at, mine=p.cell, seen=(key, nonce), other=FREE, cell=0))

    def look_steps(self, s: State, i: int, p: Process, key: str) -> Iterator[State]:
        if p.at == "look":
            if p.cell == len(s.cells):
                yield put(s, i, p._replace(at="swap"))
            elif p.cell != p.mine and s.cells[p.cell][0] == key:
                yield put(s, i, p._replace(at="look used"))
            else:
                yield put(s, i, p._replace(cell=p.cell + 1))
        elif p.at == "look used":
            used = s.cells[p.cell][1]
            if used < 0 and self.flaw == "both of two announcements stay":
                yield put(s, i, p._replace(at="look", cell=p.cell + 1))
                return
            if used >= 0 and self.flaw == "the announcement stays where there is a charged cell":
                yield put(s, i, p._replace(at="look", cell=p.cell + 1))
                return
            is_mine = used >= 0 or p.cell < p.mine
            yield put(s, i, p._replace(at="drop mine" if is_mine else "drop other", other=(key, used)))
        else:
            loser, expected = (p.mine, p.seen) if p.at == "drop mine" else (p.cell, p.other)
            if s.cells[loser] == expected:
                s = store(s, loser, FREE)
            yield self.again(s, i, p)

    def swap_steps(self, s: State, i: int, p: Process, deed: str, key: str) -> Iterator[State]:
        found = s.cells[p.mine]
        used = max(p.seen[1], 0)
        is_blind = self.flaw.startswith("charged without" if deed == "+" else "refunded without")
        is_swapped = found[1] == p.seen[1] if is_blind else found == p.seen
        if deed == "+" and used >= self.allowed:
            if self.flaw == "refused without a swap":
                is_swapped = True
            if is_swapped:
                if found[0] != key or found[1] < self.allowed:
                    raise BrokenProtocolError(f"refused although it had room: {s}")
                yield self.done(s, i, p)
                return
        if is_swapped:
            change = 1 if deed == "+" else -min(used, 1)
            if deed == "=" and used != p.turn + 1 and self.flaw != "a turn that others wait behind is given back":
                change = 0  # confirmed all the same
            if found[0] != key:
                raise BrokenProtocolError(f"a foreign cell was changed: {s}")
            s = store(s, p.mine, (key, used + change))
            turn = used if deed == "+" else -1
            yield self.done(s._replace(passed=s.passed + (change if key == "h" else 0)), i, p._replace(turn=turn))
        elif found[0] == key and found[1] >= 0 and p.tries + 1 < self.tries:
            yield put(s, i, p._replace(seen=found, tries=p.tries + 1))
        else:
            yield self.again(s, i, p)

    def again(self, s: State, i: int, p: Process) -> State:
        if p.tries + 1 >= self.tries:
            return self.done(s._replace(gave_up=s.gave_up + 1), i, p)
        return put(s, i, Process(p.todo, tries=p.tries + 1, turn=p.turn))

    def done(self, s: State, i: int, p: Process) -> State:
        return put(s, i, Process(p.todo[1:], turn=p.turn))

    def check(self, s: State, is_end: bool) -> None:
        charged = [used for key, used in s.cells if key == "h" and used >= 0]
        if len(charged) > 1:
            raise BrokenProtocolError(f"a key has two charged cells: {s}")
        if sum(charged) + s.forgotten != s.passed + self.already:
            raise BrokenProtocolError(f"what passed is not what was charged: {s}")
        turns = [p.turn for p in s.processes if p.turn >= 0]
        if self.gives_turns and len(set(turns)) < len(turns):
            raise BrokenProtocolError(f"two have one turn: {s}")


def raise_if_gave_up(s: State, is_end: bool) -> None:
    if s.gave_up:
        raise BrokenProtocolError(f"one that runs alone does not come to an end: {s}")


def store(s: State, cell: int, content: Cell) -> State:
    return s._replace(cells=(*s.cells[:cell], content, *s.cells[cell + 1 :]))


def put(s: State, i: int, process: Process) -> State:
    return s._replace(processes=(*s.processes[:i], process, *s.processes[i + 1 :]))
