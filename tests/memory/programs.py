"""Processes of a model written as programs: what ``interleavings`` needs of them, so that a protocol reads as its code.

A program is a generator: it yields accesses to shared memory, one at a time, is sent what each gave, and returns the
name and the arguments of the program that follows. Memory is a tuple of values. Where a process is in its program is
known by what its accesses gave so far, which is what makes a state that can be compared.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import Any, NamedTuple

Access = tuple[Any, ...]  # ("load", at), ("store", at, value), ("add", at, amount), ("swap", at, expected, wanted)
Memory = tuple[Any, ...]
Next = tuple[Any, ...]  # name of the next program and its arguments
Program = Callable[..., Generator[Access, Any, Next]]


class Process(NamedTuple):
    """Which program it runs, with which arguments, and what its accesses gave so far."""

    at: str
    arguments: tuple[Any, ...] = ()
    seen: tuple[Any, ...] = ()


def access(memory: Memory, what: Access) -> tuple[Memory, Any]:
    """Memory after an access, and what it gave."""
    kind, at, *values = what
    was = memory[at]
    if kind == "load":
        return memory, was
    if kind == "swap":
        expected, wanted = values
        return (changed(memory, at, wanted), True) if was == expected else (memory, False)
    return changed(memory, at, was + values[0] if kind == "add" else values[0]), was


def changed(memory: Memory, at: int, value: Any) -> Memory:
    return (*memory[:at], value, *memory[at + 1 :])


def step(programs: Mapping[str, Program], memory: Memory, process: Process) -> tuple[Memory, Process]:
    """One access of a process, and what it does by itself after it, up to where the next access is due."""
    running = programs[process.at](*process.arguments)
    wanted = next(running)
    for given in process.seen:
        wanted = running.send(given)
    memory, given = access(memory, wanted)
    try:
        running.send(given)
    except StopIteration as end:
        at, *arguments = end.value
        return memory, Process(at, tuple(arguments))
    return memory, process._replace(seen=(*process.seen, given))
