"""The protocol of the log ring as a model: one writer, one reader, every interleaving, either of them dead at any step.

A step is one access to shared memory: a load or store of a word, or one byte of a line. The model says what
``memory/log_ring.pyx`` says, in a ring of a few bytes. A byte holds (line, place in the line, last place), so that a
torn, mixed or overwritten line is seen. ``search`` walks all reachable states and returns what went wrong first.

``flaw`` breaks one rule on purpose: each rule is shown to be needed by the search that fails without it.
"""

from __future__ import annotations

from typing import NamedTuple

FLAWS = (
    "head before the bytes",
    "head before wrap",
    "no wrap at an exact end",
    "room without a look at tail",
    "tail before the bytes are read",
    "reader ignores wrap",
)

Byte = tuple[int, int, int] | None


class Writer(NamedTuple):
    """What the writing process knows; a dead one forgets all of it."""

    at: str = "idle"
    start: int = 0
    size: int = 0
    wrap: int = -1
    written: int = 0


class Reader(NamedTuple):
    """What the reading process knows."""

    at: str = "idle"
    tail: int = 0
    size: int = 0
    head: int = 0
    taken: tuple[Byte, ...] = ()


class State(NamedTuple):
    """Shared memory, both processes, and what is checked: the lines published and the last one that came out."""

    ring: tuple[Byte, ...]
    head: int = 0
    tail: int = 0
    wrap: int = 0
    writer: Writer = Writer()
    reader: Reader = Reader()
    line: int = 0
    published: tuple[int, ...] = ()
    delivered: int = 0
    writer_deaths: int = 0
    reader_deaths: int = 0


class BrokenLogError(Exception):
    """A line came out that never went in, or one that went in did not come out."""


