"""What the gateway measures itself, asked over its socket: held loops, allocations, live objects."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tidegate.process.failure import StartError
from tidegate.profile.ctrl_c import CtrlC
from tidegate.profile.stacks import Stacks

__all__ = ["HeapRow", "allocated", "ask", "blocked", "heap_rows"]

_LOOK_S = 0.1

Post = Callable[[str, dict[str, Any]], Any]


@dataclass(frozen=True, slots=True)
class HeapRow:
    """Objects of one type: how many and how many bytes now, and by how much that is more than before."""

    kind: str
    count: int
    size: int
    more: int = 0
    more_size: int = 0


def ask(
    post: Post, kind: str, workers: Sequence[int], seconds: float, begun: Callable[[], None] = lambda: None
) -> tuple[list[dict[str, Any]], bool]:
    """The answers of the workers, and whether Ctrl-C ended it early; a second Ctrl-C is not waited for.

    Args:
        post: Sends a command to the gateway.
        kind: ``heap``, ``allocations`` or ``blocked``.
        workers: Their numbers; none: all.
        seconds: For how long.
        begun: Called when Ctrl-C ends it early from now on.

    Raises:
        StartError: nobody answers.
    """
    attempt = uuid.uuid4().hex
    order = {"kind": kind, "workers": list(workers), "seconds": seconds, "attempt": attempt}
    result: list[Any] = []

    def run() -> None:
        try:
            result.append(post("/profile", order)["workers"])
        except StartError as error:
            result.append(error)

    # Beside this thread, which is the one that Ctrl-C interrupts.
    asking = threading.Thread(target=run, name="ask the gateway", daemon=True)
    is_ended = False
    with CtrlC() as ctrl_c:
        asking.start()
        begun()
        while asking.is_alive():
            asking.join(_LOOK_S)
            if ctrl_c.is_pressed and not is_ended:
                # It may have been pressed before control knows of the attempt.
                is_ended = post("/profile/end", {"attempt": attempt})["ended"]
    (answer,) = result
    if isinstance(answer, StartError):
        raise answer
    answers: list[dict[str, Any]] = answer
    return answers, ctrl_c.is_pressed


def blocked(answers: Sequence[Mapping[str, Any]], workers: Sequence[int] = (), before: Stacks | None = None) -> Stacks:
    """How long loops were held, by worker and calls; less what had been by an earlier moment."""
    stacks = Stacks("seconds")
    for one in answers[0]["stacks"]:
        if not workers or one["worker"] in workers:
            stacks.add((f"worker {one['worker']}", *one["calls"]), one["held_ns"] / 1e9)
    if before is not None:
        stacks.add_all({stack: -weight for stack, weight in before.weights.items()})
        stacks.weights = {stack: weight for stack, weight in stacks.weights.items() if weight > 1e-9}
    return stacks


def allocated(answers: Sequence[Mapping[str, Any]]) -> tuple[Stacks, list[str]]:
    """What was allocated and is still there, and what is to be known about it."""
    stacks, notes = Stacks("bytes"), []
    for one in answers:
        name = f"worker {one['worker']} (pid {one['pid']})"
        if "error" in one:
            notes.append(f"{name}: {one['error']}")
            continue
        stacks.add_all({tuple(calls): size for calls, size, _ in one["stacks"]}, name)
        if one["left_out_bytes"]:
            stacks.add((name, "(other stacks)"), one["left_out_bytes"])
        notes.append(
            f"{name}: {one['live_bytes'] / 1024:,.1f} KiB of what was allocated are still there, at most "
            f"{one['peak_bytes'] / 1024:,.1f} KiB were"
        )
    return stacks, notes


def heap_rows(answer: Mapping[str, Any]) -> list[HeapRow]:
    """Live objects by type: those that grew most first, or, with one moment only, the largest."""
    after: Mapping[str, tuple[int, int]] = answer["after"]
    before: Mapping[str, tuple[int, int]] | None = answer["before"]
    if before is None:
        rows = [HeapRow(kind, *found) for kind, found in after.items()]
        return sorted(rows, key=lambda one: (-one.size, one.kind))
    rows = []
    for kind in {**after, **before}:
        count, size = after.get(kind, (0, 0))
        was, was_size = before.get(kind, (0, 0))
        rows.append(HeapRow(kind, count, size, count - was, size - was_size))
    return sorted(rows, key=lambda one: (-abs(one.more_size), -one.size, one.kind))
