"""The protocol of the journal as a model: writers and a reader, stopped for as long as they like or dead at any step.

A cell is a ticket, a checksum and two bytes of content; each is stored and loaded in a step of its own. The checksum is
modelled as perfect: it is the record itself. What a reader takes for a record must be one that was written, whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from tests.memory.interleavings import BrokenProtocolError, Found, search

FLAWS = (
    "no checksum",
    "checksum without the ticket",
    "ticket taken in two steps",
)

Byte = tuple[int, int] | None  # who wrote the record (its number), place in it


class Cell(NamedTuple):
    """One place of the ring."""

    ticket: int = 0
    sum: tuple[int, int] = (0, 0)  # ticket, record
    content: tuple[Byte, Byte] = (None, None)


class Writer(NamedTuple):
    """Where a writer is, its ticket, the number of the record it writes, how many it has left."""

    at: str = "idle"
    ticket: int = 0
    record: int = 0
    left: int = 0


class Reader(NamedTuple):
    """Where the reader is: the ticket it looks for, the last one, what it has copied of the cell."""

    at: str = "idle"
    ticket: int = 0
    latest: int = 0
    sum: tuple[int, int] = (0, 0)
    content: tuple[Byte, ...] = ()
    rounds: int = 0


class State(NamedTuple):
    """Shared memory, the processes, and which record was written under which ticket."""

    cells: tuple[Cell, ...]
    writers: tuple[Writer, ...]
    reader: Reader
    latest: int = 0
    records: int = 0
    written: tuple[tuple[int, int], ...] = ()  # (ticket, record) of those that were finished
    deaths: int = 0


class Model:
    """All steps that are possible in a state."""

    def __init__(self, cells: int, records: tuple[int, ...], rounds: int, deaths: int = 0, flaw: str = "") -> None:
        self.cells, self.records, self.rounds, self.deaths, self.flaw = cells, records, rounds, deaths, flaw

    def search(self) -> Found:
        writers = tuple(Writer(left=left) for left in self.records)
        start = State((Cell(),) * self.cells, writers, Reader(rounds=self.rounds))
        return search(start, self.next_states, self.check)

    def next_states(self, s: State) -> Iterator[State]:
        for i, writer in enumerate(s.writers):
            yield from self.writer_steps(s, i, writer)
            if writer.at != "idle" and s.deaths < self.deaths:
                yield put(s, i, Writer(left=writer.left))._replace(deaths=s.deaths + 1)
        yield from self.reader_steps(s)

    def writer_steps(self, s: State, i: int, w: Writer) -> Iterator[State]:
        at = (w.ticket - 1) % self.cells
        if w.at == "idle":
            if w.left:
                record = s.records + 1
                w = w._replace(at="take", record=record, ticket=s.latest + 1, left=w.left - 1)
                if self.flaw != "ticket taken in two steps":
                    w = w._replace(at="empty")
                    s = s._replace(latest=s.latest + 1)
                yield put(s._replace(records=record), i, w)
        elif w.at == "take":
            yield put(s._replace(latest=max(s.latest, w.ticket)), i, w._replace(at="empty"))
        elif w.at == "empty":
            yield put(write(s, at, ticket=0), i, w._replace(at="sum"))
        elif w.at == "sum":
            yield put(write(s, at, sum=(w.ticket, w.record)), i, w._replace(at="first byte"))
        elif w.at == "first byte":
            content = ((w.record, 0), s.cells[at].content[1])
            yield put(write(s, at, content=content), i, w._replace(at="second byte"))
        elif w.at == "second byte":
            content = (s.cells[at].content[0], (w.record, 1))
            yield put(write(s, at, content=content), i, w._replace(at="ticket"))
        else:
            done = s._replace(written=(*s.written, (w.ticket, w.record)))
            yield put(write(done, at, ticket=w.ticket), i, Writer(left=w.left))

    def reader_steps(self, s: State) -> Iterator[State]:
        r = s.reader
        if r.at == "idle":
            if r.rounds and s.latest:
                first = max(1, s.latest - self.cells + 1)
                yield s._replace(reader=Reader("ticket", first, s.latest, rounds=r.rounds - 1))
            return
        cell = s.cells[(r.ticket - 1) % self.cells]
        if r.at == "ticket":
            at = "sum" if cell.ticket == r.ticket else "next"
            yield s._replace(reader=r._replace(at=at, content=()))
        elif r.at == "sum":
            yield s._replace(reader=r._replace(at="bytes", sum=cell.sum))
        elif r.at == "bytes":
            r = r._replace(content=(*r.content, cell.content[len(r.content)]))
            yield s._replace(reader=r._replace(at="judge") if len(r.content) == 2 else r)
        elif r.at == "judge":
            if self.is_believed(r):
                self.judge(s, r)
            yield s._replace(reader=r._replace(at="next"))
        elif r.ticket < r.latest:
            yield s._replace(reader=r._replace(at="ticket", ticket=r.ticket + 1))
        else:
            yield s._replace(reader=Reader(rounds=r.rounds))

    def is_believed(self, r: Reader) -> bool:
        if self.flaw == "no checksum":
            return True
        record = r.sum[1]
        is_whole = r.content == ((record, 0), (record, 1))
        return is_whole and (r.sum[0] == r.ticket or self.flaw == "checksum without the ticket")

    def judge(self, s: State, r: Reader) -> None:
        known = {*s.written, *((w.ticket, w.record) for w in s.writers if w.at == "ticket")}
        if any((r.ticket, byte[0] if byte else 0) not in known for byte in r.content):
            raise BrokenProtocolError(f"{r.content} was never written under ticket {r.ticket}: {s}")

    def check(self, s: State, is_end: bool) -> None:
        if not is_end or s.deaths:
            return
        if len({ticket for ticket, _ in s.written}) != len(s.written):
            raise BrokenProtocolError(f"two records have the same ticket: {s}")


def write(s: State, at: int, **changes: object) -> State:
    cells = (*s.cells[:at], s.cells[at]._replace(**changes), *s.cells[at + 1 :])
    return s._replace(cells=cells)


def put(s: State, i: int, writer: Writer) -> State:
    return s._replace(writers=(*s.writers[:i], writer, *s.writers[i + 1 :]))
