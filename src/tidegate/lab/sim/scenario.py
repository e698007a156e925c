"""What is played: streams of requests, a backend, the gateway's queue, and what changes when. Data, read from TOML."""

from __future__ import annotations

import math
import tomllib
from importlib import resources
from pathlib import Path
from typing import Literal

import msgspec

__all__ = ["BackendChange", "BackendPlan", "Burst", "GatePlan", "RateChange", "Scenario", "Stream", "load", "shipped"]


class RateChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """From ``at_s`` on, so many come."""

    at_s: float
    per_s: float


class Burst(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Every so often, for a moment, many times as many come."""

    every_s: float
    lasts_s: float
    factor: float


class Stream(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Requests of one class, arriving as a Poisson process whoever is answered or not (open loop)."""

    name: str = "all"
    priority: int = 0
    """0 is served first."""
    per_s: float
    changes: tuple[RateChange, ...] = ()
    swing: float = 0.0
    """How far the rate swings around its mean over a day, as a share of it."""
    day_s: float = 60.0
    """How long such a day is."""
    burst: Burst | None = None
    cached_share: float = 0.0
    """Which part is answered by the gateway's cache, and takes no permit."""
    patience_ms: float = 10_000.0
    """How long a client waits for its answer."""
    retries: int = 0
    """How often it tries again after a refusal or a time-out."""
    retry_after_ms: float = 100.0
    """How long it waits before that, doubled each time, half of it at random."""

    def rate_at(self, now_s: float) -> float:
        """How many a second come at this moment, in the mean."""
        rate = self.per_s
        for change in self.changes:
            if now_s >= change.at_s:
                rate = change.per_s
        rate *= 1.0 + self.swing * math.sin(2.0 * math.pi * now_s / self.day_s)
        burst = self.burst
        if burst and now_s >= burst.every_s and now_s % burst.every_s < burst.lasts_s:
            rate *= burst.factor
        return rate

    @property
    def greatest_rate(self) -> float:
        """What ``rate_at`` never exceeds."""
        highest = max([self.per_s, *(change.per_s for change in self.changes)])
        return highest * (1.0 + abs(self.swing)) * max(1.0, self.burst.factor if self.burst else 1.0)


class BackendChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """From ``at_s`` on, what begins takes so long."""

    at_s: float
    latency_ms: float


class BackendPlan(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Servers behind one queue."""

    servers: int
    latency_ms: float
    """How long one request takes a server, in the mean."""
    law: Literal["uniform", "exponential", "lognormal"] = "uniform"
    spread: float = 0.1
    """uniform: how far from the mean, as a share; lognormal: sigma of the logarithm; exponential: not used."""
    changes: tuple[BackendChange, ...] = ()
    reports_waiting: bool = False
    """Whether answers say how long they waited for a server."""

    def latency_at(self, now_s: float) -> float:
        """The mean in milliseconds of what begins now."""
        latency_ms = self.latency_ms
        for change in self.changes:
            if now_s >= change.at_s:
                latency_ms = change.latency_ms
        return latency_ms

    def capacity_at(self, now_s: float) -> float:
        """How many it can do a second."""
        return self.servers * 1000.0 / self.latency_at(now_s)


class GatePlan(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The gateway."""

    queue: int = 20
    """How many may wait for a permit."""
    queue_timeout_ms: float = 200.0
    timeout_ms: float = 5_000.0
    """How long the upstream may take; what takes longer is a drop."""


class Scenario(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One thing that happens."""

    title: str
    lesson: str
    """What it is played for."""
    seconds: int
    streams: tuple[Stream, ...]
    backend: BackendPlan
    gate: GatePlan = GatePlan()
    fixed_limit: int
    """The limit that somebody would have set for the backend in health."""
    initial_limit: int = 100
    trouble: tuple[int, int] | None = None
    """From which second to which something is wrong; figures are of this time."""
    seed: int = 1

    def demand_at(self, now_s: float) -> float:
        """How many requests a second ask for the backend."""
        return sum(stream.rate_at(now_s) * (1.0 - stream.cached_share) for stream in self.streams)


def load(text: str) -> dict[str, Scenario]:
    """The scenarios of a TOML document, by name.

    Raises:
        ValueError: The document is not TOML, or not scenarios; the message says where.
    """
    return msgspec.convert(tomllib.loads(text), dict[str, Scenario])


def shipped(file: Path | None = None) -> dict[str, Scenario]:
    """Those that come with Tidegate, or those of a file.

    Raises:
        OSError: The file cannot be read.
        ValueError: It does not hold scenarios.
    """
    if file is not None:
        return load(file.read_text(encoding="utf-8"))
    return load((resources.files("tidegate.lab.sim") / "scenarios.toml").read_text(encoding="utf-8"))
