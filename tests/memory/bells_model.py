"""The protocol of the bells as a model: processes that wait for permits and free them, each dead at any step.

What is waited for is a plain count of free permits, taken and given back in one step each. Each process first gets as
many permits as it ``wants``, then gives back all it holds; the ``leaver`` may stop waiting at any time (its client has
gone). The slot to ring is any of those that are marked: whatever turn they take, the protocol has to hold.

Without a death nobody may be left waiting for a bell while a permit is free, timer or not. With deaths the timer is
part of the protocol. ``flaw`` breaks one rule of ``memory/bells.pyx``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from tests.memory.interleavings import BrokenProtocolError, Found, search

FLAWS = (
    "no second try after the mark",
    "masks are looked at before the free is stored",
    "a bell that is not used is not rung on",
    "no mark anew after a bell",
    "marks of the dead stay",
)


class Process(NamedTuple):
    """One worker: where it is in its program, what it wants, what it holds, whom it is about to ring."""

    at: str
    wants: int
    held: int
    target: int = -1


class State(NamedTuple):
    """Shared memory (free permits, marks, bells that were rung and not heard) and the processes."""

    free: int
    marks: frozenset[int]
    rung: frozenset[int]
    processes: tuple[Process, ...]
    deaths: int = 0


class Model:
    """All steps that are possible in a state."""

    def __init__(
        self,
        programs: tuple[tuple[int, int], ...],
        deaths: int = 0,
        flaw: str = "",
        *,
        has_timer: bool = False,
        leaver: int = -1,
    ) -> None:
        self.programs, self.deaths, self.flaw, self.has_timer, self.leaver = programs, deaths, flaw, has_timer, leaver

    def search(self) -> Found:
        start = State(0, frozenset(), frozenset(), tuple(Process("work", *program) for program in self.programs))
        return search(start, self.next_states, self.check)

    def next_states(self, s: State) -> Iterator[State]:
        for i, process in enumerate(s.processes):
            if process.at == "gone":
                continue
            if process.at == "dead":
                yield from self.supervisor_steps(s, i, process)
                continue
            yield from self.steps(s, i, process)
            if s.deaths < self.deaths:
                yield put(s, i, process._replace(at="dead"))._replace(deaths=s.deaths + 1)

    def supervisor_steps(self, s: State, i: int, p: Process) -> Iterator[State]:
        """Permits first, then the marks; it rings nobody."""
        if p.held:
            yield put(s, i, p._replace(held=0))._replace(free=s.free + p.held)
        else:
            marks = s.marks if self.flaw == "marks of the dead stay" else s.marks - {i}
            yield put(s, i, Process("gone", 0, 0))._replace(marks=marks)

    def steps(self, s: State, i: int, p: Process) -> Iterator[State]:
        if p.at == "work":
            if p.wants:
                yield put(s, i, p._replace(at="try"))
            elif p.held:
                early = self.flaw == "masks are looked at before the free is stored"
                yield put(s, i, p._replace(at="look" if early else "free"))
        elif p.at in ("try", "try again"):
            if s.free:
                p = p._replace(wants=p.wants - 1, held=p.held + 1)
                at = "work" if p.at == "try" else "mark" if p.wants else "unmark"
                yield put(s, i, p._replace(at=at))._replace(free=s.free - 1)
            else:
                yield put(s, i, p._replace(at="mark" if p.at == "try" else "wait"))
        elif p.at == "mark":
            at = "wait" if self.flaw == "no second try after the mark" else "try again"
            yield put(s, i, p._replace(at=at))._replace(marks=s.marks | {i})
        elif p.at == "wait":
            at = "try again" if self.flaw == "no mark anew after a bell" else "mark"
            if i in s.rung:
                yield put(s, i, p._replace(at=at))._replace(rung=s.rung - {i})
            elif self.has_timer:
                yield put(s, i, p._replace(at=at))
            if i == self.leaver:
                yield put(s, i, p._replace(at="unmark", wants=0))
        elif p.at == "unmark":
            is_used = i in s.marks or self.flaw == "a bell that is not used is not rung on"
            yield put(s, i, p._replace(at="work" if is_used else "look"))._replace(marks=s.marks - {i})
        elif p.at == "free":
            early = self.flaw == "masks are looked at before the free is stored"
            after = "work" if early else "look"
            yield put(s, i, p._replace(at=after, held=p.held - 1))._replace(free=s.free + 1)
        else:
            yield from self.ringer_steps(s, i, p)

    def ringer_steps(self, s: State, i: int, p: Process) -> Iterator[State]:
        early = self.flaw == "masks are looked at before the free is stored" and p.held and not p.wants
        after = "free" if early else "work"
        if p.at == "look":
            if not s.marks:
                yield put(s, i, p._replace(at=after))
            for target in s.marks:
                yield put(s, i, p._replace(at="take the mark", target=target))
        elif p.at == "take the mark":
            is_mine = p.target in s.marks
            moved = p._replace(at="ring") if is_mine else p._replace(at="look", target=-1)
            yield put(s, i, moved)._replace(marks=s.marks - {p.target})
        else:
            yield put(s, i, p._replace(at=after, target=-1))._replace(rung=s.rung | {p.target})

    def check(self, s: State, is_end: bool) -> None:
        if sum(p.held for p in s.processes) + s.free != sum(held for _, held in self.programs):
            raise BrokenProtocolError(f"permits came or went: {s}")
        if is_end:
            waiting = [i for i, p in enumerate(s.processes) if p.at == "wait"]
            if waiting and s.free >= 1:
                raise BrokenProtocolError(f"{waiting} wait although a permit is free: {s}")
            stale = [i for i in s.marks if s.processes[i].at != "wait"]
            if stale:
                raise BrokenProtocolError(f"{stale} are marked and do not wait: {s}")


def put(s: State, i: int, process: Process) -> State:
    return s._replace(processes=(*s.processes[:i], process, *s.processes[i + 1 :]))
