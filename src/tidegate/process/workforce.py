"""The worker slots and who is in them: start, switch, steer, replace, drain.

start ──> Prepared ──> all first workers prepared: the switch ──> Serve ──> Serving: live
                       a successor: at once ────────────────────^
death ──> the slot's gauges go to zero, new connections go elsewhere, a successor gets the same sockets
publish ──> `publication`: all that serve have prepared: the switch; or all forget it
"""

import contextlib
import math
import os
import time
from collections.abc import Callable, Sequence

import msgspec

from tidegate.memory.region import Region
from tidegate.observe.log_writer import Say
from tidegate.process.channel import Channel, channel_pair
from tidegate.process.child import Child
from tidegate.process.handover import WorkforceState
from tidegate.process.listeners import ListenerGroup
from tidegate.process.messages import (
    Drain,
    InheritedListener,
    ListeningEnded,
    Prepared,
    Refused,
    ReopenLogs,
    Serve,
    Serving,
    SupervisorMessage,
    TakePlace,
    WorkerOrder,
    WorkerStatus,
)
from tidegate.process.place import WorkerPlace
from tidegate.process.program import Program
from tidegate.process.publication import Publication
from tidegate.process.spare_place import NO_SLOT, SparePlace
from tidegate.process.stack_pipe import StackPipe

__all__ = ["Workforce"]

_PREPARE_TIMEOUT_S = 60.0
_DRAIN_GRACE_S = 1.0  # for a worker to close what is left, and to end


