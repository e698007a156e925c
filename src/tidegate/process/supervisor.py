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
import resource
import selectors
import signal
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from tidegate.config.snapshot import Snapshot
from tidegate.memory.region import Region
from tidegate.process import runtime_directory
from tidegate.process.channel import Channel, ChannelClosed, channel_pair
from tidegate.process.child import Child
from tidegate.process.cores import usable_cores
from tidegate.process.failure import EXIT_FAILED, StartError, in_one_line
from tidegate.process.listeners import ListenerGroup, open_listeners
from tidegate.process.logs import open_error_log
from tidegate.process.messages import (
    Companion,
    ControlOrder,
    Failed,
    Finish,
    NotPublished,
    Publish,
    Published,
    ReloadAsked,
    ReopenLogs,
    Roster,
    StopAsked,
    SupervisorMessage,
    SupervisorOrder,
    read_memory_file,
    read_order,
)
from tidegate.process.place import Place, WorkerPlace
from tidegate.process.signals import SignalInbox, has_terminal
from tidegate.process.stall_watch import StallWatch
from tidegate.process.workforce import Workforce

__all__ = ["Supervisor", "main"]

_GENERATION = 1
_LISTENING_END_S = 2.0  # for workers to accept what waits when the gateway stops
_FINISH_S = 5.0  # for control to write out the logs
_FINISH_AT_ONCE_S = 1.0
_QUEUES_PERIOD_S = 0.5
_DESCRIPTORS = 1 << 20


class Stage(enum.Enum):
    """Where in its life the gateway is."""

    STARTING = "starting"
    RUNNING = "running"
    DRAINING = "draining"
    FINISHING = "finishing"  # the workers are gone


