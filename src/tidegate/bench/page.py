"""A load as one page of HTML that needs nothing but itself: what was asked, what came, curve and time series."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

import msgspec

from tidegate.bench.chart import Line, Mark, Panel
from tidegate.bench.chart import draw as draw_panels
from tidegate.bench.curve import Curve
from tidegate.bench.curve import draw as draw_curve
from tidegate.bench.measured import Measured, joined
from tidegate.bench.sheet import sheet, table
from tidegate.bench.table import printable, seconds

__all__ = ["page"]

_QUANTILES = {"p50": "p50", "p90": "p90", "p99": "p99", "p999": "p99.9", "max": "max", "mean": "mean"}


def page(document: Mapping[str, Any]) -> str:
    """The page of a document (``document.document_of``)."""
    measured = msgspec.convert(document["measured"], Measured)
    title = f"Load of {document['asked']['target']}"
    parts = [
        _asked(document),
        *(f'<p class="note">{escape(note)}</p>' for note in document["notes"]),
        *_figures(document),
        "<h2>Latency by percentile</h2>",
        _explained(document),
        draw_curve(_curves(measured)),
        *_durations(document),
        "<h2>Second by second</h2>",
        _series(document),
        *_statuses(document),
        *_errors(document),
    ]
    return sheet(title, parts)


def _asked(document: Mapping[str, Any]) -> str:
    asked = document["asked"]
    began = dt.datetime.fromtimestamp(document["began_unix_s"], dt.UTC)
    said = [
        f"{began:%Y-%m-%d %H:%M:%S} UTC",
        str(asked["schedule"]),
        f"{document['seconds']:g} s" + (f" after {asked['warm_up_s']:g} s of warm-up" if asked["warm_up_s"] else ""),
        f"{asked['processes']} process{'es' if asked['processes'] > 1 else ''}",
        f"{asked['connections']:,} connections" + (", a fresh one for each request" if asked["is_fresh"] else ""),
        f"tidegate bench {document['tidegate']}",
    ]
    return f'<p class="quiet">{escape("; ".join(said))}</p>'


def _figures(document: Mapping[str, Any]) -> Iterator[str]:
    rate, latency = document["rate"], document["latency_s"]
    shown = [
        ("asked", "" if rate["asked"] is None else f"{rate['asked']:,.0f}/s"),
        ("sent", f"{rate['sent']:,.0f}/s"),
        ("answered", f"{rate['answered']:,.0f}/s"),
        ("half of the answers within", seconds(latency["p50"])),
        ("99 % within", seconds(latency["p99"])),
        ("slowest", seconds(latency["max"])),
        ("without an answer", f"{document['requests']['failed']:,}"),
    ]
    yield '<div class="figures">'
    yield from (f"<div><b>{value}</b>{name}</div>" for name, value in shown if value)
    yield "</div>"


def _explained(document: Mapping[str, Any]) -> str:
    if not document["is_open_loop"]:
        return (
            "<p>Closed loop: each connection sent when it had its answer, so nothing here says how long a client waits "
            "while the server stands still.</p>"
        )
    return (
        "<p>Latency counts from the moment at which a request was due, whether or not a connection was free; service "
        "time from when it was sent. Where the two part, requests have waited for those before them.</p>"
    )


def _curves(measured: Measured) -> list[Curve]:
    served = [counts for status, counts in measured.statuses.items() if int(status) < 400]
    refused = [counts for status, counts in measured.statuses.items() if int(status) >= 400]
    curves = [Curve("latency", joined(one.latency for one in served), "blue")]
    if measured.is_open_loop:
        curves.append(Curve("service time", joined(one.service for one in served), "green", is_dashed=True))
    curves.append(Curve("latency of 4xx and 5xx", joined(one.latency for one in refused), "orange"))
    return curves


def _durations(document: Mapping[str, Any]) -> Iterator[str]:
    rows = [
        (name, document[key])
        for name, key in (
            ("latency", "latency_s"),
            ("service time", "service_s"),
            ("send error of the generator", "send_error_s"),
            ("connecting", "connect_s"),
        )
        if document[key] is not None and document[key]["p50"] is not None
    ]
    yield from table(
        ["answers below 400", *_QUANTILES.values()],
        ([name, *(seconds(quantiles[key]) for key in _QUANTILES)] for name, quantiles in rows),
    )


def _series(document: Mapping[str, Any]) -> str:
    known = {second["at_s"]: second for second in document["by_second"]}
    if not known:
        return "<p>Nothing was sent.</p>"
    first, last = min(known), max(known)
    run = [known.get(at) for at in range(first, last + 1)]

    def line(name: str, colour: str, of: Any, *, is_dashed: bool = False) -> Line:
        return Line(name, [of(second) if second else 0.0 for second in run], colour, is_dashed)

    def milliseconds(name: str) -> Any:
        return lambda second: (second["latency_s"][name] or 0.0) * 1e3

    rates = [
        line("due", "grey", lambda second: second["due"], is_dashed=True),
        line("sent", "blue", lambda second: second["sent"]),
        line("answered below 400", "green", lambda second: _answers(second, "123")),
        line("4xx and 5xx", "orange", lambda second: _answers(second, "45")),
        line("failed", "purple", lambda second: second["failed"]),
    ]
    latencies = [
        line("max", "orange", milliseconds("max")),
        line("p99", "purple", milliseconds("p99")),
        line("p50", "blue", milliseconds("p50")),
    ]
    panels = [Panel("Requests", "per second", rates), Panel("Latency of what was answered then", "ms", latencies)]
    marks = [Mark(float(-first), "counted from here")] if first < 0 else []
    return draw_panels("Requests and latencies over time", "", panels, float(len(run)), marks=marks)


def _answers(second: Mapping[str, Any], classes: str) -> int:
    return sum(count for name, count in second["answers"].items() if name[0] in classes)


def _statuses(document: Mapping[str, Any]) -> Iterator[str]:
    if not document["by_status"]:
        return
    yield "<h2>By status</h2>"
    total = document["requests"]["answered"]
    yield from table(
        ["status", "answers", "share", *_QUANTILES.values()],
        (
            [
                status,
                f"{one['count']:,}",
                f"{one['count'] / total:.2%}",
                *(seconds(one["latency_s"][key]) for key in _QUANTILES),
            ]
            for status, one in document["by_status"].items()
        ),
    )


def _errors(document: Mapping[str, Any]) -> Iterator[str]:
    if not document["errors"]:
        return
    yield "<h2>Errors</h2>"
    examples = document["error_examples"]
    yield from table(
        ["kind", "times", "the first"],
        ([kind, f"{count:,}", printable(examples.get(kind, ""))] for kind, count in document["errors"].items()),
    )
