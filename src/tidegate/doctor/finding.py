"""What the doctor says: a finding with its remedy, or that it could not look."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["INCIDENTS", "SEVERITIES", "Finding", "Incident", "Severity", "Unseen", "in_mebibytes"]

Severity = Literal["serious", "warning", "note"]
Incident = Literal["", "stampede", "ports", "limiter", "blocked-loop", "crossed-pool", "listen-overflow"]

SEVERITIES: tuple[Severity, ...] = ("serious", "warning", "note")
"""Serious: it fails, or will under the load that the configuration allows. Warning: it may. Note: good to know."""

INCIDENTS: dict[Incident, str] = {
    "": "",
    "stampede": "a gateway's link to Redis was full of large values, and its heartbeats waited behind them",
    "ports": "bursts opened and closed sockets until no local port was left",
    "limiter": "a limit that was blind to the backend let its concurrency rise 16-fold when it became slow",
    "blocked-loop": "a blocking call held the event loops, and health checks starved behind the traffic",
    "crossed-pool": "a pool keyed by a name sent requests for one service down a connection to another",
    "listen-overflow": "a listen queue of 100 overflowed, and connections were dropped unseen",
}
"""What happened to a real gateway, by the name that findings give."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is, or may become, wrong.

    ``check`` names what was looked at and ``subject`` what of it: an option, a kernel setting, a server. ``seen`` is
    what stands there, ``why`` what comes of it, ``mend`` the command or line that mends it.
    """

    check: str
    severity: Severity
    subject: str
    seen: str
    why: str
    mend: str
    incident: Incident = ""


@dataclass(frozen=True, slots=True)
class Unseen:
    """A check that could not look, and why not."""

    check: str
    why: str


def in_mebibytes(size: int) -> str:
    """A size for people: ``3.4 MiB``."""
    return f"{size / (1 << 20):,.1f} MiB"
