"""The protocol of the health words as a model: controls that take over from each other, stopped or dead at any step.

Each control takes a term, stamps it on every word, and then publishes a few states. Any of them may stand still for as
long as it likes between two steps, and any may die. ``flaw`` breaks one rule of ``memory/health.pyx``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from tests.memory.interleavings import BrokenProtocolError, Found, search

WORDS = 2
FLAWS = (
    "a state is stored without a look",
    "the term is looked at, then the state is stored",
    "no stamps",
    "a stamp is stored without a compare",
)

Word = tuple[int, int]  # term, state


class Control(NamedTuple):
    """One control: where it is, its term, the word it works on, what it read there, how much is left to publish."""

    at: str = "begin"
    term: int = 0
    word: int = 0
    seen: Word = (0, 0)
    left: int = 0


class State(NamedTuple):
    """Shared memory, the controls, the states last published as the reader must see them, who has taken over."""

    controls: tuple[Control, ...]
    term: int = 0
    words: tuple[Word, ...] = ((0, 0),) * WORDS
    published: tuple[int, ...] = (0,) * WORDS
    writer: int = 0  # the latest term whose control has stamped every word
    deaths: int = 0
    said: int = 0


class Model:
    """All steps that are possible in a state."""

    def __init__(self, controls: int, publications: int, deaths: int = 0, flaw: str = "") -> None:
        self.controls, self.publications, self.deaths, self.flaw = controls, publications, deaths, flaw

    def search(self) -> Found:
        start = State(tuple(Control(left=self.publications) for _ in range(self.controls)))
        return search(start, self.next_states, self.check)

    def next_states(self, s: State) -> Iterator[State]:
        for i, control in enumerate(s.controls):
            if control.at in ("dead", "done"):
                continue
            yield from self.steps(s, i, control)
            if s.deaths < self.deaths and control.at != "begin":
                yield put(s, i, control._replace(at="dead"))._replace(deaths=s.deaths + 1)

    def steps(self, s: State, i: int, c: Control) -> Iterator[State]:
        if c.at == "begin":
            begun = c._replace(at="publish" if self.flaw == "no stamps" else "load to stamp", term=s.term + 1)
            s = s._replace(term=s.term + 1, writer=s.term + 1 if self.flaw == "no stamps" else s.writer)
            yield put(s, i, begun)
        elif c.at == "load to stamp":
            later = s.words[c.word][0] >= c.term
            yield put(s, i, c._replace(at="stamped" if later else "stamp", seen=s.words[c.word]))
        elif c.at == "stamp":
            if s.words[c.word] == c.seen or self.flaw == "a stamp is stored without a compare":
                s = store(s, c.word, (c.term, c.seen[1]))
                yield put(s, i, c._replace(at="stamped"))
            else:
                yield put(s, i, c._replace(at="load to stamp"))
        elif c.at == "stamped":
            if c.word + 1 < WORDS:
                yield put(s, i, c._replace(at="load to stamp", word=c.word + 1))
            else:
                yield put(s._replace(writer=max(s.writer, c.term)), i, c._replace(at="publish"))
        elif c.at == "publish":
            if not c.left:
                yield put(s, i, c._replace(at="done"))
                return
            for word in range(WORDS):
                yield put(s, i, c._replace(at="load", word=word, left=c.left - 1))
        elif c.at == "load":
            is_late = s.words[c.word][0] > c.term and self.flaw != "a state is stored without a look"
            yield put(s, i, c._replace(at="publish" if is_late else "store", seen=s.words[c.word]))
        else:
            yield from self.store_steps(s, i, c)

    def store_steps(self, s: State, i: int, c: Control) -> Iterator[State]:
        is_blind = self.flaw in ("a state is stored without a look", "the term is looked at, then the state is stored")
        if s.words[c.word] != c.seen and not is_blind:
            yield put(s, i, c._replace(at="load"))
            return
        if c.term < s.writer:
            raise BrokenProtocolError(f"control {c.term} published although {s.writer} had taken over: {s}")
        said = s.said + 1
        s = store(s._replace(said=said), c.word, (c.term, said))
        published = (*s.published[: c.word], said, *s.published[c.word + 1 :])
        yield put(s._replace(published=published), i, c._replace(at="publish"))

    def check(self, s: State, is_end: bool) -> None:
        if tuple(state for _, state in s.words) != s.published:
            raise BrokenProtocolError(f"what was published is not what is read: {s}")


def store(s: State, word: int, content: Word) -> State:
    return s._replace(words=(*s.words[:word], content, *s.words[word + 1 :]))


def put(s: State, i: int, control: Control) -> State:
    return s._replace(controls=(*s.controls[:i], control, *s.controls[i + 1 :]))
