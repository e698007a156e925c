"""The protocol of generations as steps of one invalidator and one reader, every interleaving of them searched.

What has to hold: a reader who asks after an invalidation has returned is not given what was fetched before it began.
"""

from __future__ import annotations

from typing import NamedTuple

FLAWS = ("epoch first", "slots after the epoch is noted late", "marks after the fetch", "epoch not compared")


class State(NamedTuple):
    """slot, epoch: shared. value: the origin's. step: of either. seen: what the reader has noted."""

    slot: int = 0
    epoch: int = 0
    value: int = 0
    writer: int = 0
    reader: int = 0
    mark: int = -1
    loaded: int = -1
    noted: int = -1
    checked: int = -1
    expected: int = 0  # the least value that the look under way may return
    looks: int = 0


def writer_steps(state: State, flaw: str) -> list[State]:
    """The origin changes; then slot and epoch; then it has returned. It may also die, and never returns."""
    stamped, counted = state._replace(slot=state.value), state._replace(epoch=state.epoch + 1)
    order = (counted, stamped) if flaw == "epoch first" else (stamped, counted)
    match state.writer:
        case 0:
            return [state._replace(value=1, writer=1)]
        case 1 | 2:
            return [order[state.writer - 1]._replace(writer=state.writer + 1)]
    return []


def has_returned(state: State) -> bool:
    return state.writer == 3


def reader_steps(state: State, flaw: str) -> list[State]:
    """Fetches (mark, load), keeps, then looks twice: epoch, slots, note."""
    match state.reader:
        case 0 | 1 as step:
            is_mark = (step == 1) == (flaw == "marks after the fetch")
            done = state._replace(mark=state.slot) if is_mark else state._replace(loaded=state.value)
            return [done._replace(reader=step + 1)]
        case 2:  # a look begins: from here on what has returned counts
            return [state._replace(expected=1 if has_returned(state) else 0, reader=3)]
        case 3:
            if state.checked == state.epoch or (flaw == "epoch not compared" and state.checked >= 0):
                return [state._replace(reader=6)]
            return [state._replace(noted=state.epoch, reader=4)]
        case 4:
            if state.slot != state.mark:
                return [state._replace(reader=9)]  # a miss: fetched anew, and so no older than now
            return [state._replace(reader=5)]
        case 5:
            late = flaw == "slots after the epoch is noted late"
            return [state._replace(checked=state.epoch if late else state.noted, reader=6)]
        case 6:  # it is given out
            return [state._replace(reader=2 if state.looks < 2 else 9, looks=state.looks + 1)]
    return []


def search(flaw: str = "") -> tuple[int, str]:
    """How many states there are, and the first that must not be."""
    seen = {State()}
    todo = [State()]
    while todo:
        state = todo.pop()
        if state.reader == 6 and state.loaded < state.expected:
            return len(seen), f"an older value was given out: {state}"
        for step in writer_steps(state, flaw) + reader_steps(state, flaw):
            if step not in seen:
                seen.add(step)
                todo.append(step)
    return len(seen), ""
