"""The protocols of ``memory/inflight`` as a model: processes that take and give back permits, each dead at any step.

Memory is the names of a few rows, and behind them the cells, one for each process and row. A key may have any of the
rows. Each process takes and gives back one permit for each key it is told. One that dies is forgotten by the supervisor
step by step, and its successor does what was left. ``flaw`` breaks one rule of ``memory/inflight.pyx``.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any, NamedTuple

from tests.memory.interleavings import BrokenProtocolError, Found, search
from tests.memory.programs import Access, Memory, Next, Process, Program, changed, step

Steps = Generator[Access, Any, Next]
Part = Generator[Access, Any, Any]

ROW_FLAWS = (
    "the row is summed before the cell is added to",
    "what is over is not taken back",
    "the dead go on counting",
)
KEY_FLAWS = (
    "a row is live without an announcement",
    "the rows are not read again after the announcement",
    "both announcements stay",
    "the name is read before the cell is added to",
    "a row is freed without closing it",
    "a closing row is freed without a sum",
    "who closes is not told",
    "who restores a row does not look again",
)

FREE = ()
Name = tuple[str, str, int]  # key, state, holder


class State(NamedTuple):
    """Shared memory, the processes, and how many have died."""

    memory: Memory
    processes: tuple[Process, ...]
    deaths: int = 0


class Model:
    """All steps that are possible in a state.

    ``pinned``: one row that is live from the start and never freed. ``holders``: so many of the last processes begin
    with a permit of their first key, in the first row.
    """

    def __init__(
        self,
        wanted: tuple[str, ...],
        rows: int,
        maximum: int,
        deaths: int = 0,
        flaw: str = "",
        *,
        pinned: str = "",
        holders: int = 0,
    ) -> None:
        self.wanted, self.rows, self.maximum, self.deaths, self.flaw = wanted, rows, maximum, deaths, flaw
        self.pinned, self.holders = pinned, holders
        self.programs: dict[str, Program] = {
            "claim": self.claim,
            "confirm": self.confirm,
            "acquire": self.acquire,
            "hold": self.hold,
            "leave": self.leave,
            "forget": self.forget,
        }

    def search(self) -> Found:
        names = [(self.pinned, "live", -1)] if self.pinned else [FREE] * self.rows
        memory: Memory = (*names, *[0] * (len(names) * len(self.wanted)))
        processes = [self.begin(i, keys) for i, keys in enumerate(self.wanted)]
        for i in range(len(self.wanted) - self.holders, len(self.wanted)):
            memory = changed(changed(memory, 0, (self.wanted[i][0], "live", -1)), self.cell(0, i), 1)
            processes[i] = Process("hold", (i, self.wanted[i], 0))
        return search(State(memory, tuple(processes)), self.next_states, self.check)

    def next_states(self, s: State) -> Iterator[State]:
        for i, process in enumerate(s.processes):
            if process.at == "done":
                continue
            memory, moved = step(self.programs, s.memory, process)
            yield s._replace(memory=memory, processes=put(s, i, moved))
            if s.deaths < self.deaths and process.at != "forget":
                keys = process.arguments[1]
                yield s._replace(processes=put(s, i, self.dead(i, keys[1:])), deaths=s.deaths + 1)

    # what a process does; ``i`` is its slot, ``keys`` what it has still to do, the present one first

    def begin(self, i: int, keys: str) -> Process:
        return Process(*self.then(i, keys))

    def then(self, i: int, keys: str) -> Any:
        if not keys:
            return "done", ()
        return ("acquire", (i, keys, 0)) if self.pinned else ("claim", (i, keys))

    def go_on(self, i: int, keys: str) -> Next:
        at, arguments = self.then(i, keys)
        return (at, *arguments)

    def left(self, i: int, keys: str, row: int) -> Next:
        return self.go_on(i, keys) if self.pinned else ("leave", i, keys, row)

    def dead(self, i: int, keys: str) -> Process:
        return Process("forget", (i, keys, 0))

    def cell(self, row: int, i: int) -> int:
        rows = 1 if self.pinned else self.rows
        return rows + row * len(self.wanted) + i

    def sum(self, row: int) -> Part:
        total = 0
        for i in range(len(self.wanted)):
            total += yield "load", self.cell(row, i)
        return total

    def claim(self, i: int, keys: str) -> Steps:
        key, own = keys[0], (keys[0], "announced", i)
        unused = -1
        for row in range(self.rows):
            there = yield "load", row
            if there == FREE and (unused < 0 or i % 2):  # who chooses which does not matter
                unused = row
            if there == FREE or there[0] != key:
                continue
            if there[1] == "live":
                return "acquire", i, keys, row
            wanted = own if there[1] == "announced" else (key, "live", -1)
            if not (yield "swap", row, there, wanted):
                return "claim", i, keys
            return ("confirm", i, keys, row) if wanted == own else ("acquire", i, keys, row)
        if unused < 0:
            for row in range(self.rows):
                while (yield from self.close(row, i)):
                    pass
            return self.go_on(i, keys[1:])  # no room: refused, or found by the next who wants it
        is_early = self.flaw == "a row is live without an announcement"
        if not (yield "swap", unused, FREE, (key, "live", -1) if is_early else own):
            return "claim", i, keys
        return ("acquire", i, keys, unused) if is_early else ("confirm", i, keys, unused)

    def confirm(self, i: int, keys: str, own: int) -> Steps:
        key, announced = keys[0], (keys[0], "announced", i)
        is_blind = self.flaw == "the rows are not read again after the announcement"
        for row in range(self.rows if not is_blind else 0):
            if row == own:
                continue
            there = yield "load", row
            if there == FREE or there[0] != key:
                continue
            if there[1] == "announced":
                if self.flaw == "both announcements stay":
                    continue
                if row > own and (yield "swap", row, there, FREE):
                    continue
            yield "swap", own, announced, FREE
            return ("acquire", i, keys, row) if there[1] == "live" else ("claim", i, keys)
        is_live = yield "swap", own, announced, (key, "live", -1)
        return ("acquire", i, keys, own) if is_live else ("claim", i, keys)

    def keep(self, row: int, key: str) -> Part:
        while True:
            there = yield "load", row
            if there == FREE or there[0] != key or there[1] == "announced":
                return False
            if there[1] == "live" or (yield "swap", row, there, (key, "live", -1)):
                return True

    def acquire(self, i: int, keys: str, row: int) -> Steps:
        own, key = self.cell(row, i), keys[0]
        is_mine = held = None
        if self.flaw == "the name is read before the cell is added to":
            is_mine = yield from self.keep(row, key)
        if self.flaw == "the row is summed before the cell is added to":
            held = 1 + (yield from self.sum(row))
        yield "add", own, 1
        if is_mine is None:
            is_mine = yield from self.keep(row, key)
        if is_mine:
            if held is None:
                held = yield from self.sum(row)
            if held <= self.maximum:
                return "hold", i, keys, row
        if self.flaw == "what is over is not taken back":
            return self.go_on(i, keys[1:])
        yield "add", own, -1
        if not is_mine:
            return self.left(i, keys, row)
        is_full = (yield from self.sum(row)) >= self.maximum
        return self.left(i, keys[1:], row) if is_full else ("acquire", i, keys, row)

    def hold(self, i: int, keys: str, row: int) -> Steps:
        yield "add", self.cell(row, i), -1
        return self.left(i, keys[1:], row)

    def leave(self, i: int, keys: str, row: int) -> Steps:
        is_restored = yield from self.close(row, i)
        return ("leave", i, keys, row) if is_restored else self.go_on(i, keys)

    def close(self, row: int, holder: int) -> Part:
        """Says whether the row was restored, and has to be looked at again."""
        there = yield "load", row
        if there == FREE or there[1] == "announced" or (yield from self.sum(row)):
            return False
        if self.flaw == "a row is freed without closing it":
            yield "swap", row, there, FREE
            return False
        closing = (there[0], "closing", -1 if self.flaw == "who closes is not told" else holder)
        if not (yield "swap", row, there, closing):
            return False
        if self.flaw == "a closing row is freed without a sum" or not (yield from self.sum(row)):
            yield "swap", row, closing, FREE
            return False
        yield "swap", row, closing, (there[0], "live", -1)
        return self.flaw != "who restores a row does not look again"

    def forget(self, i: int, keys: str, row: int) -> Steps:
        """The supervisor's, of whom there is one; its holder is no slot."""
        there = yield "load", row
        if self.flaw != "the dead go on counting":
            yield "store", self.cell(row, i), 0
        if there and there[1:] == ("announced", i):
            yield "swap", row, there, FREE
        if self.pinned:
            return self.go_on(i, keys)
        is_restored = yield from self.close(row, len(self.wanted))
        row += not is_restored
        return ("forget", i, keys, row) if row < self.rows else self.go_on(i, keys)

    # what must hold

    def check(self, s: State, is_end: bool) -> None:
        held = []
        for process in s.processes:
            if process.at == "hold":
                _, keys, row = process.arguments
                held.append(keys[0])
                if s.memory[row] == FREE or s.memory[row][0] != keys[0]:
                    raise BrokenProtocolError(f"a permit of {keys[0]} is held in a row that is not its own: {s}")
        for key in set(held):
            if held.count(key) > self.maximum:
                raise BrokenProtocolError(
                    f"{held.count(key)} permits of {key} are held, {self.maximum} is the limit: {s}"
                )
        if is_end and any(s.memory[1 if self.pinned else self.rows :]):
            raise BrokenProtocolError(f"nobody holds anything, and permits are counted: {s}")
        if is_end and not self.pinned and any(s.memory[: self.rows]):
            raise BrokenProtocolError(f"nobody holds anything, and a row is in use: {s}")


def put(s: State, i: int, process: Process) -> tuple[Process, ...]:
    return (*s.processes[:i], process, *s.processes[i + 1 :])
