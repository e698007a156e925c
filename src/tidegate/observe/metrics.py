"""Prometheus text from what the workers count in shared memory; rendered in control, in slices.

A gateway with a thousand routes has 25,000 samples. Rendered at once they would hold control, and with it the health
checks, for 20 ms; therefore ``slices`` is a generator and whoever serves it lets others run between two pieces.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from tidegate.config.snapshot import Snapshot
from tidegate.memory.histogram import bucket_of
from tidegate.memory.meters import FLEET_EVENTS, SHED_REASON_NAMES, VERDICTS, MeterReader, SeriesTotals
from tidegate.memory.region import Region
from tidegate.memory.slot import SlotState, SlotStatistics
from tidegate.memory.store_report import read_store
from tidegate.observe import metric_names as names
from tidegate.observe.cache_metrics import cache_families, tiers_in
from tidegate.observe.error_log import ErrorLog
from tidegate.observe.limit_rooms import LimitRooms
from tidegate.observe.log_writer import LogWriter
from tidegate.observe.metric_names import Families, Metric
from tidegate.observe.redis_metrics import redis_families
from tidegate.observe.store_metrics import store_families
from tidegate.observe.vital_metrics import vital_families
from tidegate.observe.vitals import Vitals

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_AT_A_TIME = 16  # series of one slice: half a millisecond
_CLASSES = ("none", "1xx", "2xx", "3xx", "4xx", "5xx")
_BOUNDS = tuple((f"{2**k / 1e6:.9g}", bucket_of(2**k)) for k in range(6, 27))  # 64 µs, doubling, to 67 s
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


class Metrics:
    """Everything that ``/metrics`` says.

    Args:
        region: The shared memory.
        log_writer: Whose figures belong to it, if there is an access log.
        error_log: Control's own.
        vitals: What control takes once a second, if it does.
        snapshot: Gives the active snapshot, for what its adaptive limits have learned.
        limit_rooms: Whether limits have room for their keys, if somebody looks.
        clock_ns: CLOCK_MONOTONIC, as workers stamp it.
    """

    def __init__(
        self,
        region: Region,
        *,
        log_writer: LogWriter | None = None,
        error_log: ErrorLog | None = None,
        vitals: Vitals | None = None,
        snapshot: Callable[[], Snapshot] | None = None,
        limit_rooms: LimitRooms | None = None,
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._region = region
        self._limit_rooms = limit_rooms
        self._reader = MeterReader(region.mapping)
        self._log_writer = log_writer
        self._error_log = error_log
        self._vitals = vitals
        self._snapshot = snapshot
        self._clock_ns = clock_ns

    async def render(self) -> bytes:
        """The whole exposition; other callbacks of the loop run between its slices."""
        pieces = []
        for piece in self.slices():
            pieces.append(piece)
            await asyncio.sleep(0)
        return "".join(pieces).encode()

    def slices(self) -> Iterator[str]:
        """The exposition piece by piece, some of them empty; none takes longer than about a millisecond."""
        counters = self._reader.counters()
        yield "".join(_summed(metric, counters) for metric in names.SUMMED)
        yield self._by_worker()
        yield self._workers()
        yield self._control()
        if self._vitals is not None:
            yield from _rendered(vital_families(self._vitals))
        by_kind: dict[str, dict[str, list[tuple[int, int]]]] = {kind: {} for kind in names.SERIES}
        for slot in range(self._region.slots):
            for (kind, name), places in self._reader.places(slot).items():
                by_kind.setdefault(kind, {}).setdefault(name, []).extend(places)
            yield ""
        yield self._counts(names.LIMIT_REQUESTS, "limit", VERDICTS, by_kind.get("limit", {}))
        yield self._counts(names.SHED_REQUESTS, "shed", SHED_REASON_NAMES, by_kind.get("shed", {}))
        yield self._fleets(by_kind.get("fleet", {}))
        yield from self._learned()
        yield from _rendered(redis_families(self._reader, by_kind))
        tiers = tiers_in(self._reader)
        yield from _rendered(cache_families(tiers) if tiers else ())
        store = read_store(self._region.mapping)
        yield from _rendered(() if store is None else store_families(store))
        yield self._rooms()
        for kind, metrics in names.SERIES.items():
            families = [[_head(metric)] for metric in metrics]
            for at, (name, places) in enumerate(by_kind[kind].items(), 1):
                self._series(kind, metrics, self._reader.read(kind, name, places), families)
                if at % _AT_A_TIME == 0:
                    yield ""
            for family in families:
                # A family's samples must stand together, so they were kept until all series were read.
                for at in range(0, len(family), 200):
                    yield "".join(family[at : at + 200])

    def _counts(
        self, metric: Metric, kind: str, whats: tuple[str, ...], places: dict[str, list[tuple[int, int]]]
    ) -> str:
        text = _head(metric)
        of, by = metric.labels
        for name, where in places.items():
            counts = self._reader.read(kind, name, where).classes
            if name == "other" and not any(counts):
                continue  # nothing is other yet
            for what, count in zip(whats, counts, strict=False):
                text += f'{metric.name}{{{of}="{name.translate(_ESCAPES)}",{by}="{what}"}} {count}\n'
        return text

    def _fleets(self, places: dict[str, list[tuple[int, int]]]) -> str:
        text = self._counts(names.FLEET_EVENTS, "fleet", FLEET_EVENTS, places) + _head(names.FLEET_NODES)
        for name, where in places.items():
            # Each worker says how many gateways it knows of.
            nodes, workers, _ = self._reader.gauges(where)
            if workers:
                text += _line(names.FLEET_NODES.name, {"limit": name}, round(nodes / workers))
        return text

    def _learned(self) -> Iterator[str]:
        snapshot = None if self._snapshot is None else self._snapshot()
        if snapshot is None or all(limit.adaptive is None for limit in snapshot.gateway.limits.values()):
            return
        from tidegate.observe.learned import learned_families, learned_in

        yield from _rendered(learned_families(learned_in(self._region, snapshot)))

    def _rooms(self) -> str:
        rooms = {} if self._limit_rooms is None else self._limit_rooms.rooms
        text = ""
        for at, metric in enumerate(names.LIMIT_ROOMS):
            text += _head(metric) + "".join(
                _line(metric.name, {"limit": name}, room[at]) for name, room in rooms.items()
            )
        return text

    def _series(
        self, kind: str, metrics: tuple[Metric, Metric, Metric], one: SeriesTotals, families: list[list[str]]
    ) -> None:
        if not any(one.buckets) and one.name == "other":
            return  # nothing is other yet
        count, size, duration = metrics
        label = f'{kind}="{one.name.translate(_ESCAPES)}"'
        families[0] += [
            f'{count.name}{{{label},class="{name}"}} {value}\n'
            for name, value in zip(_CLASSES, one.classes, strict=True)
            if value
        ]
        families[1] += [
            f'{size.name}{{{label},direction="in"}} {one.bytes_in}\n',
            f'{size.name}{{{label},direction="out"}} {one.bytes_out}\n',
        ]
        families[2].append(_histogram(duration, label, one))

    def _marks(self) -> list[SlotStatistics]:
        # The slots of the other generation only once somebody has been in them.
        marks = [self._region.slot(at).statistics() for at in range(self._region.slots)]
        return [mark for mark in marks if mark.slot < self._region.workers or mark.generation]

    def _by_worker(self) -> str:
        slots = {mark.slot: self._reader.counters(mark.slot) for mark in self._marks()}
        text = ""
        for metric in names.BY_WORKER:
            ((counter, _),) = metric.counters
            values = {at: counters[counter] for at, counters in slots.items()}
            text += _head(metric)
            for at, value in values.items():
                text += f'{metric.name}{{worker="{at}"}} {_number(value, metric.scale)}\n'
        return text

    def _workers(self) -> str:
        marks = self._marks()
        samples: dict[Metric, Callable[[SlotStatistics], float | None]] = {
            names.WORKER_HEARTBEAT: self._heartbeat_age_s,
            names.LOOP_STALLS: lambda mark: self._region.slot(mark.slot).stalls,
            names.LOOP_STALL: self._stalled_s,
            names.LOOP_STALL_MAX: lambda mark: self._region.slot(mark.slot).stall_max_ns / 1e9,
            names.WORKER_SNAPSHOT: lambda mark: mark.prepared,
            names.WORKER_MEMORY: lambda mark: _resident_bytes(mark.pid),
            names.WORKER_CPU: lambda mark: _cpu_seconds(mark.pid),
        }
        text = _head(names.WORKER_STATE)
        for mark in marks:
            for state in SlotState:
                if state is not SlotState.EMPTY:
                    labels = f'worker="{mark.slot}",state="{state.name.lower()}"'
                    text += f"{names.WORKER_STATE.name}{{{labels}}} {int(mark.state is state)}\n"
        for metric, sample in samples.items():
            text += _head(metric)
            for mark in marks:
                if mark.state in (SlotState.EMPTY, SlotState.DEAD):
                    continue
                value = sample(mark)
                if value is not None:
                    text += f'{metric.name}{{worker="{mark.slot}"}} {value}\n'
        return text

    def _heartbeat_age_s(self, mark: SlotStatistics) -> float:
        return max(0, self._clock_ns() - mark.heartbeat_ns) / 1e9

    def _stalled_s(self, mark: SlotStatistics) -> float:
        since_ns = self._region.slot(mark.slot).stalled_since_ns
        return max(0, self._clock_ns() - since_ns) / 1e9 if since_ns else 0

    def _control(self) -> str:
        samples: dict[Metric, int] = {
            names.SNAPSHOT: self._region.snapshot_number,
            names.SERIES_REFUSED: self._reader.series_refused,
        }
        if self._log_writer is not None:
            written = self._log_writer.statistics()
            samples |= {names.LOG_BYTES: written.bytes_written, names.LOG_FAILURES: written.failures}
        if self._error_log is not None:
            samples[names.ERROR_EVENTS] = self._error_log.statistics().happened
        return "".join(f"{_head(metric)}{metric.name} {value}\n" for metric, value in samples.items())


def _head(metric: Metric) -> str:
    meaning = metric.meaning.translate({ord("\\"): r"\\", ord("\n"): r"\n"})
    return f"# HELP {metric.name} {meaning}\n# TYPE {metric.name} {metric.type}\n"


def _rendered(families: Families) -> Iterator[str]:
    for metric, samples in families:
        yield _head(metric) + "".join(_sample(metric, labels, value) for labels, value in samples)


def _sample(metric: Metric, labels: dict[str, str], value: float | SeriesTotals) -> str:
    if isinstance(value, SeriesTotals):
        return _histogram(metric, _inside(labels), value)
    return _line(metric.name, labels, value)


def _inside(labels: dict[str, str]) -> str:
    return ",".join(f'{label}="{text.translate(_ESCAPES)}"' for label, text in labels.items())


def _summed(metric: Metric, counters: Mapping[str, int]) -> str:
    text = _head(metric)
    for counter, labels in metric.counters:
        inside = ",".join(f'{name}="{value}"' for name, value in labels.items())
        text += f"{metric.name}{'{' + inside + '}' if inside else ''} {counters[counter]}\n"
    return text


def _histogram(metric: Metric, label: str, one: SeriesTotals) -> str:
    below, last = 0, 0
    lines = []
    for bound, bucket in _BOUNDS:
        below += sum(one.buckets[last:bucket])
        last = bucket
        lines.append(f'{metric.name}_bucket{{{label},le="{bound}"}} {below}\n')
    total = below + sum(one.buckets[last:])
    lines.append(f'{metric.name}_bucket{{{label},le="+Inf"}} {total}\n')
    lines.append(f"{metric.name}_sum{{{label}}} {one.duration_ns / 1e9:.9f}\n")
    lines.append(f"{metric.name}_count{{{label}}} {total}\n")
    return "".join(lines)


def _line(name: str, labels: dict[str, str], value: float) -> str:
    inside = _inside(labels)
    return f"{name}{'{' + inside + '}' if inside else ''} {value}\n"


def _number(value: int, scale: float) -> str:
    return str(value) if scale == 1.0 else f"{value / scale:.9f}"


def _resident_bytes(pid: int) -> int | None:
    try:
        return int(Path(f"/proc/{pid}/statm").read_bytes().split()[1]) * _PAGE
    except (OSError, IndexError, ValueError):
        return None


def _cpu_seconds(pid: int) -> float | None:
    try:
        # The name in parentheses may hold anything, spaces and parentheses too.
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS
    except (OSError, IndexError, ValueError):
        return None
