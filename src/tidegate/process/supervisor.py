"""The supervisor: owns the listening sockets and the shared memory, starts and replaces processes, never serves.

Rules:
- It does nothing that can block or grow: no requests, no files after the start, no names to resolve. Everything it
  learns comes as a readable descriptor (signal, pidfd, channel), and everything it waits for has a time.
- A dead worker's successor gets the same sockets, with whatever waits in them; meanwhile new connections are steered to
  the slots that live.
- A worker builds the snapshot, reports, and serves when told. The switch is one store into the shared region.
- Before the gateway was ready for the first time, a process that fails ends the start, with its reason as one line.
  Afterwards nothing but a signal (or control, asked by the operator) ends it.
- SIGTERM and SIGINT drain, a second one stops at once; SIGUSR1 reopens the logs. SIGHUP asks control to read the
  configuration again; it drains when it comes because the terminal was closed (not under nohup): nobody is left there
  to press Ctrl-C.
- A new snapshot is published by `workforce`: active on all workers or on none.

Workers and control notice its death by the end of their channel; they do not outlive it.
"""

import contextlib
import enum
import math
import os
import selectors
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from tidegate.config.bounds import clients_of_a_worker, descriptor_limit
from tidegate.config.snapshot import Snapshot
from tidegate.process import belongings, state_directory, succession
from tidegate.process.attempts import Attempts
from tidegate.process.channel import ChannelClosed
from tidegate.process.child import Child
from tidegate.process.control_place import ControlPlace
from tidegate.process.descriptors import compare, raise_limit
from tidegate.process.failure import EXIT_FAILED, StartError, report
from tidegate.process.handover import Handover
from tidegate.process.holdings import Holdings
from tidegate.process.identity import Identity
from tidegate.process.lifecycle import Lifecycle
from tidegate.process.logs import open_error_log
from tidegate.process.measurement_relay import forward
from tidegate.process.messages import (
    Failed,
    Finish,
    MeasureAsked,
    NotPublished,
    Prepared,
    Publish,
    Published,
    ReloadAsked,
    ReopenLogs,
    Roster,
    Serving,
    StopAsked,
    SupervisorMessage,
    SupervisorOrder,
    UpgradeAsked,
    read_memory_file,
    read_order,
)
from tidegate.process.native_stack import NativeStacks
from tidegate.process.notify import Notifier
from tidegate.process.place import Place, WorkerPlace
from tidegate.process.program import Program
from tidegate.process.signals import SignalInbox, has_terminal
from tidegate.process.spare_place import SparePlace
from tidegate.process.stack_samples import StackSamples
from tidegate.process.stall_watch import StallWatch
from tidegate.process.workforce import Workforce

__all__ = ["Supervisor", "main"]

_LISTENING_END_S = 2.0  # for workers to accept what waits when the gateway stops
_FINISH_S = 5.0  # for control to write out the logs
_FINISH_AT_ONCE_S = 1.0
_QUEUES_PERIOD_S = 0.5


class Stage(enum.Enum):
    """Where in its life the gateway is."""

    STARTING = "starting"
    RUNNING = "running"
    DRAINING = "draining"
    FINISHING = "finishing"  # the workers are gone


