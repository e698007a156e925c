"""Another program takes over while this one serves: checked, started beside it, rehearsed, and only then told to serve.

    asked ──> CHECKING     a candidate of the new program maps the memory, reads the configuration, imports everything
          ──> STARTING     new workers and a new control start beside the old, at the same sockets, and wait
          ──> REHEARSING   a process of the new program adopts all descriptors and children, and ends
          ──> TAKING_OVER  the new workers serve beside the old; when all of them do, the old ones drain
          ──> HANDING_OVER the old control writes its logs and ends, the new one answers
          ──> the supervisor becomes the new program's, in the same process (`succession`)

Rules:
- Whatever fails up to the moment when all new workers serve ends the attempt: the new ones go, the old ones go on. A
  new worker that has accepted a connection by then drains.
- Nothing of the old generation is told anything before that moment.
- One attempt at a time, none while a reload is under way, and none while the generation before still drains: it has
  the slots that the next one needs.
"""

import enum
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from tidegate.process import succession
from tidegate.process.child import Child
from tidegate.process.control_place import ControlPlace
from tidegate.process.messages import Checked, Finish, Serve, SupervisorMessage, UpgradeAsked, UpgradeStatus
from tidegate.process.place import Place, WorkerPlace
from tidegate.process.trial import CandidatePlace, RehearsalPlace
from tidegate.process.workforce import Workforce

if TYPE_CHECKING:
    from tidegate.process.supervisor import Supervisor

__all__ = ["Phase", "Upgrade"]

_FINISH_S = 5.0  # for the old control to write out the logs


class Phase(enum.Enum):
    """How far an attempt is."""

    CHECKING = "checking"
    STARTING = "starting"
    REHEARSING = "rehearsing"
    TAKING_OVER = "taking over"
    HANDING_OVER = "handing over"
    DONE = "done"
    FAILED = "failed"


