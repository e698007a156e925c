"""What is said about loops that were held: the stack of the culprit, whose code that is, and how often it is said.

Values in, values out: no clock, no process. ``process.stall_watch`` looks at the workers and does what follows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec

__all__ = ["Frame", "Line", "StallBook", "culprit", "parse_native_stack", "parse_stack", "render_stack"]

_FRAME = re.compile(rb'^  File "(.*)", line (\d+|\?\?\?) in (.*)$')
# What every worker has below the callback that runs.
_LOOP_FILES = (
    "/asyncio/base_events.py",
    "/asyncio/events.py",
    "/asyncio/runners.py",
    "/tidegate/process/spare.py",
    "/tidegate/process/worker.py",
    "<frozen runpy>",
    "/runpy.py",
)


class Frame(NamedTuple):
    """One call; ``line`` is 0 where the interpreter was between two."""

    file: str
    line: int
    function: str

    @property
    def place(self) -> str:
        """``FILE:LINE``."""
        return f"{self.file}:{self.line}"


def parse_stack(text: bytes) -> list[Frame]:
    """The calls that faulthandler wrote, innermost first, without those of the loop itself.

    A text that ends in the middle (its writer was killed) gives the whole lines there are. Empty: no Python code of
    somebody's was running.
    """
    frames = []
    for line in text.split(b"\n")[:-1]:
        found = _FRAME.match(line)
        if found is not None:
            number = int(found[2]) if found[2] != b"???" else 0
            frames.append(Frame(found[1].decode("utf-8", "replace"), number, found[3].decode("utf-8", "replace")))
    while frames and frames[-1].file.endswith(_LOOP_FILES):
        frames.pop()
    return frames


def culprit(frames: Iterable[Frame], modules: Mapping[str, str], marked: str = "") -> tuple[Frame | None, str]:
    """The line to look at, and the filter it belongs to.

    Args:
        frames: Innermost first.
        modules: Of every filter, by its name: ``acme.gateway``.
        marked: The filter that the worker's mark names; empty if it names none, as for a task that a filter started.

    Returns:
        The innermost call in a package that filters come from, or else the innermost of all; the filter's name, taken
        from the file where there is no mark, or "".
    """
    calls = list(frames)
    order = [marked, *(name for name in modules if name != marked)] if marked in modules else [*modules]
    for name in order:
        own = _package(modules[name])
        for frame in calls:
            if own in f"/{frame.file}":
                return frame, marked or _owner(calls, modules)
    return (calls[0] if calls else None), marked


def _package(module: str) -> str:
    top, dot, _ = module.partition(".")
    return f"/{top}/" if dot else f"/{top}.py"


def _owner(frames: list[Frame], modules: Mapping[str, str]) -> str:
    """The filter whose module is in the stack; where a module has several of them, nobody can tell which."""
    files = {name: "/" + module.replace(".", "/") for name, module in modules.items()}
    found = {
        name
        for name, file in files.items()
        for frame in frames
        if f"/{frame.file}".endswith((f"{file}.py", f"{file}/__init__.py"))
    }
    return " or ".join(sorted(found))


def render_stack(frames: Iterable[Frame], longest: int = 6) -> str:
    """The innermost calls in one line."""
    calls = list(frames)
    shown = [f"{_short(frame.file)}:{frame.line} {frame.function}" for frame in calls[:longest]]
    if len(calls) > longest:
        shown.append(f"{len(calls) - longest} more")
    return " < ".join(shown)


def _short(file: str) -> str:
    return "/".join(file.rsplit("/", 2)[-2:])


class _NativeFrame(msgspec.Struct, frozen=True):
    """``line`` is 0 in compiled code without line numbers; ``module`` is None for Python."""

    name: str
    filename: str
    line: int = 0
    module: str | None = None


class _NativeThread(msgspec.Struct, frozen=True):
    os_thread_id: int | None
    frames: list[_NativeFrame]


def parse_native_stack(text: bytes, thread: int) -> list[str]:
    """The calls of one thread in what ``py-spy dump --native --json`` wrote, innermost first; none if it is not there.

    Args:
        text: JSON, whole.
        thread: The kernel's number of the thread; that of the main thread is the process's.
    """
    try:
        threads = msgspec.json.decode(text, type=list[_NativeThread])
    except msgspec.MsgspecError:
        return []
    frames = next((one.frames for one in threads if one.os_thread_id == thread), [])
    return [
        f"{frame.name} ({frame.filename.rpartition('/')[2]})"
        if frame.module is not None
        else f"{_short(frame.filename)}:{frame.line} {frame.name}"
        for frame in frames
    ]


@dataclass
class Line:
    """One event about a place: what to say, and how often it happened since it was last said."""

    message: str
    fields: dict[str, Any]
    times: int = 0


@dataclass
class _Page:
    line: Line | None = None
    due_s: float = 0.0
    gap_s: float = 0.0
    last_s: float = field(default=0.0)


class StallBook:
    """Which stalls are said when: each new place at once, the same place again after 1 s, 2 s, 4 s … one minute.

    Never more than a line a second, new places before known ones; every stall is counted in some line.
    """

    def __init__(self, interval_s: float = 1.05, longest_gap_s: float = 60.0, places_max: int = 256) -> None:
        self._interval_s = interval_s
        self._longest_gap_s = longest_gap_s
        self._places_max = places_max
        self._pages: dict[str, _Page] = {}
        self._said_s = float("-inf")

    def __repr__(self) -> str:
        held = sum(page.line.times for page in self._pages.values() if page.line is not None)
        return f"<StallBook {len(self._pages)} places, {held} held back>"

    def offer(self, now_s: float, place: str, message: str, fields: dict[str, Any]) -> bool:
        """A loop was held at ``place``; ``due`` says when that is said. Returns whether it is as soon as may be."""
        page = self._pages.get(place)
        if page is None:
            if len(self._pages) >= self._places_max:
                # The one that has been quiet for longest, unless it has something to say yet.
                quiet = [name for name, one in self._pages.items() if one.line is None]
                del self._pages[min(quiet or self._pages, key=lambda name: self._pages[name].last_s)]
            page = self._pages[place] = _Page(due_s=now_s)
        elif page.line is None and now_s - page.last_s > 2 * self._longest_gap_s:
            page.due_s, page.gap_s = now_s, 0.0
        page.last_s = now_s
        times = 0 if page.line is None else page.line.times
        page.line = Line(message, fields, times + 1)
        return page.due_s <= now_s

    def due(self, now_s: float) -> Line | None:
        """What is to be said now."""
        if now_s - self._said_s < self._interval_s:
            return None
        waiting = [page for page in self._pages.values() if page.line is not None and page.due_s <= now_s]
        if not waiting:
            return None
        page = min(waiting, key=lambda one: (one.gap_s > 0, one.due_s))
        line = page.line
        page.line = None
        page.gap_s = min(max(1.0, 2 * page.gap_s), self._longest_gap_s)
        page.due_s = now_s + page.gap_s
        self._said_s = now_s
        return line
