"""The control process: answers about the gateway whatever state its workers are in, and writes the access log.

Its sockets belong to the supervisor, so whoever asks while it is replaced is answered a little later. Nothing it does
is needed for serving. What it answers is the `admin` room's business, named in its order like a worker's service.
"""

import asyncio
import contextlib
import importlib
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from tidegate.config.snapshot import Snapshot
from tidegate.memory.region import Region
from tidegate.observe.error_log import ErrorLog
from tidegate.observe.kernel import Kernel
from tidegate.observe.limit_rooms import LimitRooms
from tidegate.observe.log_writer import LogWriter
from tidegate.observe.metrics import Metrics
from tidegate.observe.saturation import SaturationBounds
from tidegate.observe.vitals import Vitals, bounds_of
from tidegate.process import state_directory, tasks
from tidegate.process.channel import Channel, ChannelClosed
from tidegate.process.failure import EXIT_FAILED, StartError
from tidegate.process.flight_recorder import FlightRecorder
from tidegate.process.history import History
from tidegate.process.learned import LearnedKeeper
from tidegate.process.logs import open_error_log, take_logging
from tidegate.process.messages import (
    ControlMessage,
    ControlOrder,
    Failed,
    Finish,
    NotPublished,
    Prepared,
    Published,
    ReloadAsked,
    ReopenLogs,
    Roster,
    Serve,
    StopAsked,
    read_memory_file,
    read_order,
)
from tidegate.process.quota_keeper import QuotaKeeper
from tidegate.process.reloader import Reloader
from tidegate.process.view import GatewayView
from tidegate.process.watch import watch

if TYPE_CHECKING:
    import uvicorn

__all__ = ["main"]

_TICK_S = 1.0
_AFTER_DRAIN_S = 2.0
_SUCCESSOR_S = 0.05  # how often an orphan looks whether another gateway wants its addresses


