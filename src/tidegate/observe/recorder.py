"""The flight recorder: the last ten minutes of the gateway, second by second, kept where no death loses them.

Seconds, events (lines of the error log, of every process) and stacks are journals in shared memory; nothing is kept in
control, and a restarted control goes on. ``take`` adds a second and decides; ``write`` is what may wait for a disk.

By itself a recording is written when

    saturation   the gateway's saturation was at its bound for three seconds
    stall        a worker's loop stood for a second, or was stopped or killed
    suspicion    peers failed in mass, so that the gateway suspects itself

It is written at once, in case everything ends with it, and again a minute later under the same name, with what came of
it. While trouble goes on, the next ones come after 5, 10, 20, 40 and then each 60 minutes: the beginning is what one
wants to see, and a bound on the files must not push it out. What comes after ten quiet minutes is new trouble.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import re
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgspec

from tidegate.memory.region import Region
from tidegate.observe.log_writer import Say
from tidegate.observe.recording import (
    Event,
    Header,
    KeySecond,
    Second,
    SeriesSecond,
    Stack,
    WorkerSecond,
    pack_second,
    unpack_second,
)
from tidegate.observe.recording_file import write_recording
from tidegate.observe.sample import KeySample, RouteSample, Sample, UpstreamSample
from tidegate.observe.saturation import Saturation

__all__ = ["KEPT_S", "Recorder", "Trigger", "Triggers", "second_of"]

KEPT_S = 600.0
TOP = 8
"""Series and keys kept of each ranking: by requests, refusals and failures, seconds, bytes."""
WORKERS_MAX = 128
BYTES_MAX = 64 << 20
"""What all files together may take."""

STALLED_S = 1.0
SATURATED_FOR = 3
AFTERMATH_S = 60.0
FIRST_GAP_S = 300.0
LONGEST_GAP_S = 3600.0
QUIET_S = 600.0
TROUBLE = {"worker_stopped": "stall", "stall_killed": "stall", "suspects_itself": "suspicion"}
"""Kinds of events that a recording is written for."""

_STEP_NS = 900_000_000
_NAME = re.compile(r"recording-\d{8}T\d{6}Z-[a-z]+(-\d+)?\.jsonl\.gz")


class Trigger(NamedTuple):
    """A recording to be written: why, and when it began."""

    reason: str
    detail: str
    began_s: float


class Triggers:
    """When a recording is written by itself; arithmetic on what each second says."""

    def __init__(self, saturation: float) -> None:
        self.saturation = saturation
        self._saturated = 0
        self._pending: Trigger | None = None
        self._again: Trigger | None = None
        self._again_at_s = 0.0
        self._next_at_s = float("-inf")
        self._gap_s = FIRST_GAP_S
        self._seen_at_s = float("-inf")

    def __repr__(self) -> str:
        return f"<Triggers pending={self._pending} again={self._again}>"

    def judge(self, now_s: float, second: Second, events: list[Event]) -> Trigger | None:
        """One second more: what is to be written now."""
        found = self._trouble(second, events)
        if found is not None:
            if now_s - self._seen_at_s > QUIET_S:
                self._gap_s, self._next_at_s = FIRST_GAP_S, now_s
            self._seen_at_s = now_s
            self._pending = Trigger(*found, second.unix_s)
        if self._pending is not None and now_s >= self._next_at_s and now_s - self._seen_at_s < KEPT_S:
            due, self._pending = self._pending, None
            self._again, self._again_at_s = due, now_s + AFTERMATH_S
            self._next_at_s = now_s + self._gap_s
            self._gap_s = min(2 * self._gap_s, LONGEST_GAP_S)
            return due
        if self._again is not None and now_s >= self._again_at_s:
            due, self._again = self._again, None
            self._pending = None  # what came within the minute is in it
            return due
        return None

    def _trouble(self, second: Second, events: list[Event]) -> tuple[str, str] | None:
        self._saturated = self._saturated + 1 if second.saturation >= self.saturation else 0
        for event in events:
            if event.kind in TROUBLE:
                return TROUBLE[event.kind], event.message
        held = [worker for worker in second.workers if worker.lag_s >= STALLED_S]
        if held:
            return "stall", ", ".join(f"worker {one.slot} stood for {one.lag_s:.1f} s" for one in held[:8])
        if self._saturated >= SATURATED_FOR:
            worst = max(second.signals, key=lambda name: second.signals[name], default="")
            return "saturation", f"saturation {second.saturation:.2f}, worst in {worst}"
        return None


class Recorder:
    """The recorder of one gateway, in control.

    Args:
        region: The shared memory, where the journals are.
        directory: Where files go, made when the first is written.
        header: What is true of the gateway now; reason, detail and time are filled in.
        say: The error log.
        saturation: From which on it is trouble.
        files: How many are kept; 0: none is written by itself.
        clock: Monotonic seconds.
        wall: Seconds since 1970.
    """

    def __init__(
        self,
        region: Region,
        directory: Path,
        *,
        header: Callable[[], Header],
        say: Say,
        saturation: float = 1.0,
        files: int = 20,
        bytes_max: int = BYTES_MAX,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.directory = directory
        self._seconds = region.journal("seconds")
        self._events = region.journal("events")
        self._stacks = region.journal("stacks")
        self._header = header
        self._say = say
        self._files = files
        self._bytes_max = bytes_max
        self._clock = clock
        self._wall = wall
        self._triggers = Triggers(saturation)
        self._seen = self._events.latest_ticket  # what a control before this one has judged is not judged again
        self._latest: Sample | None = None
        self._has_failed = False
        self._writing = threading.Lock()

    def __repr__(self) -> str:
        return f"<Recorder {self.directory} {self._seconds!r} {self._triggers!r}>"

    # -- each second -----------------------------------------------------------------------------------------------

    def take(self, sample: Sample, saturation: Saturation) -> Trigger | None:
        """Keeps one second; returns what is to be written now, if anything."""
        if self._latest is not None and sample.at_ns - self._latest.at_ns < _STEP_NS:
            return None  # somebody asked how things are between two steps
        second = second_of(sample, self._latest, saturation)
        self._latest = sample
        self._seconds.append(pack_second(second, self._seconds.room))
        new = self._events.read(self._seen)
        self._seen = new[-1][0] if new else self._seen
        due = self._triggers.judge(self._clock(), second, _decoded(new, Event))
        return due if self._files else None

    # -- files -----------------------------------------------------------------------------------------------------

    def write(self, trigger: Trigger) -> Path | None:
        """Writes what is kept; None when the disk does not take it, which is said once. For a thread: it waits."""
        try:
            path = self._write(trigger)
        except OSError as error:
            if not self._has_failed:
                self._say("recording_failed", f"{self.directory}: {error.strerror or error}", "error")
            self._has_failed = True
            return None
        self._has_failed = False
        self._say("recorded", f"{path}: {trigger.detail or trigger.reason}", "info", reason=trigger.reason)
        return path

    def write_on_demand(self) -> Path:
        """The same for somebody who asked and hears of the ``OSError``."""
        return self._write(Trigger("demand", "", self._wall()))

    def _write(self, trigger: Trigger) -> Path:
        since = self._wall() - KEPT_S
        lines: list[Second | Event | Stack] = [one for one in self._kept_seconds() if one.unix_s >= since]
        lines += [one for one in _decoded(self._events.read(), Event) if one.unix_s >= since]
        lines += [one for one in _decoded(self._stacks.read(), Stack) if one.unix_s >= since]
        header = msgspec.structs.replace(
            self._header(), unix_s=self._wall(), reason=trigger.reason, detail=trigger.detail
        )
        with self._writing:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._sweep()
            path = self._path_of(trigger)
            write_recording(path, header, sorted(lines, key=lambda line: line.unix_s))
            self._bound(path)
        return path

    def _kept_seconds(self) -> list[Second]:
        found = []
        for _, packed in self._seconds.read():
            with contextlib.suppress(ValueError):  # of another version of the program
                found.append(unpack_second(packed))
        return found

    def _path_of(self, trigger: Trigger) -> Path:
        """The same for the same trigger, so that what came of it takes the place of its beginning."""
        when = dt.datetime.fromtimestamp(trigger.began_s, dt.UTC).strftime("%Y%m%dT%H%M%SZ")
        path = self.directory / f"recording-{when}-{trigger.reason}.jsonl.gz"
        number = 1
        while trigger.reason == "demand" and path.exists():
            number += 1
            path = path.with_name(f"recording-{when}-{trigger.reason}-{number}.jsonl.gz")
        return path

    def _sweep(self) -> None:
        """Removes half files of a control that died while it wrote."""
        for part in self.directory.glob(".recording-*.part"):
            with contextlib.suppress(OSError):
                if part.stat().st_mtime < self._wall() - KEPT_S:
                    part.unlink()

    def _bound(self, newest: Path) -> None:
        """Removes the oldest until both bounds hold; what it has just written stays."""
        found = [(path, path.stat()) for path in self.directory.iterdir() if _NAME.fullmatch(path.name)]
        found.sort(key=lambda one: one[1].st_mtime_ns)
        sizes = [(path, one.st_size) for path, one in found]
        total = sum(size for _, size in sizes)
        count = len(sizes)
        for path, size in sizes:
            if count <= max(self._files, 1) and total <= self._bytes_max:
                break
            if path != newest:
                path.unlink(missing_ok=True)
                total -= size
                count -= 1


def second_of(sample: Sample, previous: Sample | None, saturation: Saturation) -> Second:
    """What is kept of a sample: all workers, of routes and upstreams those that lead in something."""
    step_s = 0.0 if previous is None else (sample.at_ns - previous.at_ns) / 1e9
    received, sent = _link_rates(sample, previous, step_s)
    return Second(
        unix_s=round(sample.unix_s, 3),
        step_s=round(step_s, 3),
        saturation=saturation.value,
        signals={name: value for name, value in saturation.signals.items() if value},
        workers=tuple(
            WorkerSecond(
                slot=one.slot,
                pid=one.pid,
                state=one.state,
                lag_s=round(one.loop_lag_s, 4),
                connections=one.connections,
                in_flight=one.exchanges,
                queued=one.queued,
                exchanges_per_s=round(one.exchanges_per_s, 1),
                pool_share=round(one.pool_share, 3),
                shed_level=round(one.shed_level, 3),
            )
            for one in sample.workers[:WORKERS_MAX]
        ),
        routes=_leading(
            [_route(one) for one in sample.routes if one.exchanges_per_s or one.seconds_per_s],
            _SERIES_RANKINGS,
            lambda one: one.name,
        ),
        upstreams=_leading(
            [_upstream(one) for one in sample.upstreams if one.exchanges_per_s or one.open],
            _SERIES_RANKINGS,
            lambda one: one.name,
        ),
        keys=_leading([_key(one) for one in sample.keys], _KEY_RANKINGS, lambda one: (one.kind, one.name, one.key)),
        link_in_per_s=round(received),
        link_out_per_s=round(sent),
        link_share=None if sample.link_share is None else round(sample.link_share, 4),
        time_wait=sample.kernel.time_wait,
        ports_share=None if sample.ports_share is None else round(sample.ports_share, 4),
        descriptors_share=None if sample.descriptors_share is None else round(sample.descriptors_share, 4),
        retransmits_per_s=round(sample.retransmits_per_s, 1),
        listen_overflows_per_s=round(sample.listen_overflows_per_s, 1),
        shed_per_s=_shed_rates(sample, previous, step_s),
    )


def _route(one: RouteSample) -> SeriesSecond:
    return SeriesSecond(
        name=one.name,
        exchanges_per_s=round(one.exchanges_per_s, 1),
        seconds_per_s=round(one.seconds_per_s, 3),
        bytes_per_s=round(one.bytes_per_s),
        refused_per_s=round(one.refusals_per_s, 1),
        upstream_seconds_per_s=round(one.upstream_seconds_per_s, 3),
    )


def _key(one: KeySample) -> KeySecond:
    return KeySecond(
        kind=one.kind,
        name=one.name,
        key=one.key,
        requests_per_s=round(one.requests_per_s, 1),
        refused_per_s=round(one.refusals_per_s, 1),
        upstream_seconds_per_s=round(one.upstream_seconds_per_s, 3),
        bytes_per_s=round(one.bytes_per_s),
    )


def _upstream(one: UpstreamSample) -> SeriesSecond:
    return SeriesSecond(
        name=one.name,
        exchanges_per_s=round(one.exchanges_per_s, 1),
        seconds_per_s=round(one.seconds_per_s, 3),
        bytes_per_s=round(one.bytes_per_s),
        failed_per_s=round(one.failures_per_s, 1),
        open=one.open,
        waiting=one.waiting,
        rtt_s=one.rtt_s,
    )


_SERIES_RANKINGS: tuple[Callable[[SeriesSecond], float], ...] = (
    lambda one: one.exchanges_per_s,
    lambda one: one.seconds_per_s,
    lambda one: one.bytes_per_s,
    lambda one: one.failed_per_s,
    lambda one: one.refused_per_s,
    lambda one: one.upstream_seconds_per_s,
)
_KEY_RANKINGS: tuple[Callable[[KeySecond], float], ...] = (
    lambda one: one.requests_per_s,
    lambda one: one.upstream_seconds_per_s,
    lambda one: one.bytes_per_s,
    lambda one: one.refused_per_s,
)

One = TypeVar("One")


def _leading(
    ones: list[One], rankings: Iterable[Callable[[One], float]], name_of: Callable[[One], Any]
) -> tuple[One, ...]:
    """Those that are among the first in something."""
    leading: dict[Any, One] = {}
    for ranking in rankings:
        for one in sorted(ones, key=ranking, reverse=True)[:TOP]:
            leading.setdefault(name_of(one), one)
    return tuple(leading.values())


def _link_rates(sample: Sample, previous: Sample | None, step_s: float) -> tuple[float, float]:
    if previous is None or step_s <= 0:
        return 0.0, 0.0
    before = {link.name: link for link in previous.kernel.links}
    received = sent = 0
    for link in sample.kernel.links:
        if link.name in before:
            received += max(0, link.received_bytes - before[link.name].received_bytes)
            sent += max(0, link.sent_bytes - before[link.name].sent_bytes)
    return received / step_s, sent / step_s


def _shed_rates(sample: Sample, previous: Sample | None, step_s: float) -> dict[str, float]:
    if previous is None or step_s <= 0:
        return {}
    grown = {name: total - previous.shed_total.get(name, 0) for name, total in sample.shed_total.items()}
    return {name: round(count / step_s, 1) for name, count in grown.items() if count > 0}


_events = msgspec.msgpack.Decoder(Event)
_stacks = msgspec.msgpack.Decoder(Stack)


def _decoded(records: list[tuple[int, bytes]], kind: type) -> list:  # type: ignore[type-arg]
    decoder = _events if kind is Event else _stacks
    found = []
    for _, content in records:
        with contextlib.suppress(msgspec.MsgspecError):  # of another version of the program
            found.append(decoder.decode(content))
    return found
