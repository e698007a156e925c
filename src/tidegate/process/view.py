"""What control knows of the gateway, for those who ask: shared memory, the snapshot, what the supervisor told."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from tidegate.config.snapshot import Snapshot
from tidegate.memory.region import Region
from tidegate.memory.slot import SlotState, SlotStatistics
from tidegate.observe.log_writer import LogWriter
from tidegate.observe.metrics import Metrics
from tidegate.observe.vitals import Vitals, bounds_of
from tidegate.process.messages import MeasureAsked, Roster, UpgradeAsked, WorkerStatus
from tidegate.process.reloader import Reloader

__all__ = ["GatewayView", "WorkerView"]


@dataclass(frozen=True)
class WorkerView:
    """One worker slot at one moment."""

    mark: SlotStatistics
    told: WorkerStatus
    heartbeat_age_ns: int
    stalled_after_ns: int = 1_000_000_000
    """A loop that has not beaten for this long serves nobody (`server.stall_out`)."""

    @property
    def is_stalled(self) -> bool:
        """Whether its loop stands although it should serve."""
        serves = self.mark.state in (SlotState.READY, SlotState.DRAINING)
        return serves and self.heartbeat_age_ns > self.stalled_after_ns

    @property
    def is_serving(self) -> bool:
        """Whether it takes new exchanges and gets on with them."""
        return self.mark.state is SlotState.READY and not self.is_stalled

    @property
    def state(self) -> str:
        """Its state in one word."""
        return "stalled" if self.is_stalled else self.mark.state.name.lower()


@dataclass
class GatewayView:
    """Everything is read when asked for; nothing here waits or is sent to a worker.

    ``snapshot`` is the active one without its routes, which may be many.
    """

    snapshot: Snapshot
    region: Region
    generation: int
    started_ns: int
    supervisor_pid: int
    admin_address: str
    ask_to_stop: Callable[[bool], bool]
    metrics: Metrics
    roster: Roster | None = None
    is_orphaned: bool = False
    log_writer: LogWriter | None = None
    reloader: Reloader | None = None
    vitals: Vitals | None = None
    ask_to_upgrade: Callable[[UpgradeAsked], bool] = lambda _: False
    ask_to_measure: Callable[[MeasureAsked], bool] = lambda _: False
    hear: Callable[[], None] | None = None
    """Takes what the supervisor has said and nobody has read yet."""
    record: Callable[[], Awaitable[Path]] | None = None
    """Writes what the flight recorder keeps; OSError when that cannot be."""

    def latest(self) -> Vitals:
        """The latest second: taken now when nobody takes one every second."""
        if self.vitals is None:
            self.vitals = Vitals(self.region, bounds_of(self.snapshot.gateway, self.region.workers), say=_nothing)
        if self.vitals.sample is None:
            self.vitals.take()
        return self.vitals

    def catch_up(self) -> None:
        """Learns what the supervisor said while control had no time, or was stopped."""
        if self.hear is not None:
            self.hear()

    @property
    def is_draining(self) -> bool:
        """Whether the gateway is on its way out."""
        return self.is_orphaned or (self.roster is not None and self.roster.is_draining)

    @property
    def has_snapshot(self) -> bool:
        """Whether a first configuration is active."""
        return self.region.snapshot_number > 0

    def workers(self, now_ns: int | None = None) -> list[WorkerView]:
        """Every worker's slot as it is now, those of other generations only while somebody is in them."""
        at_ns = time.monotonic_ns() if now_ns is None else now_ns
        told = {} if self.roster is None else {one.slot: one for one in self.roster.workers}
        stalled_after_ns = int(self.snapshot.gateway.server.stall_out * 1e9)
        views = []
        for index in range(self.region.slots):
            mark = self.region.slot(index).statistics()
            if mark.state is SlotState.EMPTY and not self._is_of_this_generation(index):
                continue
            age_ns = max(0, at_ns - mark.heartbeat_ns) if mark.heartbeat_ns else 0
            views.append(WorkerView(mark, told.get(index, WorkerStatus(slot=index)), age_ns, stalled_after_ns))
        return views

    def _is_of_this_generation(self, index: int) -> bool:
        return self.region.slots == self.region.workers or index // self.region.workers == (self.generation + 1) % 2


def _nothing(kind: str, message: str, level: str = "warning", **fields: object) -> None:
    """Nobody is there to be told."""
