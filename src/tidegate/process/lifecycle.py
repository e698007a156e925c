"""What is said of lives, one line in the error log for each event: the gateway's and that of each of its processes.

    starting ── ready ── draining ── stopped            or start_failed
    process_started ── process_ready ── process_died    or drained, of one that none follows

None of them is held back or counted together with others: how often they come is bounded by how fast processes may be
started (`respawn`).
"""

import os
import time
from collections.abc import Sequence
from typing import Any

from tidegate import __version__
from tidegate.config.snapshot import Snapshot
from tidegate.observe.error_log import ErrorLog
from tidegate.process.place import Place, WorkerPlace

__all__ = ["Lifecycle"]


class Lifecycle:
    """Of one supervisor; ``started_ns`` is on CLOCK_MONOTONIC."""

    def __init__(self, log: ErrorLog, started_ns: int) -> None:
        self._log = log
        self._started_ns = started_ns
        # the end
        self.why = ""  # who asked for it first
        self.is_late = False  # a worker had to be killed
        self._is_hurried = False
        self._drains_since_s: float | None = None
        self._drain_timeout_s = 0.0
        self._drain_s: float | None = None  # what the drain took; None: it was none

    def __repr__(self) -> str:
        return f"<Lifecycle up {self._uptime_s():.0f} s{f' ends: {self.why}' if self.why else ''}>"

    def _uptime_s(self) -> float:
        return (time.monotonic_ns() - self._started_ns) / 1e9

    # -- the gateway -----------------------------------------------------------------------------------------------

    def starting(self, snapshot: Snapshot, workers: int) -> None:
        """Everything is bound and mapped; now processes are started."""
        origin = f" of {snapshot.origin.name}" if snapshot.origin.name else ""
        self._log.note(
            "starting",
            f"tidegate {__version__} starts with configuration {snapshot.number}{origin}",
            version=__version__,
            pid=os.getpid(),
            snapshot=snapshot.number,
            etag=snapshot.etag,
            workers=workers,
        )

    def ready(self, addresses: Sequence[str], max_connections: int) -> float:
        """Everybody serves; returns the seconds that it took."""
        took_s = self._uptime_s()
        message = f"serves on {', '.join(addresses)}"
        self._log.note("ready", message, took_s=round(took_s, 3), max_connections=max_connections)
        return took_s

    def start_failed(self, reason: str) -> None:
        """It comes to nothing. On standard error it is said anyway."""
        if self._log.sink.path != "-":
            self._log.note("start_failed", reason, "error")

    def draining(self, timeout_s: float) -> None:
        """It takes nothing new and finishes what it has."""
        self._drains_since_s, self._drain_timeout_s = time.monotonic(), timeout_s
        message = f"for at most {timeout_s:g} s; a second signal stops at once"
        self._log.note("draining", message, why=self.why, timeout_s=timeout_s)

    def hurried(self, why: str) -> None:
        """What is still served is cut now."""
        self._is_hurried = True
        self._log.note("stopping_at_once", "what is being served is cut", why=why)

    def served(self) -> None:
        """The workers are gone; the logs are still to be written."""
        if self._drains_since_s is not None:
            self._drain_s = time.monotonic() - self._drains_since_s

    def stopped(self) -> None:
        """All other processes have ended, and the logs are written."""
        fields: dict[str, Any] = {} if self._drain_s is None else {"drain_s": round(self._drain_s, 3)}
        how, message = self._how_it_ended()
        self._log.note("stopped", message, how=how, why=self.why, uptime_s=round(self._uptime_s(), 3), **fields)

    def _how_it_ended(self) -> tuple[str, str]:
        if self._is_hurried:
            return "at_once", "what was being served was cut"
        if self._drain_s is None:
            return "at_once", "it was not ready yet"
        if self.is_late:
            return "late", "a worker did not end by the deadline of the drain and was killed"
        if self._drain_s >= self._drain_timeout_s:
            return "deadline", f"what was left after {self._drain_timeout_s:g} s was closed"
        return "drained", "everything that was being served was finished"

    # -- its processes ---------------------------------------------------------------------------------------------

    def process_started(self, place: Place) -> None:
        """A process was started in ``place``."""
        self._log.note("process_started", f"{place.name} starts", **_fields(place))

    def process_ready(self, place: Place) -> None:
        """The process in ``place`` accepts, or answers."""
        took_s = round(time.monotonic() - place.started_s, 3)
        self._log.note("process_ready", f"{place.name} is ready", **_fields(place), took_s=took_s)

    def process_died(self, place: Place, reason: str, pid: int, lived_s: float, delay_s: float | None) -> None:
        """It is gone, or could not be made.

        Args:
            place: where it was.
            reason: how it ended.
            pid: of the process.
            lived_s: for how long it was there.
            delay_s: until the next one starts; None: none follows, as it was to finish what it had, and did not.
        """
        if delay_s is None:
            message = f"{place.name} is gone while draining ({reason})"
        else:
            when = "now" if delay_s == 0 else f"in {delay_s:.1f} s, as it keeps dying"
            message = f"{place.name} is gone ({reason}); the next one starts {when}"
        fields = {**_fields(place), "pid": pid, "lived_s": round(lived_s, 3)}
        self._log.note("process_died", message, "error", **fields)

    def drained(self, place: Place, reason: str, pid: int, lived_s: float, left: int) -> None:
        """None is to follow: it has finished what it had, or was killed; ``left`` others of its generation are not."""
        fields = {**_fields(place), "pid": pid, "lived_s": round(lived_s, 3), "left": left}
        who = (
            place.name if not isinstance(place, WorkerPlace) else f"{place.name} of generation {place.slot.generation}"
        )
        self._log.note("drained", f"{who} is gone ({reason}); {left} of that generation left", **fields)


def _fields(place: Place) -> dict[str, Any]:
    fields: dict[str, Any] = {"name": place.name}
    if isinstance(place, WorkerPlace):
        fields["generation"] = place.slot.generation
    if place.child is not None:
        fields["pid"] = place.child.pid
    return fields
