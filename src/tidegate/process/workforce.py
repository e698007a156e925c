"""The worker slots and who is in them: start, switch, steer, replace, drain.

start ──> Prepared ──> all first workers prepared: the switch ──> Serve ──> Serving: live
                       a successor: at once ────────────────────^
death ──> the slot's gauges go to zero, new connections go elsewhere, a successor gets the same sockets
"""

import math
import time
from collections.abc import Sequence

from tidegate.memory.region import Region
from tidegate.observe.log_writer import Say
from tidegate.process.channel import Channel, channel_pair
from tidegate.process.child import Child
from tidegate.process.listeners import ListenerGroup
from tidegate.process.messages import (
    Drain,
    InheritedListener,
    ListeningEnded,
    Prepared,
    ReopenLogs,
    Serve,
    Serving,
    SupervisorMessage,
    WorkerOrder,
    WorkerStatus,
)
from tidegate.process.place import WorkerPlace

__all__ = ["Workforce"]

_PREPARE_TIMEOUT_S = 60.0


class Workforce:
    """All workers of one generation."""

    def __init__(
        self,
        region: Region,
        groups: Sequence[ListenerGroup],
        *,
        python_path: list[str],
        service: str,
        say: Say,
        generation: int = 1,
    ) -> None:
        self.places = [WorkerPlace(f"worker {i}", slot=region.slot(i)) for i in range(region.slots)]
        self.is_draining = False
        self._region = region
        self._groups = groups
        self._python_path = python_path
        self._service = service
        self._say = say
        self._generation = generation
        self._live: list[int] | None = None
        self._said_not_steered = False
        self._drain_deadline_s = math.inf
        # the snapshot that new workers build; the region says which one is active
        self._snapshot_number = 0
        self._snapshot_fd = -1

    def __repr__(self) -> str:
        states = " ".join(place.slot.state.name.lower() for place in self.places)
        return f"<Workforce generation={self._generation} snapshot={self._snapshot_number} {states}>"

    # -- life ------------------------------------------------------------------------------------------------------

    def use_snapshot(self, number: int, fd: int) -> None:
        """Workers started from now on build this snapshot."""
        self._snapshot_number = number
        self._snapshot_fd = fd

    def start(self, place: WorkerPlace) -> Child:
        """Starts a worker in an empty slot. OSError: no process could be made."""
        index = place.slot.index
        listeners = [InheritedListener(index=i, fd=group.fd(index)) for i, group in enumerate(self._groups)]
        ours, theirs = channel_pair()
        order = WorkerOrder(
            slot=index,
            channel_fd=theirs.fileno(),
            region_fd=self._region.fd,
            snapshot_fd=self._snapshot_fd,
            listeners=listeners,
            python_path=self._python_path,
            service=self._service,
        )
        fds = [theirs.fileno(), self._region.fd, self._snapshot_fd, *{one.fd for one in listeners}]
        place.slot.claim(0, self._generation, time.monotonic_ns())
        try:
            channel: Channel[SupervisorMessage] = Channel(ours, SupervisorMessage)
            child = Child.start(f"tidegate-worker-{index}", "tidegate.process.worker", order, channel, fds)
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        place.slot.pid = child.pid
        place.fill(child)
        return child

    def heard(self, place: WorkerPlace, message: SupervisorMessage) -> None:
        """A worker said something."""
        match message:
            case Prepared():
                place.has_prepared = True
                self._serve_who_can()
            case Serving():
                place.is_listening = True
                self.steer()
            case ListeningEnded():
                place.is_told_to_serve = place.is_listening = False
            case _:
                pass

    def died(self, place: WorkerPlace, reason: str) -> float:
        """The worker of ``place`` is dead; returns the seconds until its successor may start."""
        if self.is_draining:
            place.retire()
            return 0.0
        delay_s = place.vacate(reason)
        self.steer()
        # It may have been the one that all others waited for.
        self._serve_who_can()
        return delay_s

    def _serve_who_can(self) -> None:
        if self.is_draining:
            return
        waiting = [place for place in self.places if place.child is not None and not place.is_told_to_serve]
        ready = [place for place in waiting if place.has_prepared]
        if self._region.snapshot_number < self._snapshot_number:
            if not ready or len(ready) < len(waiting):
                return
            self._region.snapshot_number = self._snapshot_number
        for place in ready:
            place.is_told_to_serve = True
            self._tell(place, Serve())

    # -- steering --------------------------------------------------------------------------------------------------

    @property
    def live(self) -> list[int]:
        """The slots that new connections may be sent to."""
        return [place.slot.index for place in self.places if place.is_live]

    def steer_around(self, place: WorkerPlace, *, is_out: bool) -> None:
        """Takes a slot out although its worker lives, or puts it back; what waits in it stays there."""
        place.is_steered_out = is_out
        self.steer()

    def steer(self) -> None:
        """Sends new connections to the live slots; the sockets themselves are not touched."""
        live = self.live
        if live == self._live or self.is_draining:
            return
        self._live = live
        for group in self._groups:
            try:
                group.steer(live)
            except OSError as error:
                if not self._said_not_steered:
                    self._said_not_steered = True
                    self._say(
                        "not_steered",
                        f"the kernel takes no steering program ({error.strerror}): its own hash spreads connections, "
                        "and those of a dead worker wait for its successor",
                    )

    # -- the end ---------------------------------------------------------------------------------------------------

    def drain(self, timeout_s: float) -> None:
        """Lets every worker finish what it has; who does not serve yet is stopped."""
        self.is_draining = True
        self._drain_deadline_s = time.monotonic() + timeout_s + 1.0
        for group in self._groups:
            group.admit_nobody()
        for place in self.places:
            place.start_at_s = None
            if place.child is None:
                continue
            if place.is_told_to_serve:
                self._tell(place, Drain(timeout_s=timeout_s))
            else:
                place.child.kill()

    def kill(self) -> None:
        """Ends all workers at once."""
        self.is_draining = True
        self._drain_deadline_s = math.inf
        for place in self.places:
            place.start_at_s = None
            if place.child is not None:
                place.child.kill()

    @property
    def is_listening(self) -> bool:
        """Whether a worker still accepts what waits in its sockets."""
        return any(place.child is not None and place.is_told_to_serve for place in self.places)

    @property
    def is_gone(self) -> bool:
        """Whether no worker is left."""
        return all(place.child is None for place in self.places)

    def overdue(self, now_s: float) -> list[WorkerPlace]:
        """Workers that have neither prepared nor drained in time; each drain is called late once."""
        if self.is_draining:
            if now_s < self._drain_deadline_s:
                return []
            self._drain_deadline_s = math.inf
            return [place for place in self.places if place.child is not None]
        return [
            place
            for place in self.places
            if place.child is not None and not place.has_prepared and now_s - place.started_s > _PREPARE_TIMEOUT_S
        ]

    def statuses(self) -> list[WorkerStatus]:
        """Every slot, for control."""
        return [place.status() for place in self.places]

    def reopen_logs(self) -> None:
        """Every worker opens its error log anew."""
        for place in self.places:
            self._tell(place, ReopenLogs())

    def _tell(self, place: WorkerPlace, message: Serve | Drain | ReopenLogs) -> None:
        if place.child is not None and place.child.channel is not None:
            place.child.channel.send(message)