class Workforce:
    """All workers of one generation."""

    def __init__(
        self,
        region: Region,
        groups: Sequence[ListenerGroup],
        *,
        program: Program,
        service: str,
        say: Say,
        generation: int = 1,
        is_held: bool = False,
    ) -> None:
        # Two generations live at once while one follows the other: odd and even ones have slots of their own.
        first = 0 if generation % 2 else region.slots - region.workers
        self.places = [
            WorkerPlace(f"worker {seat}", slot=region.slot(first + seat), seat=seat) for seat in range(region.workers)
        ]
        self.spare = SparePlace("spare worker")
        self.is_draining = False
        self._region = region
        self._groups = groups
        self.program = program
        self._service = service
        self._say = say
        self.generation = generation
        self.is_held = is_held  # nobody serves before `release`: another generation does
        self.is_leading = not is_held  # steers
        self.is_followed = False  # another generation is about to take over
        self._live: list[int] | None = None
        self._said_not_steered = False
        self.drain_deadline_s = math.inf
        # the snapshot that new workers build; the region says which one is active
        self.snapshot_number = 0
        self.snapshot_fd = -1
        # the one on its way, and the highest number ever tried
        self._publication: Publication | None = None
        self._published: Callable[[list[str]], None] = _nobody
        self.highest_number = 0

    def __repr__(self) -> str:
        states = " ".join(place.slot.state.name.lower() for place in self.places)
        return f"<Workforce generation={self.generation} snapshot={self.snapshot_number} {states}>"

    # -- life ------------------------------------------------------------------------------------------------------

    def use_snapshot(self, number: int, fd: int) -> None:
        """Workers started from now on build this snapshot; the descriptor is ours, the one before it is closed."""
        if self.snapshot_fd >= 0 and self.snapshot_fd != fd:
            os.close(self.snapshot_fd)
        self.snapshot_number = number
        self.snapshot_fd = fd
        self.highest_number = max(self.highest_number, number)

    def start(self, place: WorkerPlace) -> Child:
        """Starts a worker in an empty slot. OSError: no process could be made."""
        place.slot.claim(0, self.generation, time.monotonic_ns())
        child = self._take_spare(place)
        if child is None:
            place.stacks = StackPipe()
            order = self._order(place.slot.index, self._listeners(place.seat), self.snapshot_fd, place.stacks)
            child = self._spawn(f"tidegate-worker-{place.seat}", "tidegate.process.worker", order, place.stacks)
        place.slot.pid = child.pid
        place.fill(child)
        if self._publication is not None:
            self._publication.propose_to(place)
        return child

    def start_spare(self) -> Child:
        """Starts a worker that waits for a place. OSError: no process could be made."""
        listeners = [one for place in self.places for one in self._listeners(place.seat)]
        stacks = self.spare.stacks = StackPipe()
        order = self._order(NO_SLOT, listeners, -1, stacks)
        child = self._spawn("tidegate-spare", "tidegate.process.spare", order, stacks)
        self.spare.fill(child)
        return child

    def _take_spare(self, place: WorkerPlace) -> Child | None:
        """The spare, which has been told that it belongs in ``place``; None when there is none that could."""
        waiting = self.spare.child
        if waiting is None or waiting.channel is None or not self.spare.is_ready:
            return None
        told = TakePlace(slot=place.slot.index, listeners=self._listeners(place.seat), fd=self.snapshot_fd)
        if not waiting.channel.send(told):
            return None
        child, place.stacks = self.spare.leave()
        return child

    def _listeners(self, seat: int) -> list[InheritedListener]:
        return [InheritedListener(index=i, fd=group.fd(seat)) for i, group in enumerate(self._groups)]

    def _order(self, slot: int, listeners: list[InheritedListener], snapshot_fd: int, stacks: StackPipe) -> WorkerOrder:
        return WorkerOrder(
            slot=slot,
            channel_fd=-1,
            region_fd=self._region.fd,
            snapshot_fd=snapshot_fd,
            listeners=listeners,
            python_path=self.program.python_path,
            service=self._service,
            bell_fds=self._region.bell_fds,
            stack_fd=stacks.writer_fd,
        )

    def _spawn(self, name: str, module: str, order: WorkerOrder, stacks: StackPipe) -> Child:
        ours, theirs = channel_pair()
        order = msgspec.structs.replace(order, channel_fd=theirs.fileno())
        fds = {order.channel_fd, *self._region.descriptors, order.snapshot_fd, order.stack_fd}
        fds = {fd for fd in fds if fd >= 0} | {one.fd for one in order.listeners}
        try:
            channel: Channel[SupervisorMessage] = Channel(ours, SupervisorMessage)
            return Child.start(name, module, order, channel, fds=list(fds), program=self.program)
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
            stacks.handed_on()

    def heard(self, place: WorkerPlace, message: SupervisorMessage) -> None:
        """A worker said something."""
        match message:
            case Prepared():
                place.has_prepared = True
                place.prepared = max(place.prepared, message.snapshot)
                self.conclude()
                self._serve_who_can()
            case Refused():
                self._heard_refusal(place, message)
            case Serving():
                place.is_listening = True
                place.begins_to_serve()
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
        self.conclude()
        self._serve_who_can()
        return delay_s

    @property
    def has_prepared(self) -> bool:
        """Whether every worker could serve."""
        return all(place.child is not None and place.prepared >= self.snapshot_number for place in self.places)

    def release(self) -> None:
        """Lets those serve who were held back, at the sockets where the generation before still serves."""
        self.is_held = False
        self._serve_who_can()

    def lead(self) -> None:
        """From now on new connections go where this generation lives."""
        self.is_leading = True
        self.steer()

    def _serve_who_can(self) -> None:
        if self.is_draining or self.is_held:
            return
        waiting = [place for place in self.places if place.child is not None and not place.is_told_to_serve]
        ready = [place for place in waiting if place.prepared >= self.snapshot_number]
        if self._region.snapshot_number < self.snapshot_number:
            if not ready or len(ready) < len(waiting):
                return
            self._region.snapshot_number = self.snapshot_number
        for place in ready:
            place.is_told_to_serve = True
            self._tell(place, Serve())

    # -- a new snapshot --------------------------------------------------------------------------------------------

    def publish(self, number: int, fd: int, tell: Callable[[list[str]], None]) -> None:
        """Makes a snapshot active on all workers or on none.

        Args:
            number: higher than any tried before.
            fd: its memory file, ours from now on; -1 when there was no room for the descriptor.
            tell: called once with the reasons against it; with none when it is active.
        """
        reason = ""
        if fd < 0:
            reason = "the supervisor has no descriptor left for it"
        elif self.is_draining or self._region.snapshot_number == 0:
            reason = "the gateway is draining" if self.is_draining else "the gateway is still starting"
        elif self.is_followed:
            reason = "the gateway is being upgraded; try again when that has ended"
        elif self._publication is not None:
            reason = f"number {self._publication.number} is on its way to the workers; try again when that has ended"
        elif number <= self.highest_number:
            reason = f"number {number} is not higher than {self.highest_number}, which was tried before"
        if reason:
            if fd >= 0:
                os.close(fd)
            tell([reason])
            return
        self.highest_number = number
        self._published = tell
        self._publication = Publication(number, fd, self.places, time.monotonic())
        self.conclude()

    def abandon(self, reason: str) -> None:
        """Ends what is being published, if anything is: nobody is left to be told, or the gateway ends."""
        if self._publication is not None:
            self._publication.give_up(reason)
            self.conclude()

    def conclude(self) -> None:
        """Switches or withdraws as soon as it can be said which; to be called when something happened, and in time."""
        publication = self._publication
        reasons = None if publication is None else publication.verdict(time.monotonic())
        if publication is None or reasons is None:
            return
        self._publication = None
        if reasons:
            publication.withdraw()
            os.close(publication.fd)
        else:
            self._region.snapshot_number = publication.number
            self.use_snapshot(publication.number, publication.fd)
        self._published(reasons)
        self._serve_who_can()

    @property
    def publishes_until_s(self) -> float | None:
        """When what is being published fails at the latest."""
        return None if self._publication is None else self._publication.deadline_s

    def _heard_refusal(self, place: WorkerPlace, message: Refused) -> None:
        if self._publication is not None and self._publication.number == message.snapshot:
            self._publication.refused(place, message.reason)
            self.conclude()
        elif message.snapshot == self.snapshot_number and place.child is not None:
            # It began before the switch and cannot follow: the next one begins with what is active.
            place.child.last_words = message.reason
            place.child.kill()

    # -- steering --------------------------------------------------------------------------------------------------

    @property
    def live(self) -> list[int]:
        """The seats that new connections may be sent to."""
        return [place.seat for place in self.places if place.is_live]

    def steer_around(self, place: WorkerPlace, *, is_out: bool) -> None:
        """Takes a slot out although its worker lives, or puts it back; what waits in it stays there."""
        place.is_steered_out = is_out
        self.steer()

    def steer(self) -> None:
        """Sends new connections to the live slots; the sockets themselves are not touched."""
        live = self.live
        if live == self._live or self.is_draining or not self.is_leading:
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

    def measure_queues(self) -> None:
        """Tells everybody through shared memory how many connections wait in each slot's sockets."""
        if self.is_draining:
            return
        for place in self.places:
            with contextlib.suppress(OSError):
                place.slot.queued = sum(group.queued(place.seat) for group in self._groups)

    # -- the end ---------------------------------------------------------------------------------------------------

    def drain(self, timeout_s: float) -> None:
        """Lets every worker finish what it has; who does not serve yet is stopped."""
        for group in self._groups:
            group.admit_nobody()
        self.give_way(timeout_s)

    def give_way(self, timeout_s: float) -> None:
        """As `drain`, but others go on accepting at the same sockets."""
        self.abandon("the gateway is draining")
        self.is_draining = True
        # A generation that gave way already keeps its deadline, unless this one is sooner.
        self.drain_deadline_s = min(self.drain_deadline_s, time.monotonic() + timeout_s)
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
        self.abandon("the gateway is stopping")
        self.is_draining = True
        self.drain_deadline_s = math.inf
        for place in self.places:
            place.start_at_s = None
            if place.child is not None:
                place.child.kill()

    @property
    def is_listening(self) -> bool:
        """Whether a worker still accepts what waits in its sockets."""
        return any(place.child is not None and place.is_told_to_serve for place in self.places)

    def close(self) -> None:
        """Nobody follows: gives up the snapshot."""
        os.close(self.snapshot_fd)
        self.snapshot_fd = -1

    @property
    def is_gone(self) -> bool:
        """Whether no worker is left."""
        return all(place.child is None for place in self.places)

    def overdue(self, now_s: float) -> list[WorkerPlace]:
        """Workers that have neither prepared nor drained in time; each drain is called late once."""
        if self.is_draining:
            if now_s < self.drain_deadline_s + _DRAIN_GRACE_S:
                return []
            self.drain_deadline_s = math.inf
            return [place for place in self.places if place.child is not None]
        return [
            place
            for place in self.places
            if place.child is not None
            and place.prepared < self.snapshot_number
            and not place.is_told_to_serve
            and now_s - place.started_s > _PREPARE_TIMEOUT_S
        ]

    def statuses(self) -> list[WorkerStatus]:
        """Every slot, for control."""
        statuses = [place.status() for place in self.places]
        if not self.is_draining or math.isinf(self.drain_deadline_s):
            return statuses
        until_s = self.drain_deadline_s
        return [msgspec.structs.replace(status, drains_until_s=until_s) for status in statuses]

    # -- another program takes over --------------------------------------------------------------------------------

    def state(self) -> WorkforceState:
        """What `adopt` needs."""
        return WorkforceState(
            generation=self.generation,
            places=[place.state() for place in self.places],
            snapshot_number=self.snapshot_number,
            snapshot_fd=self.snapshot_fd,
            highest_number=self.highest_number,
            is_draining=self.is_draining,
            drain_deadline_s=self.drain_deadline_s,
        )

    def adopt(self, state: WorkforceState) -> None:
        """Takes over the workers that the program which this process ran before has started."""
        self.use_snapshot(state.snapshot_number, state.snapshot_fd)
        self.highest_number = state.highest_number
        self.is_draining = state.is_draining
        self.drain_deadline_s = state.drain_deadline_s
        for place, left in zip(self.places, state.places, strict=True):
            place.adopt(left)
        self._live = self.live

    def reopen_logs(self) -> None:
        """Every worker opens its error log anew."""
        for place in self.places:
            self._tell(place, ReopenLogs())

    def _tell(self, place: WorkerPlace, message: Serve | Drain | ReopenLogs) -> None:
        if place.child is not None and place.child.channel is not None:
            place.child.channel.send(message)


def _nobody(reasons: list[str]) -> None:
    """Nothing is being published."""