class Supervisor:
    """One gateway, from its order to its exit code."""

    def __init__(self, order: SupervisorOrder, handover: Handover | None = None) -> None:
        self.stage = Stage.STARTING if handover is None else Stage.RUNNING
        self.order = order
        self.program = Program.running(order.python_path) if handover is None else handover.program
        self.started_ns = time.monotonic_ns()
        self.ends_with_terminal = False
        self.retired: list[Workforce] = []  # generations that were followed by another, until their last worker is gone
        self.control: ControlPlace | None = None
        self.companions = [Place(companion.name) for companion in order.companions]
        self._handover = handover
        self._failure: StartError | None = None
        self._deadline_s: float | None = None  # for what the present stage waits for
        self._queues_due_s = 0.0
        self._is_hurried = False
        self.attempts = Attempts(self)
        self._notifier = Notifier()
        self._selector = selectors.DefaultSelector()
        self._at_the_end = contextlib.ExitStack()

    @classmethod
    def adopt(cls, handover: Handover) -> "Supervisor":
        """The supervisor that goes on where the program that this process ran before has stopped."""
        supervisor = cls(handover.order, handover)
        supervisor.own()
        return supervisor

    def run(self) -> int:
        """Serves until told to stop; returns the exit code.

        Raises:
            StartError: the gateway could not start.
        """
        with self._at_the_end:
            if self._handover is None:
                self.own()
            else:
                succession.tell(self._handover, self.log)
            while not self._is_over():
                for key, _ in self._selector.select(self._patience()):
                    key.data()
                self._look_at_the_clock()
            if self._failure is not None:
                raise self._failure
            self.lives.stopped()
            return 0

    # -- what it owns ----------------------------------------------------------------------------------------------

    def own(self) -> None:
        """Makes, or adopts, sockets, memory and the places of all processes."""
        left = self._handover
        fd = self.order.snapshot_fd if left is None else left.workers.snapshot_fd
        self._snapshot = Snapshot.decode(read_memory_file(fd))
        gateway = self._snapshot.gateway
        self.ends_with_terminal = has_terminal() and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN
        self.inbox = SignalInbox(succession.SIGNALS)
        self._at_the_end.callback(self.inbox.close)
        self._selector.register(self.inbox, selectors.EVENT_READ, self._hear_signals)
        raise_limit()
        identity = Identity.wanted(gateway.server) if left is None else None
        if left is None:
            self.holdings = Holdings.open(self.order, self._snapshot, identity, self._is_told_to_end)
        else:
            self.holdings = Holdings.adopt(left.holdings)
        self._at_the_end.callback(self.holdings.close)
        if identity is not None:
            belongings.hand_over(gateway, identity)
            state_directory.stay()
            identity.take()
        self.log = open_error_log(gateway.error_log, self.holdings.region, process="supervisor")
        self._at_the_end.callback(self.log.close)
        for kind, message, level in self.holdings.notices:
            self.log.say(kind, message, level)
        if identity is not None:
            self._say_who(identity)
        self.native = NativeStacks()
        self._at_the_end.callback(self.native.close)
        self.lives = Lifecycle(self.log, self.started_ns if left is None else left.started_ns)
        self.lead_with(self._make_workforce(1 if left is None else left.workers.generation))
        if left is None:
            self.workers.use_snapshot(self._snapshot.number, fd)
            self.lives.starting(self._snapshot, len(self.workers.places))
        if self.order.has_control:
            self.control = self.make_control(self.workers, self.program)
        if left is not None:
            self._take_up(left)

    def _say_who(self, identity: Identity) -> None:
        groups = ", ".join(map(str, identity.groups))
        message = f"user {identity.name} from now on (uid {identity.uid}, groups {groups}); root is given up for good"
        self.log.say("root_given_up", message, "info")
        file = self._snapshot.origin.name
        if file and not os.access(file, os.R_OK):
            message = f"user {identity.name} may not read {file}: every reload of it will be refused"
            self.log.say("configuration_unreadable", message)

    def lead_with(self, workers: Workforce) -> None:
        """Those are the workers of the gateway from now on."""
        self.workers = workers
        self.stalls = StallWatch(self.holdings.region, workers, self.log.say, self.native)
        self.samples = StackSamples(self.holdings.region, workers)

    def _make_workforce(self, generation: int) -> Workforce:
        return Workforce(
            self.holdings.region,
            self.holdings.groups,
            program=self.program,
            service=self.order.service,
            say=self.log.say,
            generation=generation,
        )

    def make_control(self, workers: Workforce, program: Program, *, is_standby: bool = False) -> ControlPlace:
        """Control's place beside those workers."""
        return ControlPlace(
            "control",
            order=self.order,
            program=program,
            holdings=self.holdings,
            workers=workers,
            started_ns=self.started_ns,
            is_standby=is_standby,
        )

    def _take_up(self, left: Handover) -> None:
        """Children go on as they are; only who watches them is another program."""
        self.started_ns = left.started_ns
        self.ends_with_terminal = left.ends_with_terminal
        self.attempts.past = left.upgrades
        self.workers.adopt(left.workers)
        for state in left.retired:
            workforce = self._make_workforce(state.generation)
            workforce.adopt(state)
            self.retired.append(workforce)
        if self.control is not None and left.control is not None:
            self.control.started_ns = left.started_ns
            self.control.adopt(left.control)
        for place, companion in zip(self.companions, left.companions, strict=True):
            place.adopt(companion)
        for place, _ in self._places():
            if place.child is not None:
                self._watch(place, place.child)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, succession.SIGNALS)

    # -- the loop --------------------------------------------------------------------------------------------------

    def _places(self) -> Iterator[tuple[Place, Callable[[], Child]]]:
        for workforce in (self.workers, *self.retired):
            for place in workforce.places:
                yield place, partial(workforce.start, place)
        yield self.workers.spare, self.workers.start_spare
        yield from self.attempts.places()
        yield from self._helpers()

    def _helpers(self) -> Iterator[tuple[Place, Callable[[], Child]]]:
        if self.control is not None:
            yield self.control, self.control.start
        for place, companion in zip(self.companions, self.order.companions, strict=True):
            yield place, partial(place.start_companion, companion)

    def _workforce_of(self, place: WorkerPlace) -> Workforce:
        return next(one for one in (self.workers, *self.retired) if place in one.places)

    def _is_over(self) -> bool:
        return self.stage is Stage.FINISHING and all(place.child is None for place, _ in self._places())

    def _patience(self) -> float:
        """Seconds until something is due; every deadline is looked at twice a second at the latest."""
        now_s = time.monotonic()
        due = [place.start_at_s for place, _ in self._places() if place.start_at_s is not None]
        upgrade_s = None if self.attempts.current is None else self.attempts.current.deadline_s
        due += [at_s for at_s in (self._deadline_s, self.workers.publishes_until_s, upgrade_s) if at_s is not None]
        return max(0.0, min(_QUEUES_PERIOD_S, self.stalls.patience_s(), min(due, default=math.inf) - now_s))

    def _look_at_the_clock(self) -> None:
        now_s = time.monotonic()
        self._look_after_spare(now_s)
        for place, start in list(self._places()):
            if place.start_at_s is not None and now_s >= place.start_at_s and self._may_start(place):
                self._start(place, start)
        self.workers.conclude()
        for workforce in (self.workers, *self.retired):
            for late in workforce.overdue(now_s):
                assert late.child is not None  # noqa: S101 - narrows the type
                if workforce.is_draining:
                    self.lives.is_late |= self.stage is Stage.DRAINING  # of a generation before: no end of ours
                    self.log.say("drain_late", f"{late.name} has not finished in time: what it still serves is cut")
                else:
                    late.child.last_words = "was not ready in time"
                late.child.kill()
        for workforce in [one for one in self.retired if one.is_gone]:
            workforce.close()
            self.retired.remove(workforce)
        self.attempts.look()
        if self.stage is Stage.STARTING and self._is_ready():
            self.stage = Stage.RUNNING
            self._greet()
            compare(self._snapshot.gateway, len(self.workers.places), raise_limit(), self.log.say)
            self._notifier.say(READY="1", STATUS="serves")
        is_late = self._deadline_s is not None and now_s >= self._deadline_s
        if self.stage is Stage.DRAINING:
            if is_late or not self.workers.is_listening:
                self.holdings.close_listeners()
                self._deadline_s = None
            if self.workers.is_gone and not self.retired:
                self._finish()
        elif self.stage is Stage.FINISHING and is_late:
            for place, _ in self._helpers():
                if place.child is not None:
                    place.child.kill()
        if now_s >= self._queues_due_s:
            self._queues_due_s = now_s + _QUEUES_PERIOD_S
            self.workers.measure_queues()
        self.stalls.look()
        self._notifier.beat()
        self.samples.look()
        self.log.tick()
        self._tell_control()

    def _look_after_spare(self, now_s: float) -> None:
        """One is kept as long as all workers serve, and nothing else is going on."""
        spare = self.workers.spare
        if not self._wants_spare():
            self.let_go(spare)
        is_calm = self._wants_spare() and self._is_ready()
        spare.look(now_s, is_calm=is_calm, uptime_s=(time.monotonic_ns() - self.started_ns) / 1e9)

    def _wants_spare(self) -> bool:
        is_on = self._snapshot.gateway.server.spare_worker  # as at the start, like all that is the supervisor's
        return is_on and self.stage is Stage.RUNNING and self.attempts.current is None

    def _may_start(self, place: Place) -> bool:
        """Workers while the gateway serves; the others as long as there are workers to tell about or to answer."""
        if isinstance(place, WorkerPlace):
            return self.stage in (Stage.STARTING, Stage.RUNNING)
        return self.stage is not Stage.FINISHING

    def _start(self, place: Place, start: Callable[[], Child]) -> None:
        try:
            child = start()
        except OSError as error:
            self._ended(place, f"could not be started: {error.strerror or error}")
            return
        self.lives.process_started(place)
        self._watch(place, child)

    def _watch(self, place: Place, child: Child) -> None:
        known = self._selector.get_map()
        heard: list[tuple[Any, Callable[[], None]]] = [(child.pidfd, partial(self._reap, place, child))]
        if child.channel is not None:
            heard.append((child.channel, partial(self._listen_to, place, child)))
        for one, hear in heard:  # a spare that takes a place is known already, in another one
            (self._selector.modify if one in known else self._selector.register)(one, selectors.EVENT_READ, hear)

    def _listen_to(self, place: Place, child: Child) -> None:
        """Hears what a process says. Its channel closing is its end, whatever else it still does."""
        channel = child.channel
        if channel is None:
            return
        try:
            while (message := channel.receive()) is not None:
                self._heard(place, child, message)
        except ChannelClosed:
            self._selector.unregister(channel)
            channel.close()
            child.channel = None
            if place.child is child and self._is_needed(place):
                child.kill()

    def _is_needed(self, place: Place) -> bool:
        """Whether one that says nothing any more is in the way of its successor."""
        if any(place in workforce.places for workforce in self.retired):
            return False
        return not self.workers.is_draining and self.stage is not Stage.FINISHING

    def _heard(self, place: Place, child: Child, message: SupervisorMessage) -> None:
        answers = isinstance(message, Prepared) and isinstance(place, ControlPlace | SparePlace)
        if isinstance(message, Serving) or (answers and not place.has_prepared):
            self.lives.process_ready(place)
        match message:
            case Failed():
                child.last_words = message.reason
                if self.stage is Stage.STARTING and self._failure is None:
                    self._fail(StartError(message.reason))
            case StopAsked():
                self._stop("it was asked through the admin API", at_once=message.at_once)
            case UpgradeAsked():
                self.attempts.begin(message)
            case MeasureAsked():
                forward(message, self.workers, self.stalls.blocked)
            case _ if self.attempts.current is not None and self.attempts.current.owns(place):
                self.attempts.current.heard(place, message)
            case Publish():
                self.workers.publish(message.number, message.fd, partial(self._published, child, message.number))
            case _ if isinstance(place, WorkerPlace):
                self._workforce_of(place).heard(place, message)
            case _:
                place.has_prepared = True
                place.begins_to_serve()

    def _published(self, child: Child, number: int, reasons: list[str]) -> None:
        if child.channel is not None:
            child.channel.send(NotPublished(number=number, reasons=reasons) if reasons else Published(number=number))

    def _reap(self, place: Place, child: Child) -> None:
        self._listen_to(place, child)  # its last words
        self._selector.unregister(child.pidfd)
        if child.channel is not None:
            self._selector.unregister(child.channel)
        self._ended(place, child.reap(), child.pid)

    def _ended(self, place: Place, reason: str, pid: int = 0) -> None:
        """A process is gone, or could not be started."""
        lived_s = 0.0 if place.child is None else time.monotonic() - place.started_s
        if self.attempts.current is not None and self.attempts.current.owns(place):
            self.attempts.current.died(place, reason)
        elif isinstance(place, WorkerPlace):
            workforce = self._workforce_of(place)
            delay_s = workforce.died(place, reason)
            if workforce.is_draining:
                if reason != "exited with code 0" and math.isfinite(workforce.drain_deadline_s):
                    self.lives.process_died(place, reason, pid, lived_s, None)
                left = sum(one.child is not None for one in workforce.places)
                self.lives.drained(place, reason, pid, lived_s, left)
            else:
                self._died(place, reason, pid, lived_s, delay_s)
        elif place is self.workers.spare:
            delay_s = place.vacate(reason)
            if self._wants_spare():
                self._died(place, reason, pid, lived_s, delay_s)
        elif not any(place is one for one, _ in self._helpers()):
            place.retire()  # it was let go
        else:
            if place is self.control:
                self.workers.abandon("control, which asked for it, is gone")
            delay_s = place.vacate(reason)
            if self.stage in (Stage.STARTING, Stage.RUNNING):
                self._died(place, reason, pid, lived_s, delay_s)

    def _died(self, place: Place, reason: str, pid: int, lived_s: float, delay_s: float) -> None:
        if self.stage is Stage.STARTING:
            self._fail(StartError(f"{place.name} could not start: {reason}"))
        else:
            self.lives.process_died(place, reason, pid, lived_s, delay_s)

    # -- beginning and end -----------------------------------------------------------------------------------------

    def _is_ready(self) -> bool:
        workers_ready = len(self.workers.live) == len(self.workers.places)
        return workers_ready and (self.control is None or self.control.has_prepared)

    def _greet(self) -> None:
        addresses = [group.address for group in self.holdings.groups]
        count = len(self.workers.places)
        clients = count * clients_of_a_worker(self._snapshot.gateway, count, descriptor_limit())
        took = self.lives.ready(addresses, clients)
        where = ", ".join(addresses)
        admin = "" if self.holdings.admin is None else f", admin {self.holdings.admin.address}"
        workers = f"{count} worker{'s' * (count != 1)}"
        ready = f"tidegate: ready after {took:.1f} s: {where}{admin}, {workers}, pid {os.getpid()}"
        with contextlib.suppress(OSError):  # who started it may not be listening any more
            sys.stderr.write("\n".join([ready, *self.order.greeting, ""]))
            sys.stderr.flush()

    def _hear_signals(self) -> None:
        for number in self.inbox.receive():
            match number:
                case signal.SIGTERM | signal.SIGINT:
                    is_second = self.stage in (Stage.DRAINING, Stage.FINISHING)
                    self._stop(signal.Signals(number).name, at_once=is_second)
                case signal.SIGUSR1:
                    self._reopen_logs()
                case signal.SIGHUP if self.ends_with_terminal and not has_terminal():
                    self._stop("its terminal was closed", at_once=False)
                case signal.SIGHUP:
                    self._tell_to_reload()
                case _:
                    pass

    def _is_told_to_end(self) -> bool:
        """Whether a signal has come that ends it, before there is a loop to hear it; others mean nothing so early."""
        ending = {signal.SIGTERM, signal.SIGINT}
        if self.ends_with_terminal and not has_terminal():
            ending.add(signal.SIGHUP)
        return not ending.isdisjoint(self.inbox.receive())

    def active_snapshot(self) -> Snapshot:
        """Decoded when somebody needs it: a reload costs the supervisor nothing that grows."""
        if self._snapshot.number != self.workers.snapshot_number:
            self._snapshot = Snapshot.decode(read_memory_file(self.workers.snapshot_fd))
        return self._snapshot

    def _reopen_logs(self) -> None:
        self.log.reopen()
        for workforce in (self.workers, *self.retired):
            workforce.reopen_logs()
        if self.control is not None:
            self.control.send(ReopenLogs())
        self.log.note("logs_reopened", "SIGUSR1: every process opens its log files anew")

    def _tell_to_reload(self) -> None:
        if self.control is None or not self.control.send(ReloadAsked()):
            self.log.say("not_reloaded", "SIGHUP: nobody is there who could read the configuration; try again")

    def _fail(self, failure: StartError) -> None:
        """The start came to nothing: everybody goes, and `run` raises the first reason."""
        if self._failure is None:
            self._failure = failure
            self.lives.start_failed(str(failure))
            self._stop("the start failed", at_once=True)

    def _stop(self, why: str, *, at_once: bool) -> None:
        if self.stage is Stage.FINISHING:
            self._deadline_s = time.monotonic() + _FINISH_AT_ONCE_S
            return
        self.lives.why = self.lives.why or why
        self._is_hurried |= at_once
        if at_once and self._failure is None:
            self.lives.hurried(why)
        self.attempts.fail("the gateway is told to stop")
        if at_once or self.stage is Stage.STARTING:
            for workforce in (self.workers, *self.retired):
                workforce.kill()
        elif self.stage is Stage.RUNNING:
            timeout_s = self.active_snapshot().gateway.server.drain_timeout
            self.lives.draining(timeout_s)
            self.workers.drain(timeout_s)
            for workforce in self.retired:
                workforce.give_way(timeout_s)
        self.stage = Stage.DRAINING
        self._notifier.say(STOPPING="1", STATUS="drains")
        self._deadline_s = time.monotonic() + _LISTENING_END_S

    def _finish(self) -> None:
        """The workers are gone: control writes out the logs, companions end."""
        self.stage = Stage.FINISHING
        self.lives.served()
        self._deadline_s = time.monotonic() + (_FINISH_AT_ONCE_S if self._is_hurried else _FINISH_S)
        for place, _ in self._helpers():
            place.start_at_s = None
            if place.child is None:
                continue
            if place.child.channel is None:
                place.child.signal(signal.SIGTERM)
            else:
                place.child.channel.send(Finish())

    def _tell_control(self) -> None:
        if self.control is None or self.stage is Stage.FINISHING:
            return
        workers = [status for workforce in (self.workers, *self.retired) for status in workforce.statuses()]
        roster = Roster(workers=workers, is_draining=self.workers.is_draining, upgrades=self.attempts.statuses())
        self.control.tell(roster)

    def let_go(self, place: Place) -> None:
        """Ends a process that nobody needs any more."""
        place.start_at_s = None
        if place.child is not None:
            place.child.kill()


def main(arguments: Sequence[str]) -> int:
    """Runs a gateway by its order, or goes on with one; what keeps it from that is said in one line."""
    try:
        match arguments:
            case ["--adopt", fd]:
                return succession.take_over(int(fd), Supervisor.adopt).run()
            case ["--rehearse", fd]:
                succession.rehearse(int(fd), Supervisor.adopt)
                return EXIT_FAILED
            case _:
                return Supervisor(read_order(int(arguments[0]), SupervisorOrder)).run()
    except Exception as error:  # noqa: BLE001 - its workers notice that it is gone, and drain
        return report(error)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
