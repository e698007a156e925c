"""Every interleaving of a protocol's steps: walks all states that can be reached and returns what went wrong first.

A model is a start state (hashable), a function to all states that one step of one process leads to, and a function that
raises ``BrokenProtocolError`` for a state that must not be. A step is one access to shared memory; a death is a step
like any other.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import NamedTuple, TypeVar

State = TypeVar("State", bound=Hashable)


class BrokenProtocolError(Exception):
    """A state that the protocol promises cannot be reached."""


class Found(NamedTuple):
    """How many states there were until the end or the first violation, and that violation ("": none)."""

    states: int
    violation: str


def search(
    start: State,
    next_states: Callable[[State], Iterable[State]],
    check: Callable[[State, bool], None] = lambda state, is_end: None,
) -> Found:
    """Walks everything; ``check(state, is_end)`` sees each state once, ``is_end`` when no step leads on from it.

    A step that is itself forbidden raises in ``next_states``.
    """
    seen = {start}
    todo = [start]
    try:
        while todo:
            state = todo.pop()
            following = list(next_states(state))
            check(state, not following)
            for one in following:
                if one not in seen:
                    seen.add(one)
                    todo.append(one)
    except BrokenProtocolError as violation:
        return Found(len(seen), str(violation))
    return Found(len(seen), "")
