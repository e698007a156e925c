"""The protocol of a worker's mark as a model: one writer, one reader, every interleaving, the writer dead or stopped.

A step is one load or store of a word. The model says what ``memory/marks.pyx`` says. Beside the two words it keeps what
is true: the callback the worker is in and whose code runs. The truth changes before the stores that tell of it; until
the last of them what was true before counts as well. A reading is right when the pair it names was true at some moment
between its first step and its last.

The writer may stop for good at any step (a process that is stopped, or whose code blocks, is one that takes no step);
when it dies, the slot is wiped, word by word, and the next one begins. ``flaw`` breaks one rule on purpose: each rule
is shown to be needed by the search that fails without it.
"""

from __future__ import annotations

from typing import NamedTuple

FLAWS = (
    "since before place",
    "place is left as it is",
    "reader does not look again",
    "reader looks at place first",
    "slot is not wiped",
)

CALLBACKS = (("own", "filter", "own"), ("own",), ("own", "filter", "filter", "own"))
"""What runs in each callback, one after the other: the gateway's own code, or a filter's."""


class Writer(NamedTuple):
    """Where in its program the worker is; callbacks are numbered from 1, which is their time as well."""

    callback: int = 0
    stage: int = 0
    at: str = "idle"


class Reader(NamedTuple):
    at: str = "idle"
    since: int = 0
    place: str = "own"
    tries: int = 0
    true: frozenset[tuple[int, str]] = frozenset()  # what was true while this reading went on


class State(NamedTuple):
    since: int = 0
    place: str = "own"
    writer: Writer = Writer()
    reader: Reader = Reader()
    truth: tuple[int, str] = (0, "own")
    before: tuple[int, str] = (0, "own")  # as long as the stores that tell of ``truth`` are under way
    readings: int = 0
    deaths: int = 0
    wiping: int = 0  # words still to wipe before the next worker starts


class BrokenMarkError(Exception):
    """A reading names a callback or a place the worker was not in."""


