"""Intervals for the tests of this room."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tidegate.limits.adaptive.algorithm import Algorithm
from tidegate.limits.adaptive.interval import Interval
from tidegate.limits.adaptive.windowed import Windowed

MS = 1_000_000
S = 1_000_000_000
VECTORS = Path(__file__).parents[2] / "vectors" / "adaptive_limits.json"


def interval(at_s: float = 1.0, latency_ms: float = 50.0, in_flight: int = 100, **more: Any) -> Interval:
    """One of a hundred answers that took the same time, with the limit in force."""
    latency_ns = int(latency_ms * MS)
    given = {
        "started_ns": int((at_s - 1) * S),
        "ended_ns": int(at_s * S),
        "duration_ns": S,
        "count": 100,
        "in_flight_max": in_flight,
        "in_flight_mean": in_flight,
        "latency_min_ns": latency_ns,
        "latency_mean_ns": latency_ns,
        "latency_p90_ns": latency_ns,
    }
    return Interval(**{**given, **more})


def runs(algorithm: str) -> Iterator[tuple[dict[str, Any], dict[str, Any] | None, list[list[int]]]]:
    """Parameters, window and samples of each run that Netflix concurrency-limits answered."""
    for run in json.loads(VECTORS.read_text())["runs"]:
        if run["algo"] == algorithm:
            yield run["params"], run["window"], run["samples"]


def disagreements(algorithm: Algorithm, window: dict[str, Any] | None, samples: list[list[int]]) -> list[str]:
    """Where the limit is another than the library's, sample by sample."""
    limit = algorithm
    if window is not None:
        limit = Windowed(
            algorithm,
            samples=window["size"],
            shortest_ns=window["min_ms"] * MS,
            longest_ns=window["max_ms"] * MS,
            percentile=window.get("percentile"),
        )
    found = []
    for at, (started_ns, latency_ns, in_flight, drop, wanted) in enumerate(samples):
        limit.update(Interval.one(started_ns, latency_ns, in_flight, was_dropped=bool(drop)))
        if int(limit.limit) != wanted:
            found.append(f"sample {at}: {limit.limit}, the library {wanted}")
    return found
