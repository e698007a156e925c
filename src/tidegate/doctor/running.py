"""What a running gateway says of itself, as far as the doctor judges it: `/status`, read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tidegate.doctor.machine import descriptors_of_process

__all__ = ["Running", "RunningUpstream", "RunningWorker", "read_running"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningWorker:
    """One worker."""

    index: int
    pid: int
    state: str
    restarts: int = 0
    last_death: str = ""
    stalled_in: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningUpstream:
    """An upstream's meters, of all workers together; ``…_total`` only grow."""

    exchanges_total: int = 0
    seconds_total: float = 0.0
    """Between handing requests over and the heads of their answers, added up."""
    failures_total: int = 0
    connections: int = 0
    waiting: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """One gateway at one moment."""

    pid: int
    uptime_s: float
    etag: str
    source: str
    """The file of its configuration; "" when it came otherwise."""
    saturation: float
    worst_signal: str
    suspects_itself: bool = False
    workers: tuple[RunningWorker, ...] = ()
    upstreams: Mapping[str, RunningUpstream]
    learned: Mapping[str, int]
    """What adaptive limits without a key have come to, by the limit's name; only those that have decided."""
    descriptors: int | None = None


def read_running(document: Mapping[str, Any], *, proc: str = "/proc") -> Running:
    """What `/status` said; a gateway of another version may leave out what this one knows."""
    signals: Mapping[str, float] = document.get("saturation_signals") or {}
    workers = tuple(
        RunningWorker(
            index=one["index"],
            pid=one["pid"],
            state=one["state"],
            restarts=one.get("restarts", 0),
            last_death=one.get("last_death", ""),
            stalled_in=one.get("stalled_in", ""),
        )
        for one in document["workers"]
    )
    return Running(
        pid=document["pid"],
        uptime_s=document["uptime_s"],
        etag=document["snapshot"]["etag"],
        source=document["snapshot"].get("source") or "",
        saturation=document["saturation"],
        worst_signal=max(signals, key=lambda name: signals[name], default=""),
        suspects_itself=document.get("suspects_itself", False),
        workers=workers,
        upstreams={one["name"]: _upstream(one) for one in document.get("upstreams", ())},
        learned=dict(_learned(document)),
        descriptors=next((found for one in workers if (found := descriptors_of_process(one.pid, proc))), None),
    )


def _upstream(document: Mapping[str, Any]) -> RunningUpstream:
    names = RunningUpstream.__dataclass_fields__
    return RunningUpstream(**{name: document[name] for name in names if name in document})


def _learned(document: Mapping[str, Any]) -> list[tuple[str, int]]:
    return [
        (limit["name"], row["limit"])
        for limit in document.get("limits", ())
        for row in limit.get("learned") or ()
        if row.get("decisions_total") and row.get("key") is None
    ]
