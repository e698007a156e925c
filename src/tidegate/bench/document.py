"""The JSON of a load: figures for people and programs, and behind them the counts, so that files can be merged."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from tidegate import __version__
from tidegate.bench.histogram import Histogram
from tidegate.bench.measured import Measured, StatusCounts, joined, merge

__all__ = ["document_of", "merged", "served_latency"]

FORMAT = 1
LATE_MS = 1.0
"""How late the generator itself may send, of one in a hundred, before it is said to be late."""
KEPT = 0.99
"""Share of what was due that has to be sent for a rate to be kept."""
BUSY = 0.95
"""Share of its time that a process of the generator may compute before it is said to be the bound."""
_NS = 1e9


def document_of(measured: Measured, asked: Mapping[str, Any], *, began_unix_s: float) -> dict[str, Any]:
    """The whole document.

    Args:
        measured: What came of the load.
        asked: What was asked for (``Plan.described``).
        began_unix_s: When it began.
    """
    statuses = {status: _decoded(counts) for status, counts in measured.statuses.items()}
    classes: dict[str, list[str]] = defaultdict(list)
    for status in statuses:
        classes[f"{status[0]}xx"].append(status)
    answers = sum(latency.total for latency, _ in statuses.values())
    served = [status for status in statuses if int(status) < 400]
    late = Histogram.decode(measured.late)
    return {
        "format": FORMAT,
        "tidegate": __version__,
        "began_unix_s": round(began_unix_s, 3),
        "asked": {**asked, "processes": measured.processes, "connections": measured.connections},
        "seconds": round(measured.seconds, 6),
        "is_open_loop": measured.is_open_loop,
        "is_stopped": measured.is_stopped,
        "rate": {
            "asked": _rate(measured.due, measured) if measured.is_open_loop else None,
            "sent": _rate(measured.sent, measured),
            "answered": _rate(measured.in_time, measured),
            "is_kept": measured.sent >= KEPT * measured.due if measured.is_open_loop else None,
        },
        "requests": {
            "due": measured.due,
            "sent": measured.sent,
            "answered": answers,
            "failed": sum(one.count for one in measured.errors.values()),
            "waited": measured.waited,
            "unfinished": measured.unfinished,
        },
        "latency_s": _quantiles(_sum(statuses[status][0] for status in served)),
        "service_s": _quantiles(_sum(statuses[status][1] for status in served)),
        "by_class": {
            name: {
                "count": sum(statuses[status][0].total for status in members),
                "latency_s": _quantiles(_sum(statuses[status][0] for status in members)),
                "service_s": _quantiles(_sum(statuses[status][1] for status in members)),
            }
            for name, members in sorted(classes.items())
        },
        "by_status": {
            status: {"count": latency.total, "latency_s": _quantiles(latency), "service_s": _quantiles(service)}
            for status, (latency, service) in sorted(statuses.items())
        },
        "errors": {kind: one.count for kind, one in sorted(measured.errors.items())},
        "error_examples": {kind: one.example for kind, one in sorted(measured.errors.items())},
        "send_error_s": _quantiles(late) if measured.is_open_loop else None,
        "connect_s": _quantiles(Histogram.decode(measured.connect)),
        "connections_lost": measured.lost,
        "bytes": {"in": measured.bytes_in, "out": measured.bytes_out},
        "cpu_s": round(measured.cpu_s, 6),
        "notes": _notes(measured, late, answers),
        "by_second": [
            {
                "at_s": one.at,
                "due": one.due,
                "sent": one.sent,
                "answers": one.answers,
                "failed": one.failed,
                "latency_s": _quantiles(Histogram.decode(one.latency)),
            }
            for one in measured.by_second
        ],
        "measured": msgspec.to_builtins(measured),
    }


def merged(files: Sequence[Path]) -> dict[str, Any]:
    """The document of a load whose parts are in these files: processes or machines that sent at the same time.

    Raises:
        OSError: A file cannot be read.
        ValueError: A file is no document of ``tidegate bench --json``, or they do not go together.
    """
    parts: list[Measured] = []
    documents: list[dict[str, Any]] = []
    for file in files:
        try:
            document = json.loads(file.read_bytes())
            parts.append(msgspec.convert(document["measured"], Measured))
            documents.append({"asked": dict(document["asked"]), "began": float(document["began_unix_s"])})
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(f"{file} is no document of tidegate bench --json: {error}") from None
    targets = dict.fromkeys(str(one["asked"].get("target")) for one in documents)
    asked = {**documents[0]["asked"], "target": ", ".join(targets), "merged": [str(file) for file in files]}
    return document_of(merge(parts), asked, began_unix_s=min(one["began"] for one in documents))


def served_latency(measured: Measured) -> Histogram:
    """Latencies of the answers below 400, which ``latency_s`` is read off."""
    return joined(counts.latency for status, counts in measured.statuses.items() if int(status) < 400)


def _decoded(counts: StatusCounts) -> tuple[Histogram, Histogram]:
    return Histogram.decode(counts.latency), Histogram.decode(counts.service)


def _sum(histograms: Any) -> Histogram:
    whole = Histogram()
    for one in histograms:
        whole.merge(one)
    return whole


def _quantiles(histogram: Histogram) -> dict[str, float | None]:
    """Seconds; of nothing, None."""
    if histogram.total == 0:
        return dict.fromkeys(("p50", "p90", "p99", "p999", "max", "mean"))
    shares = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p999": 0.999, "max": 1.0}
    found: dict[str, float | None] = {name: histogram.quantile(share) / _NS for name, share in shares.items()}
    return {**found, "mean": round(histogram.mean / _NS, 9)}


def _rate(count: int, measured: Measured) -> float:
    return round(count / measured.seconds, 3) if measured.seconds else 0.0


def _notes(measured: Measured, late: Histogram, answers: int) -> list[str]:
    """What has to be known to read the figures rightly."""
    notes = []
    if measured.is_stopped:
        notes.append("It was stopped before its end: these are the figures of what there was.")
    failed = sum(one.count for one in measured.errors.values())
    if failed:
        notes.append(
            f"{failed:,} of {failed + answers:,} requests have no answer. Quantiles are of answers only: they flatter."
        )
    if measured.is_open_loop:
        if measured.due and measured.sent < KEPT * measured.due:
            notes.append(
                f"The rate was not kept: {measured.sent / measured.due:.1%} of what was due was sent before the end."
            )
        if measured.due and measured.waited > (1 - KEPT) * measured.due:
            notes.append(
                f"{measured.waited / measured.due:.1%} of the requests waited because all {measured.connections:,} "
                "connections were busy: the target is slower than asked, or wants more of them."
            )
        if late.total and late.quantile(0.99) > LATE_MS * 1e6:
            notes.append(
                f"The generator itself was late: by {late.quantile(0.99) / 1e6:.2f} ms or more for one request in a "
                "hundred. More processes (--processes), or fewer others on this machine."
            )
    elif answers:
        notes.append("Closed loop: latencies do not contain what a client waits while the server stands still.")
    if measured.seconds and measured.cpu_s > BUSY * measured.seconds * measured.processes:
        notes.append(
            f"The generator's processors were full ({measured.cpu_s / measured.seconds:.2f} of "
            f"{measured.processes}): the target may be able to do more. More processes (--processes) will tell."
        )
    return notes
