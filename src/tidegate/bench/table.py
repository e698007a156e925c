"""The figures of a load in the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

__all__ = ["printable", "seconds", "show"]

_COLUMNS = ("p50", "p90", "p99", "p999", "max", "mean")
_TITLES = ("p50", "p90", "p99", "p99.9", "max", "mean")


def seconds(value: float | None) -> str:
    """A duration with three digits: ``812 µs``, ``1.25 ms``, ``3.02 s``."""
    if value is None:
        return ""
    for factor, unit in ((1e9, "ns"), (1e6, "µs"), (1e3, "ms")):
        if value * factor < 999.5:
            return f"{_three(value * factor)} {unit}"
    return f"{_three(value)} s"


def _three(value: float) -> str:
    return f"{value:.2f}" if value < 9.995 else f"{value:.1f}" if value < 99.95 else f"{value:.0f}"


def show(document: Mapping[str, Any], console: Console | None = None) -> None:
    """Prints it, as wide as it has to be: a terminal folds, and a table cut to fit hides figures."""
    console = console or Console(highlight=False, width=1000)
    asked, rate, requests = (document[name] for name in ("asked", "rate", "requests"))
    length = f"{document['seconds']:g} s"
    if asked["warm_up_s"]:
        length += f" after {asked['warm_up_s']:g} s of warm-up"
    console.print(Text(f"{asked['target']}", style="bold"), soft_wrap=True)
    fresh = ", a fresh one each" if asked["is_fresh"] else ""
    console.print(
        Text(
            f"{asked['schedule']}; {length}; {asked['processes']} process{'es' if asked['processes'] > 1 else ''}, "
            f"{asked['connections']:,} connections{fresh}"
        ),
        soft_wrap=True,
    )
    console.print()
    _show_latencies(document, console)
    _show_statuses(document, console)
    _show_errors(document, console)
    asked_rate = "" if rate["asked"] is None else f"asked {rate['asked']:,.1f}/s, "
    console.print(f"rate: {asked_rate}sent {rate['sent']:,.1f}/s, answered {rate['answered']:,.1f}/s")
    console.print(
        f"requests: {requests['due']:,} due, {requests['sent']:,} sent before the end, "
        f"{requests['answered']:,} answered, {requests['failed']:,} failed, {requests['unfinished']:,} unfinished; "
        f"{document['bytes']['in']:,} bytes received"
    )
    for note in document["notes"]:
        console.print(Text(f"note: {note}", style="yellow"), soft_wrap=True)


def _show_latencies(document: Mapping[str, Any], console: Console) -> None:
    table = Table("answers below 400", box=None)
    for title in _TITLES:
        table.add_column(title, justify="right")
    rows = [("latency, from when it was due", "latency_s"), ("service time, from when it was sent", "service_s")]
    if not document["is_open_loop"]:
        rows = [("latency", "service_s")]
    for name, key in (*rows, ("send error of the generator", "send_error_s"), ("connecting", "connect_s")):
        if document[key] is not None and document[key]["p50"] is not None:
            table.add_row(name, *(seconds(document[key][column]) for column in _COLUMNS))
    if table.row_count:
        console.print(table)
        console.print()


def _show_statuses(document: Mapping[str, Any], console: Console) -> None:
    if not document["by_status"]:
        return
    table = Table("status", box=None)
    for title in ("answers", "share", *_TITLES, "service p50", "service p99"):
        table.add_column(title, justify="right")
    rows = dict(document["by_status"])
    several = {name for name in document["by_class"] if sum(status[0] == name[0] for status in rows) > 1}
    rows |= {name: of_class for name, of_class in document["by_class"].items() if name in several}
    total = document["requests"]["answered"]
    for name, one in rows.items():
        table.add_row(
            name,
            f"{one['count']:,}",
            f"{one['count'] / total:.2%}",
            *(seconds(one["latency_s"][column]) for column in _COLUMNS),
            seconds(one["service_s"]["p50"]),
            seconds(one["service_s"]["p99"]),
        )
    console.print(table)
    console.print()


def _show_errors(document: Mapping[str, Any], console: Console) -> None:
    if not document["errors"]:
        return
    table = Table("error", box=None)
    table.add_column("times", justify="right")
    table.add_column("the first")
    for kind, count in document["errors"].items():
        table.add_row(kind, f"{count:,}", Text(printable(document["error_examples"].get(kind, ""))), style="red")
    console.print(table)
    console.print()


def printable(text: str) -> str:
    """It may quote a server: nothing in it commands the terminal."""
    return "".join(one if one.isprintable() else " " for one in text)