class Supervisor:
    """One gateway, from its order to its exit code."""

    def __init__(self, order: SupervisorOrder) -> None:
        self.stage = Stage.STARTING
        self._order = order
        self._failure: StartError | None = None
        self._started_ns = time.monotonic_ns()
        self._snapshot = Snapshot.decode(read_memory_file(order.snapshot_fd))
        self._deadline_s: float | None = None  # for what the present stage waits for
        self._is_hurried = False
        self._queues_due_s = 0.0
        self._roster: Roster | None = None
        self._selector = selectors.DefaultSelector()
        self._at_the_end = contextlib.ExitStack()
        self._groups: list[ListenerGroup] = []

    def run(self) -> int:
        """Serves until told to stop; returns the exit code.

        Raises:
            StartError: the gateway could not start.
        """
        with self._at_the_end:
            self._own()
            while not self._is_over():
                for key, _ in self._selector.select(self._patience()):
                    key.data()
                self._look_at_the_clock()
            if self._failure is not None:
                raise self._failure
            return 0

    # -- what it owns ----------------------------------------------------------------------------------------------

    def _own(self) -> None:
        gateway = self._snapshot.gateway
        self._ends_with_terminal = has_terminal() and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN
        self._inbox = SignalInbox([signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1])
        self._at_the_end.callback(self._inbox.close)
        self._selector.register(self._inbox, selectors.EVENT_READ, self._hear_signals)
        _raise_descriptor_limit()
        slots = usable_cores() if gateway.server.workers == "auto" else gateway.server.workers

        self._groups = open_listeners(gateway.listeners, slots)
        self._at_the_end.callback(self._close_listeners)
        sizes = {"log_bytes": gateway.access_log.buffer, "series": gateway.metrics.series}
        region = Region.create(2 * slots, workers=slots, **sizes)
        self._at_the_end.callback(region.close)

        self._log = open_error_log(gateway.error_log, region, process="supervisor")
        self._at_the_end.callback(self._log.close)
        self.workers = Workforce(
            region,
            self._groups,
            python_path=self._order.python_path,
            service=self._order.service,
            say=self._log.say,
            generation=_GENERATION,
        )
        self.workers.use_snapshot(self._snapshot.number, self._order.snapshot_fd)
        self.stalls = StallWatch(region, self.workers, self._log.say)
        self._helpers: list[tuple[Place, Callable[[], Child]]] = []
        self.control = Place("control")
        if self._order.has_control:
            # Sockets of its own, made once like the others: whoever asks while control is replaced is answered late.
            admin = ListenerGroup.open(_Admin(gateway.server.admin), 1, is_exclusive=True)
            self._at_the_end.callback(admin.close)
            self._admin_address = admin.address
            runtime_directory.prepare(Path(self._order.runtime_dir))
            socket_path = runtime_directory.socket_path(self._order.runtime_dir, os.getpid())
            commands = ListenerGroup.open(_Admin(f"unix:{socket_path}"), 1)
            self._at_the_end.callback(commands.close)
            start = partial(self._start_control, region, admin.fd(0), commands.fd(0))
            self._helpers.append((self.control, start))
        self._companions = [Place(companion.name) for companion in self._order.companions]
        for place, companion in zip(self._companions, self._order.companions, strict=True):
            self._helpers.append((place, partial(_start_companion, place, companion)))

    def _start_control(self, region: Region, admin_fd: int, socket_fd: int) -> Child:
        ours, theirs = channel_pair()
        order = ControlOrder(
            generation=_GENERATION,
            started_ns=self._started_ns,
            supervisor_pid=os.getpid(),
            channel_fd=theirs.fileno(),
            region_fd=region.fd,
            snapshot_fd=self.workers.snapshot_fd,
            highest_number=self.workers.highest_number,
            admin_fd=admin_fd,
            admin_address=self._admin_address,
            socket_fd=socket_fd,
            python_path=self._order.python_path,
            application=self._order.application,
        )
        fds = [theirs.fileno(), region.fd, self.workers.snapshot_fd, admin_fd, socket_fd]
        try:
            channel: Channel[SupervisorMessage] = Channel(ours, SupervisorMessage)
            child = Child.start("tidegate-control", "tidegate.process.control", order, channel, fds)
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        self.control.fill(child)
        self._roster = None  # the new one knows nothing yet
        return child

    def _close_listeners(self) -> None:
        for group in self._groups:
            group.close()
        self._groups.clear()

    # -- the loop --------------------------------------------------------------------------------------------------

    def _places(self) -> Iterator[tuple[Place, Callable[[], Child]]]:
        for place in self.workers.places:
            yield place, partial(self.workers.start, place)
        yield from self._helpers

    def _is_over(self) -> bool:
        return self.stage is Stage.FINISHING and all(place.child is None for place, _ in self._places())

    def _patience(self) -> float:
        """Seconds until something is due; every deadline is looked at twice a second at the latest."""
        now_s = time.monotonic()
        due = [place.start_at_s for place, _ in self._places() if place.start_at_s is not None]
        due += [at_s for at_s in (self._deadline_s, self.workers.publishes_until_s) if at_s is not None]
        return max(0.0, min(_QUEUES_PERIOD_S, self.stalls.patience_s(), min(due, default=math.inf) - now_s))

    def _look_at_the_clock(self) -> None:
        now_s = time.monotonic()
        for place, start in list(self._places()):
            if place.start_at_s is not None and now_s >= place.start_at_s and self._may_start(place):
                self._start(place, start)
        self.workers.conclude()
        for late in self.workers.overdue(now_s):
            assert late.child is not None  # noqa: S101 - narrows the type
            if self.workers.is_draining:
                self._log.say("drain_late", f"{late.name} has not finished in time: what it still serves is cut")
            else:
                late.child.last_words = "was not ready in time"
            late.child.kill()
        if self.stage is Stage.STARTING and self._is_ready():
            self.stage = Stage.RUNNING
            self._greet()
        is_late = self._deadline_s is not None and now_s >= self._deadline_s
        if self.stage is Stage.DRAINING:
            if is_late or not self.workers.is_listening:
                self._close_listeners()
                self._deadline_s = None
            if self.workers.is_gone:
                self._finish()
        elif self.stage is Stage.FINISHING and is_late:
            for place, _ in self._helpers:
                if place.child is not None:
                    place.child.kill()
        if now_s >= self._queues_due_s:
            self._queues_due_s = now_s + _QUEUES_PERIOD_S
            self.workers.measure_queues()
        self.stalls.look()
        self._log.tick()
        self._tell_control()

    def _may_start(self, place: Place) -> bool:
        """Workers while the gateway serves; the others as long as there are workers to tell about or to answer."""
        if isinstance(place, WorkerPlace):
            return self.stage in (Stage.STARTING, Stage.RUNNING)
        return self.stage is not Stage.FINISHING

    def _start(self, place: Place, start: Callable[[], Child]) -> None:
        try:
            child = start()
        except OSError as error:
            reason = f"could not be started: {error.strerror or error}"
            delay_s = place.vacate(reason)
            self._report_death(place, reason, delay_s)
            return
        self._selector.register(child.pidfd, selectors.EVENT_READ, partial(self._reap, place, child))
        if child.channel is not None:
            self._selector.register(child.channel, selectors.EVENT_READ, partial(self._listen_to, place, child))

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
            if place.child is child and not self.workers.is_draining and self.stage is not Stage.FINISHING:
                child.kill()

    def _heard(self, place: Place, child: Child, message: SupervisorMessage) -> None:
        match message:
            case Failed():
                child.last_words = message.reason
                if self.stage is Stage.STARTING and self._failure is None:
                    self._fail(StartError(message.reason))
            case StopAsked():
                self._stop(at_once=message.at_once)
            case Publish():
                self.workers.publish(message.number, message.fd, partial(self._published, child, message.number))
            case _ if isinstance(place, WorkerPlace):
                self.workers.heard(place, message)
            case _:
                place.has_prepared = True

    def _published(self, child: Child, number: int, reasons: list[str]) -> None:
        if child.channel is not None:
            child.channel.send(NotPublished(number=number, reasons=reasons) if reasons else Published(number=number))

    def _reap(self, place: Place, child: Child) -> None:
        self._listen_to(place, child)  # its last words
        self._selector.unregister(child.pidfd)
        if child.channel is not None:
            self._selector.unregister(child.channel)
        reason = child.reap()
        if place is self.control:
            self.workers.abandon("control, which asked for it, is gone")
        delay_s = self.workers.died(place, reason) if isinstance(place, WorkerPlace) else place.vacate(reason)
        if self.stage in (Stage.STARTING, Stage.RUNNING):
            self._report_death(place, reason, delay_s)

    def _report_death(self, place: Place, reason: str, delay_s: float) -> None:
        if self.stage is Stage.STARTING:
            self._fail(StartError(f"{place.name} could not start: {reason}"))
            return
        when = "now" if delay_s == 0 else f"in {delay_s:.1f} s, as it keeps dying"
        self._log.say("process_died", f"{place.name} is gone ({reason}); the next one starts {when}", "error")

    # -- beginning and end -----------------------------------------------------------------------------------------

    def _is_ready(self) -> bool:
        workers_ready = len(self.workers.live) == len(self.workers.places)
        return workers_ready and (self.control.has_prepared or not self._order.has_control)

    def _greet(self) -> None:
        where = ", ".join(group.address for group in self._groups)
        admin = f", admin {self._admin_address}" if self._order.has_control else ""
        count = len(self.workers.places)
        workers = f"{count} worker{'s' * (count != 1)}"
        took = (time.monotonic_ns() - self._started_ns) / 1e9
        ready = f"tidegate: ready after {took:.1f} s: {where}{admin}, {workers}, pid {os.getpid()}"
        with contextlib.suppress(OSError):  # who started it may not be listening any more
            sys.stderr.write("\n".join([ready, *self._order.greeting, ""]))
            sys.stderr.flush()

    def _hear_signals(self) -> None:
        for number in self._inbox.receive():
            match number:
                case signal.SIGTERM | signal.SIGINT:
                    self._stop(at_once=self.stage in (Stage.DRAINING, Stage.FINISHING))
                case signal.SIGUSR1:
                    self._reopen_logs()
                case signal.SIGHUP if self._ends_with_terminal and not has_terminal():
                    self._stop(at_once=False)
                case signal.SIGHUP:
                    self._tell_to_reload()
                case _:
                    pass

    def _active_snapshot(self) -> Snapshot:
        """Decoded when somebody needs it: a reload costs the supervisor nothing that grows."""
        if self._snapshot.number != self.workers.snapshot_number:
            self._snapshot = Snapshot.decode(read_memory_file(self.workers.snapshot_fd))
        return self._snapshot

    def _reopen_logs(self) -> None:
        self._log.reopen()
        self.workers.reopen_logs()
        if self.control.child is not None and self.control.child.channel is not None:
            self.control.child.channel.send(ReopenLogs())

    def _tell_to_reload(self) -> None:
        child = self.control.child
        if child is None or child.channel is None or not child.channel.send(ReloadAsked()):
            self._log.say("not_reloaded", "SIGHUP: nobody is there who could read the configuration; try again")

    def _fail(self, failure: StartError) -> None:
        """The start came to nothing: everybody goes, and `run` raises the first reason."""
        if self._failure is None:
            self._failure = failure
            self._stop(at_once=True)

    def _stop(self, *, at_once: bool) -> None:
        self._is_hurried |= at_once
        if self.stage is Stage.FINISHING:
            self._deadline_s = time.monotonic() + _FINISH_AT_ONCE_S
            return
        if at_once or self.stage is Stage.STARTING:
            self.workers.kill()
        elif self.stage is Stage.RUNNING:
            timeout_s = self._active_snapshot().gateway.server.drain_timeout
            self._log.say("draining", f"for at most {timeout_s:g} s; a second signal stops at once", "info")
            self.workers.drain(timeout_s)
        self.stage = Stage.DRAINING
        self._deadline_s = time.monotonic() + _LISTENING_END_S

    def _finish(self) -> None:
        """The workers are gone: control writes out the logs, companions end."""
        self.stage = Stage.FINISHING
        self._deadline_s = time.monotonic() + (_FINISH_AT_ONCE_S if self._is_hurried else _FINISH_S)
        for place, _ in self._helpers:
            place.start_at_s = None
            if place.child is None:
                continue
            if place.child.channel is None:
                place.child.signal(signal.SIGTERM)
            else:
                place.child.channel.send(Finish())

    def _tell_control(self) -> None:
        child = self.control.child
        if child is None or child.channel is None or self.stage is Stage.FINISHING:
            return
        roster = Roster(workers=self.workers.statuses(), is_draining=self.workers.is_draining)
        if roster != self._roster and child.channel.send(roster):
            self._roster = roster


class _Admin:
    """How control's own sockets are opened: the address as configured, nobody else on a unix one."""

    backlog = 128
    mode = 0o600
    owner = None

    def __init__(self, bind: str) -> None:
        self.bind = bind


def _start_companion(place: Place, companion: Companion) -> Child:
    child = Child.start_program(companion.name, companion.argv, companion.fds)
    place.fill(child)
    return child


def _raise_descriptor_limit() -> None:
    """As many descriptors as may be had without asking: each client and each upstream connection is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def main(order: SupervisorOrder) -> int:
    """Runs a gateway; what keeps it from starting is said in one line."""
    try:
        return Supervisor(order).run()
    except StartError as failure:
        sys.stderr.write(f"tidegate: {failure}\n")
        return failure.exit_code
    except Exception as error:  # noqa: BLE001 - its workers notice that it is gone, and drain
        sys.stderr.write(f"tidegate: the supervisor failed: {in_one_line(error)}\n")
        return EXIT_FAILED


if __name__ == "__main__":
    sys.exit(main(read_order(int(sys.argv[1]), SupervisorOrder)))