class Model:
    """All steps that are possible in a state."""

    def __init__(self, capacity: int, lines: int, sizes: tuple[int, ...], deaths: int, flaw: str = "") -> None:
        self.capacity, self.lines, self.sizes, self.deaths, self.flaw = capacity, lines, sizes, deaths, flaw

    def start(self) -> State:
        return State(ring=(None,) * self.capacity)

    def next_states(self, s: State) -> list[State]:
        found = self.writer_steps(s) + self.reader_steps(s)
        if s.writer_deaths < self.deaths and s.writer.at != "idle":
            found.append(s._replace(writer=Writer(), writer_deaths=s.writer_deaths + 1, line=s.line + 1))
        if s.reader_deaths < self.deaths and s.reader.at != "idle":
            found.append(s._replace(reader=Reader(), reader_deaths=s.reader_deaths + 1))
        return found

    def writer_steps(self, s: State) -> list[State]:
        w = s.writer
        if w.at == "idle":
            if s.line == self.lines:
                return []
            found = []
            for reserved in self.sizes:
                at = s.head % self.capacity
                start = s.head if at + reserved <= self.capacity else s.head + self.capacity - at
                if start + reserved - s.tail > self.capacity and self.flaw != "room without a look at tail":
                    found.append(s._replace(line=s.line + 1))  # lost, counted
                    continue
                for size in range(1, reserved + 1):
                    wrap = -1
                    if start != s.head:
                        wrap = at
                    elif (start + size) % self.capacity == 0 and self.flaw != "no wrap at an exact end":
                        wrap = self.capacity
                    first = "head" if self.flaw == "head before the bytes" else "bytes"
                    found.append(s._replace(writer=Writer(first, start, size, wrap)))
            return found
        if w.at == "bytes":
            ring = list(s.ring)
            ring[(w.start + w.written) % self.capacity] = (s.line, w.written, w.size - 1)
            w = w._replace(written=w.written + 1)
            if w.written == w.size:
                w = w._replace(at="wrap" if self.flaw != "head before wrap" else "head")
            done = w.at == "wrap" and self.flaw == "head before the bytes"
            return [s._replace(ring=tuple(ring), writer=w) if not done else self.finished(s._replace(ring=tuple(ring)))]
        if w.at == "wrap":
            return [s._replace(wrap=w.wrap if w.wrap >= 0 else s.wrap, writer=w._replace(at="head"))]
        if w.at == "head":
            s = s._replace(head=w.start + w.size, published=(*s.published, s.line))
            if self.flaw == "head before wrap":
                return [s._replace(writer=w._replace(at="late wrap"))]
            if self.flaw == "head before the bytes":
                return [s._replace(writer=w._replace(at="bytes"), wrap=w.wrap if w.wrap >= 0 else s.wrap)]
            return [self.finished(s)]
        return [self.finished(s._replace(wrap=w.wrap if w.wrap >= 0 else s.wrap))]  # late wrap

    def finished(self, s: State) -> State:
        return s._replace(writer=Writer(), line=s.line + 1)

    def reader_steps(self, s: State) -> list[State]:
        r = s.reader
        if r.at == "idle":
            if s.head == s.tail:
                return []
            return [s._replace(reader=Reader("loaded", s.tail, s.head - s.tail, s.head))]
        if r.at == "loaded":
            at = r.tail % self.capacity
            if at + r.size <= self.capacity or self.flaw == "reader ignores wrap":
                r = r._replace(at="bytes", size=min(r.size, self.capacity - at))
            elif s.wrap > at:
                r = r._replace(at="bytes", size=min(s.wrap, self.capacity) - at)
            else:
                boundary = r.tail + self.capacity - at
                r = r._replace(at="jump", tail=boundary, size=r.head - boundary)
            return [self.early_tail(s._replace(reader=r))]
        if r.at == "jump":
            return [s._replace(tail=r.tail, reader=r._replace(at="bytes") if r.size else Reader())]
        if r.at == "bytes":
            taken = (*r.taken, s.ring[(r.tail + len(r.taken)) % self.capacity])
            return [s._replace(reader=r._replace(taken=taken, at="out" if len(taken) == r.size else "bytes"))]
        if r.at == "out":
            return [s._replace(delivered=self.checked(s, r.taken), reader=r._replace(at="tail"))]
        return [s._replace(tail=max(s.tail, r.tail + r.size), reader=Reader())]

    def early_tail(self, s: State) -> State:
        if self.flaw == "tail before the bytes are read" and s.reader.at == "bytes":
            return s._replace(tail=s.reader.tail + s.reader.size)
        return s

    def checked(self, s: State, taken: tuple[Byte, ...]) -> int:
        """How many published lines have come out once ``taken`` has; all but the first pieces after a death are new."""
        lines = []
        for place, byte in enumerate(taken):
            if byte is None:
                raise BrokenLogError(f"byte {place} was never written: {taken}")
            line, at, last = byte
            before = taken[place - 1] if place else None
            if at == 0 and (before is None or before[1] == before[2]):
                lines.append(line)
            elif before is None or before[0] != line or before[1] != at - 1:
                raise BrokenLogError(f"torn line: {taken}")
            if place == len(taken) - 1 and at != last:
                raise BrokenLogError(f"cut line: {taken}")
        first = s.published.index(lines[0]) if lines[0] in s.published else -1
        if first < 0 or s.published[first : first + len(lines)] != tuple(lines):
            raise BrokenLogError(f"{lines} is no run of the published {s.published}")
        if first > s.delivered:
            raise BrokenLogError(f"line {s.published[s.delivered]} was skipped")
        if first < s.delivered and not s.reader_deaths:
            raise BrokenLogError(f"line {lines[0]} came twice and nobody died")
        return max(s.delivered, first + len(lines))


def check_rest(state: State, *, is_end: bool) -> None:
    """Whenever both processes rest and the ring is empty, everything published has come out; and no state is stuck."""
    at_rest = state.head == state.tail and state.writer.at == state.reader.at == "idle"
    if at_rest and state.delivered != len(state.published):
        raise BrokenLogError(f"at rest, but {state.delivered} of {len(state.published)} lines came out")
    if is_end and not at_rest:
        raise BrokenLogError(f"stuck: {state}")


def search(model: Model) -> tuple[int, str]:
    """Number of states, and the first violation found ("" when there is none)."""
    start = model.start()
    seen = {start}
    todo = [start]
    try:
        while todo:
            state = todo.pop()
            nexts = model.next_states(state)
            check_rest(state, is_end=not nexts)
            for one in nexts:
                if one not in seen:
                    seen.add(one)
                    todo.append(one)
    except BrokenLogError as violation:
        return len(seen), str(violation)
    return len(seen), ""