class Model:
    """All steps that are possible in a state."""

    def __init__(self, callbacks: int, readings: int, deaths: int, tries: int = 2, flaw: str = "") -> None:
        self.callbacks, self.readings, self.deaths, self.tries, self.flaw = callbacks, readings, deaths, tries, flaw

    def next_states(self, s: State) -> list[State]:
        found = self.wipe(s) if s.wiping else self.writer_steps(s)
        # The supervisor wipes a slot and reads it in one thread: it does not do both at once.
        if not s.wiping:
            found += self.reader_steps(s)
            if s.deaths < self.deaths and s.reader.at == "idle":
                dead = s._replace(writer=s.writer._replace(at="idle", stage=0), truth=(0, "own"), deaths=s.deaths + 1)
                found.append(dead._replace(wiping=0 if self.flaw == "slot is not wiped" else 2))
        return [self.noticed(one, s) for one in found]

    def noticed(self, one: State, s: State) -> State:
        """With what its reader has lived through."""
        one = one._replace(before=one.truth if at_rest(one) else s.truth if one.truth != s.truth else s.before)
        if one.reader.at == "idle":
            return one
        return one._replace(reader=one.reader._replace(true=one.reader.true | {one.truth, one.before}))

    def wipe(self, s: State) -> list[State]:
        return [s._replace(since=0, wiping=1) if s.wiping == 2 else s._replace(place="own", wiping=0)]

    # -- the worker --------------------------------------------------------------------------------------------------

    def writer_steps(self, s: State) -> list[State]:
        w = s.writer
        program = CALLBACKS[(w.callback - 1) % len(CALLBACKS)]
        if w.at == "idle":
            if w.callback == self.callbacks:
                return []
            # It is in the callback from here on, whatever the words say yet.
            first = "since" if self.flaw == "since before place" else "place"
            number = w.callback + 1
            return [s._replace(writer=Writer(number, 0, first), truth=(number, "own"))]
        if w.at == "place":
            s = s._replace(place="own")
            if self.flaw == "since before place":
                return [s._replace(writer=w._replace(at="in"))]
            return [s._replace(writer=w._replace(at="since"))]
        if w.at == "since":
            at = "place" if self.flaw == "since before place" else "in"
            return [s._replace(since=w.callback, writer=w._replace(at=at))]
        if w.at == "in":
            if w.stage + 1 < len(program):
                place = program[w.stage + 1]
                if place == "filter":
                    place = f"filter {w.callback}.{w.stage + 1}"
                return [s._replace(writer=w._replace(at="step", stage=w.stage + 1), truth=(w.callback, place))]
            return [s._replace(writer=w._replace(at="leave"))]
        if w.at == "step":
            kept = self.flaw == "place is left as it is" and s.truth[1] == "own"
            return [s._replace(place=s.place if kept else s.truth[1], writer=w._replace(at="in"))]
        # At its end a callback of the batch is followed by the next, or the loop waits.
        left = s._replace(since=0, writer=w._replace(at="idle"), truth=(0, "own"))
        if w.callback == self.callbacks:
            return [left]
        if self.flaw == "place is left as it is":
            after = s._replace(writer=Writer(w.callback + 1, 0, "since"), truth=(w.callback + 1, "own"))
        else:
            after = s._replace(writer=Writer(w.callback + 1, 0, "place"), truth=(w.callback + 1, "own"))
        return [left, after]

    # -- the supervisor ----------------------------------------------------------------------------------------------

    def reader_steps(self, s: State) -> list[State]:
        r = s.reader
        if r.at == "idle":
            if s.readings == self.readings:
                return []
            first = "place" if self.flaw == "reader looks at place first" else "since"
            begun = Reader(first, true=frozenset({s.truth, s.before}))
            return [s._replace(reader=begun, readings=s.readings + 1)]
        if r.at == "since":
            if s.since == 0:
                return [self.told(s, 0, "own")]
            if self.flaw == "reader looks at place first":
                return [self.told(s, s.since, r.place)]
            return [s._replace(reader=r._replace(at="place", since=s.since))]
        if r.at == "place":
            if self.flaw == "reader does not look again":
                return [self.told(s, r.since, s.place)]
            if self.flaw == "reader looks at place first":
                return [s._replace(reader=r._replace(at="since", place=s.place))]
            return [s._replace(reader=r._replace(at="again", place=s.place))]
        if s.since == r.since:
            return [self.told(s, r.since, r.place)]
        if s.since == 0:
            return [self.told(s, 0, "own")]
        if r.tries + 1 == self.tries:
            return [self.told(s, s.since, "own")]
        return [s._replace(reader=r._replace(at="place", since=s.since, tries=r.tries + 1))]

    def told(self, s: State, since: int, place: str) -> State:
        known = s.reader.true | {s.truth, s.before}
        if place == "own" and since:
            # Its own code is what a reader says as well that gave up looking: the callback has to be right.
            known = frozenset((one[0], "own") for one in known)
        if since and (since, place) not in known:
            raise BrokenMarkError(f"{place} in callback {since}? it was in {sorted(known)}")
        return s._replace(reader=Reader())


def at_rest(s: State) -> bool:
    """Whether the words are what the worker means: all that its next step would store is stored."""
    return s.writer.at in ("in", "idle", "leave") and not s.wiping


def check_rest(s: State) -> None:
    """A worker that stands still inside code is seen there, by its own time; one that waits is seen to wait."""
    if not at_rest(s):
        return
    if s.writer.at == "idle":
        if s.since != 0:
            raise BrokenMarkError(f"it waits, and its mark says callback {s.since}")
    elif (s.since, s.place) != s.truth:
        raise BrokenMarkError(f"it stands in {s.truth}, and its mark says {(s.since, s.place)}")


def search(model: Model) -> tuple[int, str]:
    """Number of states, and the first violation found ("" when there is none)."""
    start = State()
    seen = {start}
    todo = [start]
    try:
        while todo:
            state = todo.pop()
            check_rest(state)
            for one in model.next_states(state):
                if one not in seen:
                    seen.add(one)
                    todo.append(one)
    except BrokenMarkError as violation:
        return len(seen), str(violation)
    return len(seen), ""
