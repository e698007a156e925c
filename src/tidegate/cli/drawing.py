"""A recording drawn in the terminal: when it was bad, what was bad, who did it.

From top to bottom: why it was written; one line a quantity over the same axis of time, with marks where something was
said; those lines of the error log; the routes, upstreams and keys that had the most; where the workers were.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tidegate.observe.recording import Event, KeySecond, Recording, Second, SeriesSecond, Stack

__all__ = ["draw", "spark"]

_BARS = "▁▂▃▄▅▆▇█"
_COLUMNS = 60
_EVENTS_MAX = 40
_SERIES_MAX = 10
_KEYS_MAX = 20
_STACKS_MAX = 4
_CALLS_MAX = 4
_MARKS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


class Quantity(NamedTuple):
    """A line of the drawing: ``of`` a second, None where it is not known; ``shown`` makes a number readable."""

    name: str
    of: Callable[[Second], float | None]
    shown: Callable[[float], str]


def _plain(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.2f}"


def _seconds(value: float) -> str:
    return f"{value * 1e3:.0f} ms" if value < 10 else f"{value:.0f} s"


def _bytes(value: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000 or unit == "GB":
            return f"{value:.0f} {unit}" if unit == "B" or value >= 100 else f"{value:.1f} {unit}"
        value /= 1000
    raise AssertionError


def _share(value: float) -> str:
    return f"{value:.0%}"


QUANTITIES = (
    Quantity("saturation", lambda s: s.saturation, _plain),
    Quantity("loop lag, worst", lambda s: max((one.lag_s for one in s.workers), default=None), _seconds),
    Quantity("exchanges/s", lambda s: sum(one.exchanges_per_s for one in s.workers), _plain),
    Quantity("in flight", lambda s: sum(one.in_flight for one in s.workers), _plain),
    Quantity("connections", lambda s: sum(one.connections for one in s.workers), _plain),
    Quantity("accept queue", lambda s: sum(one.queued for one in s.workers), _plain),
    Quantity("fullest pool", lambda s: max((one.pool_share for one in s.workers), default=None), _share),
    Quantity("waiting for a pool", lambda s: sum(one.waiting for one in s.upstreams), _plain),
    Quantity("upstream failures/s", lambda s: sum(one.failed_per_s for one in s.upstreams), _plain),
    Quantity("shed/s", lambda s: sum(s.shed_per_s.values()), _plain),
    Quantity("link in/s", lambda s: s.link_in_per_s, _bytes),
    Quantity("link out/s", lambda s: s.link_out_per_s, _bytes),
    Quantity("link share", lambda s: s.link_share, _share),
    Quantity("TIME_WAIT", lambda s: s.time_wait, _plain),
    Quantity("ports in use", lambda s: s.ports_share, _share),
    Quantity("descriptors in use", lambda s: s.descriptors_share, _share),
    Quantity("retransmits/s", lambda s: s.retransmits_per_s, _plain),
    Quantity("accept overflows/s", lambda s: s.listen_overflows_per_s, _plain),
)


def draw(recording: Recording, console: Console | None = None) -> None:
    """Prints it to the terminal, as wide as it has to be."""
    # A table cut to fit hides figures; a terminal folds.
    console = console or Console(highlight=False, width=1000)
    header = recording.header
    console.print(
        Text(f"{_when(header.unix_s)}  {_clean(header.reason)}  {_clean(header.detail)}", style="bold"), soft_wrap=True
    )
    console.print(
        f"pid {header.pid}, generation {header.generation}, configuration {header.snapshot}, "
        f"tidegate {_clean(header.version)}, {header.workers} workers; "
        f"{header.seconds} seconds, {header.events} events, {header.stacks} stacks",
        markup=False,
    )
    if recording.seconds:
        console.print()
        _draw_quantities(console, recording)
    _draw_events(console, recording)
    series = (("route", lambda s: s.routes), ("upstream", lambda s: s.upstreams))
    for kind, of in series:
        _draw_series(console, kind, recording.seconds, of)
    _draw_keys(console, recording.seconds)
    _draw_stacks(console, recording.stacks)


# -- over time ---------------------------------------------------------------------------------------------------------


class _Axis(NamedTuple):
    """Seconds since 1970 to columns."""

    begin_s: float
    end_s: float

    def column(self, at_s: float) -> int:
        span_s = max(self.end_s - self.begin_s, 1e-9)
        return min(_COLUMNS - 1, max(0, int((at_s - self.begin_s) / span_s * _COLUMNS)))


def spark(values: Sequence[float | None], most: float) -> str:
    """One character a value: a bar up to ``most``, a space where nothing is known, a dot for nothing."""
    bars = ""
    for value in values:
        if value is None:
            bars += " "
        elif value <= 0 or most <= 0:
            bars += "·"
        else:
            bars += _BARS[min(len(_BARS) - 1, int(value / most * len(_BARS)))]
    return bars


def _axis(recording: Recording) -> _Axis:
    return _Axis(recording.seconds[0].unix_s, max(recording.seconds[-1].unix_s, recording.seconds[0].unix_s + 1))


def _columns(seconds: Sequence[Second], axis: _Axis, of: Callable[[Second], float | None]) -> list[float | None]:
    """The greatest of each column: a peak of one second has to be seen."""
    found: list[float | None] = [None] * _COLUMNS
    for second in seconds:
        value = of(second)
        if value is not None:
            at = axis.column(second.unix_s)
            found[at] = max(value, found[at] or 0.0)
    return found


def _draw_quantities(console: Console, recording: Recording) -> None:
    seconds = recording.seconds
    axis = _axis(recording)
    table = Table("", _ruler(axis), "median", "most", "at", box=None)
    quantities = [*QUANTITIES]
    slots = sorted({worker.slot for second in seconds for worker in second.workers})
    quantities[2:2] = [
        Quantity(f"loop lag of {slot}", _lag_of(slot), _seconds) for slot in slots[:16] if len(slots) > 1
    ]
    for name, of, shown in quantities:
        known = [(value, second.unix_s) for second in seconds if (value := of(second)) is not None]
        if not known:
            continue
        most, at_s = max(known, key=lambda one: one[0])
        if most <= 0 and name not in ("saturation", "exchanges/s", "in flight"):
            continue
        median = sorted(value for value, _ in known)[len(known) // 2]
        table.add_row(name, spark(_columns(seconds, axis, of), most), shown(median), shown(most), _clock(at_s))
    table.add_row("said (below)", _marks(recording.events, axis), "", "", "")
    console.print(table)


def _lag_of(slot: int) -> Callable[[Second], float | None]:
    return lambda second: next((one.lag_s for one in second.workers if one.slot == slot), None)


def _ruler(axis: _Axis) -> str:
    begin, end = _clock(axis.begin_s), _clock(axis.end_s)
    return begin + " " * (_COLUMNS - len(begin) - len(end)) + end


def _told(events: Sequence[Event], axis: _Axis | None) -> list[Event]:
    """Those that are shown: all in the time of the drawing, of too many the gravest."""
    within = [one for one in events if axis is None or one.unix_s >= axis.begin_s - 1]
    if len(within) <= _EVENTS_MAX:
        return within
    gravity = {"error": 0, "warning": 1}
    gravest = sorted(within, key=lambda one: gravity.get(one.level, 2))[:_EVENTS_MAX]
    return sorted(gravest, key=lambda one: one.unix_s)


def _marks(events: Sequence[Event], axis: _Axis) -> str:
    line = [" "] * _COLUMNS
    for mark, event in zip(_MARKS, _told(events, axis), strict=False):
        at = axis.column(event.unix_s)
        line[at] = mark if line[at] == " " else "+"
    return "".join(line)


def _draw_events(console: Console, recording: Recording) -> None:
    if not recording.events:
        return
    shown = _told(recording.events, _axis(recording) if recording.seconds else None)
    table = Table("", "at", "who", "kind", "times", "message", box=None)
    for mark, event in zip(_MARKS, shown, strict=False):
        style = {"error": "red", "warning": "yellow"}.get(event.level, "")
        row = [mark, _clock(event.unix_s), event.who, event.kind, str(event.count), event.message]
        table.add_row(*(Text(_clean(cell)) for cell in row), style=style)
    console.print()
    console.print(table)
    if len(recording.events) > len(shown):
        console.print(f"and {len(recording.events) - len(shown)} more (--json prints all)")


# -- who ---------------------------------------------------------------------------------------------------------------


def _draw_series(
    console: Console, kind: str, seconds: Sequence[Second], of: Callable[[Second], Iterable[SeriesSecond]]
) -> None:
    totals: dict[str, list[float]] = defaultdict(lambda: [0.0] * 8)
    for second in seconds:
        for one in of(second):
            total = totals[one.name]
            for at, figure in enumerate((one.exchanges_per_s, one.seconds_per_s, one.bytes_per_s, one.failed_per_s)):
                total[at] += figure * second.step_s
            total[4] = max(total[4], one.exchanges_per_s)
            total[5] = max(total[5], one.waiting)
            total[6] += one.refused_per_s * second.step_s
            total[7] += one.upstream_seconds_per_s * second.step_s
    if not totals:
        return
    is_upstream = kind == "upstream"
    table = Table(kind, "exchanges", "most/s", "seconds", "mean", "bytes", box=None)
    for title in ("failed", "most waiting") if is_upstream else ("refused", "upstream seconds"):
        table.add_column(title)
    ranked = sorted(totals.items(), key=lambda one: (-one[1][1], -one[1][0]))
    for name, (exchanges, took_s, size, failed, most, waiting, refused, upstream_s) in ranked[:_SERIES_MAX]:
        mean = _seconds(took_s / exchanges) if exchanges else ""
        table.add_row(
            Text(_clean(name)),
            _plain(round(exchanges)),
            _plain(round(most)),
            _plain(took_s),
            mean,
            _bytes(size),
            *((_plain(round(failed)), _plain(waiting)) if is_upstream else ()),
            *(() if is_upstream else (_plain(round(refused)), _plain(upstream_s))),
        )
    console.print()
    console.print(table)
    if len(ranked) > _SERIES_MAX:
        console.print(f"and {len(ranked) - _SERIES_MAX} more")


def _draw_keys(console: Console, seconds: Sequence[Second]) -> None:
    """Who asked most, those first who led in something for longest."""
    totals: dict[tuple[str, str, str], list[float]] = defaultdict(lambda: [0.0] * 5)
    for second in seconds:
        for one in second.keys:
            total = totals[one.kind, one.name, one.key]
            for at, figure in enumerate(_figures(one)):
                total[at] += figure * second.step_s
            total[4] = max(total[4], one.requests_per_s)
    if not totals:
        return
    table = Table("limit or route", "key", "requests", "most/s", "refused", "upstream seconds", "bytes", box=None)
    most = [max(total[at] for total in totals.values()) or 1.0 for at in range(4)]
    ranked = sorted(totals.items(), key=lambda one: -max(one[1][at] / most[at] for at in range(4)))
    for (kind, name, key), (requests, refused, upstream_s, size, peak) in ranked[:_KEYS_MAX]:
        cells = (_plain(round(requests)), _plain(round(peak)), _plain(round(refused)), _plain(upstream_s), _bytes(size))
        table.add_row(Text(_clean(f"{kind} {name}")), Text(_clean(key)), *cells)
    console.print()
    console.print(table)
    if len(ranked) > _KEYS_MAX:
        console.print(f"and {len(ranked) - _KEYS_MAX} more")


def _figures(one: KeySecond) -> tuple[float, float, float, float]:
    return one.requests_per_s, one.refused_per_s, one.upstream_seconds_per_s, one.bytes_per_s


def _draw_stacks(console: Console, stacks: Sequence[Stack]) -> None:
    if not stacks:
        return
    by_slot: dict[int, Counter[str]] = defaultdict(Counter)
    for stack in stacks:
        calls = [call for call in stack.calls.splitlines() if call]
        shown = " < ".join(calls[:_CALLS_MAX]) if calls else "its loop waits, or runs the gateway's own code"
        by_slot[stack.slot][shown] += 1
    table = Table("worker", "samples", "was in", box=None)
    for slot, counter in sorted(by_slot.items()):
        for shown, times in counter.most_common(_STACKS_MAX):
            table.add_row(str(slot), f"{times} of {counter.total()}", Text(_clean(shown)))
    console.print()
    console.print(table)


def _clean(text: str) -> str:
    """A recording may come from anywhere: nothing in it commands the terminal."""
    return "".join(one if one.isprintable() else " " for one in text)


def _moment(unix_s: float) -> dt.datetime:
    try:
        return dt.datetime.fromtimestamp(unix_s, dt.UTC)
    except (OverflowError, ValueError, OSError):
        return dt.datetime.fromtimestamp(0, dt.UTC)


def _when(unix_s: float) -> str:
    return f"{_moment(unix_s):%Y-%m-%d %H:%M:%SZ}"


def _clock(unix_s: float) -> str:
    return f"{_moment(unix_s):%H:%M:%S}"