class Upgrade:
    """One attempt, driven by the supervisor's loop."""

    def __init__(self, supervisor: "Supervisor", asked: UpgradeAsked) -> None:
        server = supervisor.active_snapshot().gateway.server
        self.phase = Phase.CHECKING
        self.program = asked.program
        self.reason = ""
        self._attempt = asked.attempt
        self._supervisor = supervisor
        self._version = ""
        self._timeout_s = server.upgrade_timeout
        self._drain_s = server.upgrade_drain_timeout or server.drain_timeout
        self._deadline_s = time.monotonic() + self._timeout_s
        self._old = supervisor.workers
        self._old_control: ControlPlace | None = None
        self._candidate = CandidatePlace(
            "the new program",
            order=supervisor.order,
            program=self.program,
            region_fd=supervisor.holdings.region.fd,
            workers=self._old,
        )
        self._rehearsal: RehearsalPlace | None = None
        self._past_rehearsal: RehearsalPlace | None = None
        self.workers: Workforce | None = None
        self.control: ControlPlace | None = None
        self._old.is_followed = True

    def __repr__(self) -> str:
        return f"<Upgrade {self._attempt} {self.phase.value} {self.workers!r}>"

    def status(self) -> UpgradeStatus:
        """How it stands, for who asked."""
        generation = self._old.generation + (self.phase is not Phase.FAILED)
        return UpgradeStatus(self._attempt, self.phase.value, generation, self._version, self.reason)

    # -- what the supervisor's loop asks and tells -----------------------------------------------------------------

    def places(self) -> Iterator[tuple[Place, Callable[[], Child]]]:
        """Those of the new program that are not the supervisor's yet."""
        if self.phase is Phase.CHECKING:
            yield self._candidate, self._candidate.start
        if self._rehearsal is not None:
            yield self._rehearsal, self._rehearsal.start
        if self.phase in (Phase.STARTING, Phase.REHEARSING, Phase.TAKING_OVER):
            if self.workers is not None:
                for place in self.workers.places:
                    yield place, partial(self.workers.start, place)
            if self.control is not None:
                yield self.control, self.control.start

    def owns(self, place: Place) -> bool:
        """Whether a process belongs to the attempt."""
        return place is self._candidate or any(one is place for one, _ in self.places())

    def heard(self, place: Place, message: SupervisorMessage) -> None:
        """A process of the attempt said something."""
        if isinstance(message, Checked):
            self._version = message.version
            self._start_generation(message.fd)
        elif isinstance(place, WorkerPlace) and self.workers is not None:
            self.workers.heard(place, message)
        else:
            place.has_prepared = True

    def died(self, place: Place, reason: str) -> None:
        """A process of the attempt has ended, or could not be started."""
        place.retire()
        if place is self._rehearsal and reason == "exited with code 0":
            self._rehearsal = None
            self._take_over()
        elif place is self._candidate and self.phase is not Phase.CHECKING:
            pass  # it has said all it had to
        elif isinstance(place, CandidatePlace | RehearsalPlace):
            self.fail(place.why(reason))
        else:
            self.fail(f"{place.name} of the new program: {reason}")

    def step(self) -> None:
        """Goes on as far as it can; to be called whenever something happened, and in time."""
        if self.phase is Phase.HANDING_OVER:
            self._hand_over()
        elif self.phase is Phase.STARTING:
            if self._are_prepared():
                self._rehearse()
        elif self.phase is Phase.TAKING_OVER and self._are_live():
            self._commit()
        is_decided = self.is_over or self.phase is Phase.HANDING_OVER
        if not is_decided and time.monotonic() >= self._deadline_s:
            self.fail(f"not ready within {self._timeout_s:g} s ({self._waits_for()})")

    @property
    def deadline_s(self) -> float:
        """When something is due at the latest."""
        return self._deadline_s

    def fail(self, reason: str) -> None:
        """Ends the attempt: the new ones go, the old ones go on as if nothing had happened."""
        if self.is_over or self.phase is Phase.HANDING_OVER:
            return
        at = self.phase
        self.phase = Phase.FAILED
        self.reason = reason
        self._old.is_followed = False
        for place in (self._candidate, self._rehearsal, self.control):
            if place is not None:
                self._supervisor.let_go(place)
        self._rehearsal = None
        if self.workers is not None:
            # Who serves already finishes what it has; who does not is stopped.
            self.workers.give_way(self._drain_s)
            self._supervisor.retired.append(self.workers)
        self._supervisor.log.say(
            "upgrade_failed", f"while {at.value}: {reason}; the gateway goes on as it was", "error"
        )

    # -- phases ----------------------------------------------------------------------------------------------------

    def _start_generation(self, snapshot_fd: int) -> None:
        supervisor = self._supervisor
        if snapshot_fd < 0:
            self.fail("the supervisor has no descriptor left for the configuration")
            return
        self.phase = Phase.STARTING
        self.workers = Workforce(
            supervisor.holdings.region,
            supervisor.holdings.groups,
            program=self.program,
            service=supervisor.order.service,
            say=supervisor.log.say,
            generation=self._old.generation + 1,
            is_held=True,
        )
        self.workers.use_snapshot(self._old.snapshot_number, snapshot_fd)
        self.workers.highest_number = self._old.highest_number
        if supervisor.control is not None:
            self.control = supervisor.make_control(self.workers, self.program, is_standby=True)
        supervisor.log.say(
            "upgrade_starting", f"generation {self.workers.generation} starts: version {self._version}", "info"
        )

    def _are_prepared(self) -> bool:
        workers_are = self.workers is not None and self.workers.has_prepared
        return workers_are and (self.control is None or self.control.has_prepared)

    def _are_live(self) -> bool:
        return self.workers is not None and len(self.workers.live) == len(self.workers.places)

    def _waits_for(self) -> str:
        if self.phase is Phase.STARTING and self.workers is not None:
            late = [place.name for place in self.workers.places if place.prepared < self.workers.snapshot_number]
            late += [] if self.control is None or self.control.has_prepared else [self.control.name]
            return f"{self.phase.value}: {', '.join(late)}"
        return self.phase.value

    def _rehearse(self) -> None:
        assert self.workers is not None  # noqa: S101 - narrows the type
        self.phase = Phase.REHEARSING
        retired = [*self._supervisor.retired, self._old]
        handover = succession.handover(self._supervisor, self.program, self.workers, retired, self.control)
        self._rehearsal = self._past_rehearsal = RehearsalPlace("the new supervisor", handover=handover)

    def _take_over(self) -> None:
        assert self.workers is not None  # noqa: S101 - narrows the type
        self.phase = Phase.TAKING_OVER
        self.workers.release()

    def _commit(self) -> None:
        """The new workers serve: from here on there is no way back, and none is needed."""
        supervisor = self._supervisor
        assert self.workers is not None  # noqa: S101 - narrows the type
        self.phase = Phase.HANDING_OVER
        self._deadline_s = time.monotonic() + _FINISH_S
        supervisor.retired.append(self._old)
        supervisor.lead_with(self.workers)
        self._old.give_way(self._drain_s)
        self.workers.lead()
        self._old_control = supervisor.control
        supervisor.control = self.control
        if self._old_control is not None:
            self._old_control.start_at_s = None
            self._old_control.send(Finish())
        supervisor.log.say(
            "upgrade_switched",
            f"generation {self.workers.generation} serves; the workers of generation {self._old.generation} finish "
            f"what they have within {self._drain_s:g} s",
            "info",
        )

    def _hand_over(self) -> None:
        old = self._old_control
        if old is not None and old.child is not None:
            if time.monotonic() < self._deadline_s:
                return
            self._supervisor.let_go(old)
            self._deadline_s = time.monotonic() + _FINISH_S
            return
        if self.control is not None and self.control.is_standby:
            self.control.is_standby = False
            self.control.send(Serve())
        if self._supervisor.stage.value != "running":
            self.phase = Phase.DONE  # the gateway stops: who watches it to its end does not matter
            return
        if self._supervisor.inbox.is_empty:  # or first things first
            self.phase = Phase.DONE
            self.reason = succession.hand_over(self._supervisor, self.program)
            self._supervisor.log.say("upgrade_incomplete", f"the old supervisor stays: {self.reason}", "error")

    @property
    def is_over(self) -> bool:
        """Whether the attempt has come to its end."""
        return self.phase in (Phase.DONE, Phase.FAILED)

    def close(self) -> None:
        """Nothing of it is needed any more."""
        for place in (self._candidate, self._past_rehearsal):
            if place is not None:
                place.close()
