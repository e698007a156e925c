"""Where a process belongs: the one that is there now, and when the next may start."""

import time
from dataclasses import dataclass, field

import msgspec

from tidegate.memory.slot import Slot, SlotState
from tidegate.process.channel import Channel
from tidegate.process.child import Child
from tidegate.process.handover import PlaceState
from tidegate.process.messages import Companion, SupervisorMessage, WorkerStatus
from tidegate.process.respawn import Respawn
from tidegate.process.stack_pipe import StackPipe

__all__ = ["Place", "WorkerPlace"]


@dataclass
class Place:
    """Is filled again when its process dies."""

    name: str
    respawn: Respawn = field(default_factory=Respawn)
    last_death: str = ""
    # the process in it now
    child: Child | None = None
    started_s: float = 0.0
    has_prepared: bool = False
    ready_s: float | None = None  # since when it does its work; None: not yet
    # the one to come; None: nobody
    start_at_s: float | None = 0.0

    def fill(self, child: Child) -> None:
        """A process was started for this place."""
        self.child = child
        self.started_s = time.monotonic()
        self.start_at_s = None
        self.has_prepared = False
        self.ready_s = None

    def begins_to_serve(self) -> None:
        """The process in it does its work from now on."""
        if self.ready_s is None:
            self.ready_s = time.monotonic()

    def start_companion(self, companion: Companion) -> Child:
        """Starts a program of somebody else here. OSError: it could not be started."""
        child = Child.start_program(companion.name, companion.argv, companion.fds)
        self.fill(child)
        return child

    def retire(self) -> None:
        """Its process has ended as it should, and none follows."""
        self.child = None
        self.has_prepared = False
        self.start_at_s = None

    def vacate(self, reason: str) -> float:
        """Its process is dead, or could not be made; returns the seconds until the next may start."""
        now_s = time.monotonic()
        lived_s = 0.0 if self.child is None else now_s - self.started_s
        served_s = 0.0 if self.child is None or self.ready_s is None else now_s - self.ready_s
        self.child = None
        self.last_death = reason
        self.has_prepared = False
        delay_s = self.respawn.died(lived_s, served_s)
        self.start_at_s = now_s + delay_s
        return delay_s

    def state(self) -> PlaceState:
        """What `adopt` needs."""
        channel = None if self.child is None else self.child.channel
        return PlaceState(
            name=self.name,
            pid=0 if self.child is None else self.child.pid,
            channel_fd=-1 if channel is None else channel.fileno(),
            started_s=self.started_s,
            start_at_s=self.start_at_s,
            has_prepared=self.has_prepared,
            last_death=self.last_death,
            restarts=self.respawn.restarts,
        )

    def adopt(self, state: PlaceState) -> None:
        """Takes over the process that the program which this process ran before has started here."""
        self.last_death = state.last_death
        self.respawn.restarts = state.restarts
        if state.pid:
            channel: Channel[SupervisorMessage] | None = None
            if state.channel_fd >= 0:
                channel = Channel.inherited(state.channel_fd, SupervisorMessage)
            self.fill(Child(self.name, state.pid, channel))
        self.started_s = state.started_s
        self.start_at_s = state.start_at_s
        self.has_prepared = state.has_prepared
        self.ready_s = state.started_s if state.has_prepared else None  # when exactly makes no difference by now


@dataclass(kw_only=True)
class WorkerPlace(Place):
    """A worker's place: its sockets and its slot of the shared memory stay, the workers in it come and go.

    ``seat``: which of each listener's sockets; a place of the next generation has the same seat and another slot.
    """

    slot: Slot
    seat: int
    is_told_to_serve: bool = False
    is_listening: bool = False
    is_steered_out: bool = False
    prepared: int = 0  # the newest snapshot that the worker in it has reported
    # what the stall watch knows
    stacks: StackPipe | None = None
    stalled_in: str = ""

    def fill(self, child: Child) -> None:
        super().fill(child)
        self.prepared = 0
        self.is_told_to_serve = False
        self.is_listening = False

    def retire(self) -> None:
        self._give_back(SlotState.EMPTY)
        super().retire()

    def vacate(self, reason: str) -> float:
        self._give_back(SlotState.DEAD)
        return super().vacate(reason)

    def state(self) -> PlaceState:
        return msgspec.structs.replace(
            super().state(),
            is_told_to_serve=self.is_told_to_serve,
            is_listening=self.is_listening,
            prepared=self.prepared,
            stacks_fd=-1 if self.stacks is None else self.stacks.fileno(),
        )

    def adopt(self, state: PlaceState) -> None:
        super().adopt(state)
        self.is_told_to_serve = state.is_told_to_serve
        self.is_listening = state.is_listening
        self.prepared = state.prepared
        if state.stacks_fd >= 0:
            self.stacks = StackPipe(state.stacks_fd)

    def _give_back(self, state: SlotState) -> None:
        self.slot.state = state
        self.slot.give_back()
        self.is_told_to_serve = False
        self.is_listening = False
        self.is_steered_out = False
        self.prepared = 0
        self.stalled_in = ""
        self.slot.stalled_since_ns = 0
        if self.stacks is not None:
            self.stacks.close()
            self.stacks = None

    @property
    def is_live(self) -> bool:
        """Whether new connections may be sent here."""
        return self.child is not None and self.is_listening and not self.is_steered_out

    def status(self) -> WorkerStatus:
        """What shared memory does not say about it."""
        return WorkerStatus(
            slot=self.slot.index,
            restarts=self.respawn.restarts,
            last_death=self.last_death,
            stalled_in=self.stalled_in,
        )
