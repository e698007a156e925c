"""The error log of a process: what went wrong, by kind, bounded, and never in anybody's way.

    2026-11-21T22:00:00.123Z warning worker=1 kind=connection_refused upstream=orders count=812 message="connect: …"

A kind is a constant of the program (``connection_refused``, ``log_lines_lost``); what varies goes into fields. How
often a kind is written is ``bounded_log``'s business, where to is ``line_sink``'s. All processes of a gateway use
this, each with its own name and, given the shared ``Turns``, together one line a second and kind.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import math
import re
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

from tidegate.memory.journal import Journal
from tidegate.observe.bounded_log import BoundedLog, Entry
from tidegate.observe.line_sink import LINE_MAX, LineSink
from tidegate.observe.recording import Event, pack_record

LEVELS = ("debug", "info", "warning", "error")

_MESSAGE_MAX = 2000
_VALUE_MAX = 256
_BARE = re.compile(r"[A-Za-z0-9_.:/@%+,*\[\]-]+")


class ErrorLogStatistics(NamedTuple):
    """How much was said."""

    happened: int
    lines: int
    dropped: int


class ErrorLog:
    """Says what went wrong.

    Args:
        sink: Where lines go.
        who: The process as fields, such as ``{"worker": 1}``.
        level: Least level that is written.
        is_json: JSON lines instead of ``name=value`` text.
        bounded: Decides which lines are written; give all processes one with ``Turns.take``.
        journal: Keeps what is written for the flight recorder.
        clock: Monotonic seconds.
        wall: Seconds since 1970.
    """

    def __init__(
        self,
        sink: LineSink,
        *,
        who: dict[str, Any] | None = None,
        level: str = "info",
        is_json: bool = False,
        bounded: BoundedLog | None = None,
        journal: Journal | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.sink = sink
        self.who = who or {}
        self.is_json = is_json
        self.bounded = bounded or BoundedLog()
        self._least = LEVELS.index(level)
        self._journal = journal
        self._clock = clock
        self._wall = wall
        self._lock = threading.Lock()  # control writes its access log in a thread, which has things to say too
        self._happened = 0
        self._lines = 0

    def say(self, kind: str, message: str, level: str = "warning", **fields: Any) -> None:
        """Something happened. Returns at once whatever the disk, the pipe or the terminal does."""
        if LEVELS.index(level) < self._least:
            return
        error = fields.get("error")
        if isinstance(error, BaseException):  # the message says which; what the log adds is where
            del fields["error"]
            fields["at"] = _place(error)
        with self._lock:
            self._happened += 1
            entry = self.bounded.offer(self._clock(), kind, level, message, fields)
            if entry is not None:
                self._write(entry)

    def note(self, kind: str, message: str, level: str = "info", **fields: Any) -> None:
        """Something happened that is rare by its nature, as the start of a process: each time is a line of its own."""
        if LEVELS.index(level) < self._least:
            return
        with self._lock:
            self._happened += 1
            self._write(Entry(kind, level, message, fields, 1))

    def tick(self) -> None:
        """Writes what was held back and is due; to be called about once a second, and cheap when nothing is."""
        with self._lock:
            for entry in self.bounded.due(self._clock()):
                self._write(entry)

    def close(self) -> None:
        """Writes everything that is held back and lets go of the sink."""
        with self._lock:
            for entry in self.bounded.all_held():
                self._write(entry)
            self.sink.close()

    def reopen(self) -> None:
        """Opens the file again, after it was renamed (SIGUSR1)."""
        try:
            with self._lock:
                self.sink.reopen()
        except OSError as error:
            self.say("log_reopen_failed", f"the error log stays in the old file: {error}", level="error")

    def statistics(self) -> ErrorLogStatistics:
        """Times something happened, lines written, lines dropped because the sink did not take them."""
        return ErrorLogStatistics(self._happened, self._lines, self.sink.dropped)

    def _write(self, entry: Entry) -> None:
        render = render_json if self.is_json else render_text
        now = self._wall()
        self._lines += self.sink.write(render(entry, self.who, now))
        if self._journal is not None:
            self._journal.append(pack_record(_event(entry, self.who, now), self._journal.room))

    def __repr__(self) -> str:
        return f"<ErrorLog {self.sink.path} {self._happened} happened, {self._lines} lines>"


class ErrorLogHandler(logging.Handler):
    """Lets what our own and other people's code says through ``logging`` come out here.

    Its kind is the logger, unless the call names one: ``logger.warning(…, extra={"kind": "dns_error"})``.
    """

    def __init__(self, log: ErrorLog) -> None:
        super().__init__()
        self.log = log

    def emit(self, record: logging.LogRecord) -> None:
        fields: dict[str, Any] = {}
        if record.exc_info is not None and record.exc_info[1] is not None:
            error = record.exc_info[1]
            fields["error"] = f"{type(error).__name__}: {error}"
            fields["at"] = _place(error)
        level = LEVELS[min(max(record.levelno // 10 - 1, 0), len(LEVELS) - 1)]
        try:
            message = record.getMessage()
        except Exception:  # noqa: BLE001 arguments that do not fit their message are the caller's slip, not a new failure
            message = str(record.msg)
        self.log.say(getattr(record, "kind", record.name), message, level, **fields)


def _place(error: BaseException) -> str:
    """Where it was raised and by whom that was called. No source is read: this runs for every failure."""
    innermost: deque[str] = deque(maxlen=4)
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        innermost.appendleft(f"{code.co_filename}:{trace.tb_lineno} {code.co_name}")
        trace = trace.tb_next
    return " < ".join(innermost)


def render_text(entry: Entry, who: dict[str, Any], wall: float) -> bytes:
    """The line as ``name=value`` text; values with anything but plain characters are quoted as JSON strings."""
    names = {**who, "kind": entry.kind, **_own_fields(entry, who), "count": entry.count}
    parts = [f"{name}={_text(value)}" for name, value in names.items()]
    message = _text(_clip(entry.message, _MESSAGE_MAX), quoted=True)
    line = f"{_stamp(wall)} {entry.level} {' '.join(parts)} message={message}\n".encode()
    if len(line) > LINE_MAX and entry.fields:
        return render_text(replace(entry, fields={}, message=_clip(entry.message, 500)), who, wall)
    return line


def render_json(entry: Entry, who: dict[str, Any], wall: float) -> bytes:
    """The line as one JSON object."""
    value = {"ts": _stamp(wall), "level": entry.level, **who, "kind": entry.kind}
    value |= _own_fields(entry, who)
    value |= {"count": entry.count, "message": _clip(entry.message, _MESSAGE_MAX)}
    line = json.dumps(value, default=str).encode() + b"\n"
    if len(line) > LINE_MAX and (entry.fields or len(entry.message) > 500):
        return render_json(replace(entry, fields={}, message=_clip(entry.message, 500)), who, wall)
    return line


def _event(entry: Entry, who: dict[str, Any], wall: float) -> Event:
    named = " ".join(str(value) if name == "process" else f"{name} {value}" for name, value in who.items())
    message = str(_clip(entry.message, _MESSAGE_MAX)).encode(errors="replace").decode()
    return Event(wall, named, entry.level, str(_clip(entry.kind, _VALUE_MAX)), message, entry.count)


def _own_fields(entry: Entry, who: dict[str, Any]) -> dict[str, Any]:
    # A field named like one of the log's own must not stand in its place.
    taken = {"ts", "level", "kind", "count", "message", *who}
    return {name + "_" * (name in taken): _clip(value, _VALUE_MAX) for name, value in entry.fields.items()}


def _stamp(wall: float) -> str:
    when = dt.datetime.fromtimestamp(int(wall * 1000) / 1000, dt.UTC)
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _clip(value: Any, longest: int) -> Any:
    if isinstance(value, (int, bool)) or value is None or (isinstance(value, float) and math.isfinite(value)):
        return value
    text = value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _text(value: Any, *, quoted: bool = False) -> str:
    text = str(value)
    return text if not quoted and _BARE.fullmatch(text) else json.dumps(text)