class Control:
    """One control process from its order to its end."""

    def __init__(self, order: ControlOrder, loop: asyncio.AbstractEventLoop) -> None:
        self._order = order
        self._loop = loop
        self._channel: Channel[ControlMessage] = Channel.inherited(order.channel_fd, ControlMessage)
        self._ended = asyncio.Event()
        self._may_go_on = asyncio.Event()  # from standing by
        self._view: GatewayView | None = None
        self._roster: Roster | None = None
        self._snapshot = Snapshot.decode(read_memory_file(order.snapshot_fd))
        os.close(order.snapshot_fd)
        self._region = Region.attach(order.region_fd)
        self._state = state_directory.of_gateway(self._snapshot)
        self._claimed_at_ns = 0 if self._state is None else state_directory.claimed_at_ns(self._state)
        self._error_log: ErrorLog | None = None
        self._log_writer: LogWriter | None = None
        self._servers: list[uvicorn.Server] = []

    def __repr__(self) -> str:
        return f"<Control {self._order.admin_address} of {self._order.supervisor_pid}>"

    async def run(self) -> int:
        """Lives; returns the exit code."""
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._end)
        self._loop.add_reader(self._channel.fileno(), self._hear)
        if self._order.is_standby and not await self._stand_by():
            return 0
        try:
            error_log = self._open_logs()
        except StartError as error:
            self._channel.send(Failed(reason=str(error)))
            return EXIT_FAILED
        self._reloader = self._make_reloader(error_log)
        self._snapshot = self._reloader.active
        view = self._view = GatewayView(
            snapshot=self._snapshot,
            reloader=self._reloader,
            region=self._region,
            generation=self._order.generation,
            started_ns=self._order.started_ns,
            supervisor_pid=self._order.supervisor_pid,
            admin_address=self._order.admin_address,
            ask_to_stop=self._ask_to_stop,
            metrics=Metrics(
                self._region,
                log_writer=self._log_writer,
                error_log=self._error_log,
                vitals=self._vitals,
                snapshot=lambda: self._snapshot,
                limit_rooms=self._limit_rooms,
            ),
            ask_to_upgrade=self._channel.send,
            ask_to_measure=self._channel.send,
            log_writer=self._log_writer,
            vitals=self._vitals,
            hear=self._hear,
            record=self._make_recorder(error_log).record,
        )
        view.roster = self._roster
        self._serve(view)
        self._channel.send(Prepared())
        tasks.start(self._reloader.keep_what_is_active(), "keep what is active")
        tasks.start(self._watch(), "watch the configuration")
        learned = LearnedKeeper(self._region, self._state, lambda: self._snapshot, error_log.say)
        tasks.start(learned.run(), "keep what is learned")
        quotas = self._make_quota_keeper(error_log)
        await self._ended.wait()
        await asyncio.to_thread(learned.keep)
        if quotas is not None:
            await asyncio.to_thread(quotas.keep)
            quotas.close()
        # Answers stay possible until the logs are written.
        if self._log_writer is not None:
            await asyncio.to_thread(self._log_writer.stop)
        for server in self._servers:
            server.should_exit = True
        if self._error_log is not None:
            self._error_log.close()
        return 0

    async def _stand_by(self) -> bool:
        """Loads what it needs and waits until the control before it has ended; False when it is not needed."""
        import uvicorn  # noqa: F401 - loads slowly

        _load(self._order.application)
        self._channel.send(Prepared())
        await self._may_go_on.wait()
        return not self._ended.is_set()

    def _end(self) -> None:
        self._ended.set()
        self._may_go_on.set()

    # -- logs ------------------------------------------------------------------------------------------------------

    def _open_logs(self) -> ErrorLog:
        gateway = self._snapshot.gateway
        error_log = self._error_log = open_error_log(gateway.error_log, self._region, process="control")
        take_logging(error_log)
        if gateway.access_log.path != "off":
            readers = [self._region.slot(index).log_reader() for index in range(self._region.slots)]
            path = gateway.access_log.path
            try:
                self._log_writer = LogWriter(readers, path, gateway.access_log.flush, say=error_log.say)
            except OSError as error:
                raise StartError(f"the access log {path} cannot be opened: {error.strerror or error}") from error
            self._log_writer.start()
        self._vitals = Vitals(self._region, self._bounds(), say=error_log.say)
        self._limit_rooms = LimitRooms(self._region, lambda: self._snapshot, error_log.say)
        self._tick()
        return error_log

    def _make_recorder(self, error_log: ErrorLog) -> FlightRecorder:
        recorder = FlightRecorder(
            self._snapshot,
            self._region,
            self._state,
            pid=self._order.supervisor_pid,
            generation=self._order.generation,
            say=error_log.say,
        )
        self._vitals.listeners.append(recorder.take)
        return recorder

    def _make_quota_keeper(self, error_log: ErrorLog) -> QuotaKeeper | None:
        if self._state is None:
            return None
        state, claimed_at_ns = self._state, self._claimed_at_ns
        keeper = QuotaKeeper(
            self._region,
            state,
            lambda: self._snapshot,
            error_log.say,
            is_ours=lambda: state_directory.claimed_at_ns(state) == claimed_at_ns,
        )
        tasks.start(keeper.run(), "keep quotas")
        return keeper

    def _bounds(self) -> SaturationBounds:
        return bounds_of(self._snapshot.gateway, self._region.workers, backlog_max=Kernel().backlog_max())

    def _tick(self) -> None:
        if self._error_log is not None:
            self._error_log.tick()
        self._loop.call_later(_TICK_S, self._tick)
        self._vitals.take()
        self._limit_rooms.look()

    # -- the configuration -----------------------------------------------------------------------------------------

    def _make_reloader(self, error_log: ErrorLog) -> Reloader:
        snapshot = self._snapshot
        return Reloader(
            snapshot,
            self._region,
            None if self._state is None else History(self._state),
            highest_number=self._order.highest_number,
            send=self._channel.send,
            say=error_log.say,
            adopted=self._adopt,
        )

    def _adopt(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        if self._view is not None:
            self._view.snapshot = snapshot
        self._vitals.bounds = self._bounds()

    async def _watch(self) -> None:
        reloader = self._reloader
        await watch(
            lambda: reloader.source if reloader.active.gateway.server.watch else None,
            lambda: reloader.active.origin.text_digest,
            lambda: reloader.reload("watch"),
        )

    # -- answers ---------------------------------------------------------------------------------------------------

    def _serve(self, view: GatewayView) -> None:
        import uvicorn

        from tidegate.process.peer_protocol import PeerProtocol

        class Server(uvicorn.Server):
            @contextlib.contextmanager
            def capture_signals(self) -> Iterator[None]:
                yield  # signals are the process's own business

        public, commands = _load(self._order.application)(view)
        for name, application, fd in (
            ("admin", public, self._order.admin_fd),
            ("commands", commands, self._order.socket_fd),
        ):
            config = uvicorn.Config(
                application,
                loop="none",
                http=PeerProtocol,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=1,
            )
            server = Server(config)
            self._servers.append(server)
            tasks.start(server.serve(sockets=[socket.socket(fileno=fd)]), f"serve {name}")

    def _ask_to_stop(self, at_once: bool) -> bool:
        return self._channel.send(StopAsked(at_once=at_once))

    # -- the supervisor --------------------------------------------------------------------------------------------

    def _hear(self) -> None:
        if self._view is not None and self._view.is_orphaned:
            return
        try:
            while (message := self._channel.receive()) is not None:
                match message:
                    case Roster():
                        self._roster = message
                        if self._view is not None:
                            self._view.roster = message
                    case Serve():
                        self._may_go_on.set()
                    case ReopenLogs():
                        if self._log_writer is not None:
                            self._log_writer.reopen()
                        if self._error_log is not None:
                            self._error_log.reopen()
                    case Finish():
                        self._end()
                    case ReloadAsked():
                        tasks.start(self._reloader.reload("SIGHUP"), "reload")
                    case Published():
                        self._reloader.concluded(message.number, [])
                    case NotPublished():
                        self._reloader.concluded(message.number, message.reasons)
        except ChannelClosed:
            self._loop.remove_reader(self._channel.fileno())
            if self._view is None:
                self._end()
                return
            self._view.is_orphaned = True
            self._reloader.abandon()
            tasks.start(self._outlive_workers(self._view), "outlive the workers")
            tasks.start(self._step_aside(), "step aside")

    async def _outlive_workers(self, view: GatewayView) -> None:
        """The supervisor is gone: the workers drain, and their last lines are still to be written."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._snapshot.gateway.server.drain_timeout + _AFTER_DRAIN_S):
                for worker in view.workers():
                    await _until_gone(worker.mark.pid)
        self._ended.set()

    async def _step_aside(self) -> None:
        """Gives up its addresses as soon as the next gateway has claimed the state directory."""
        if self._state is None:
            return
        while True:
            await asyncio.sleep(_SUCCESSOR_S)
            if state_directory.claimed_at_ns(self._state) != self._claimed_at_ns:
                break
        for server in self._servers:
            server.should_exit = True


async def _until_gone(pid: int) -> None:
    """Returns when the process has ended, reaped or not."""
    try:
        fd = os.pidfd_open(pid)
    except OSError:
        return
    loop = asyncio.get_running_loop()
    gone: asyncio.Future[None] = loop.create_future()
    loop.add_reader(fd, _resolve, gone)
    try:
        await gone
    finally:
        loop.remove_reader(fd)
        os.close(fd)


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _load(name: str) -> Callable[[GatewayView], tuple[Any, Any]]:
    """The function written ``package.module:function`` that makes the public application and that of the socket."""
    module, _, attribute = name.partition(":")
    make: Callable[[GatewayView], tuple[Any, Any]] = getattr(importlib.import_module(module), attribute)
    return make


def main() -> int:
    """Runs control by the order in the descriptor named by the first argument."""
    order = read_order(int(sys.argv[1]), ControlOrder)
    sys.path[:] = order.python_path
    for fd in (order.region_fd, order.snapshot_fd, order.admin_fd, order.socket_fd):
        os.set_inheritable(fd, False)
    with asyncio.Runner() as runner:
        return runner.run(_live(order))


async def _live(order: ControlOrder) -> int:
    return await Control(order, asyncio.get_running_loop()).run()


if __name__ == "__main__":
    sys.exit(main())
