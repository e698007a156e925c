"""A worker process: maps the shared memory, builds its snapshot, serves when told, drains when told or left alone.

Its first and only argument is the descriptor of its `WorkerOrder`. Nothing imported here, or by what it imports, is for
people: no configuration checker, no command line, no web framework.
"""

import asyncio
import contextlib
import gc
import os
import signal
import sys
from functools import partial
from pathlib import Path

import uvloop

from tidegate.config.snapshot import Snapshot
from tidegate.memory.region import Region
from tidegate.memory.slot import SlotState
from tidegate.process import tasks
from tidegate.process.channel import Channel, ChannelClosed
from tidegate.process.cores import pin
from tidegate.process.development import Development
from tidegate.process.failure import EXIT_FAILED, in_one_line
from tidegate.process.logs import open_error_log, take_logging
from tidegate.process.measurement import measure
from tidegate.process.messages import (
    Drain,
    Failed,
    Forget,
    ListeningEnded,
    Measure,
    Prepare,
    Prepared,
    Refused,
    ReopenLogs,
    Serve,
    Serving,
    WorkerMessage,
    WorkerOrder,
    read_memory_file,
    read_order,
)
from tidegate.process.pulse import Pulse
from tidegate.process.service import Service, load_service
from tidegate.process.slices import collector_at_rest, in_slices
from tidegate.process.stack_pipe import answer_with_stacks

__all__ = ["COMM", "begin", "live", "main", "settle_collector"]

COMM = "tidegate-worker"
"""What `ps` and `top` call a worker that has a place."""

_TICK_S = 1.0  # for lines of the error log that were held back
_CLOSE_S = 0.5  # after the drain's deadline, for the service's own closing


_YOUNG_MAX = 5000
"""New objects at which the collector looks at them: half a millisecond. Some hundred exchanges that wait have
thousands, which at 700, Python's own bound, were looked at in each turn of the loop."""


def settle_collector() -> None:
    """Before a worker serves: what its snapshot is made of lives as long as it does and is not looked at again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_MAX, *gc.get_threshold()[1:])


class Worker:
    """One worker from its order to its end."""

    def __init__(self, order: WorkerOrder, channel: Channel[WorkerMessage], loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._order = order
        self._channel = channel
        self._region = Region.attach(order.region_fd, order.bell_fds)
        self._slot = self._region.slot(order.slot)
        self._ended = asyncio.Event()
        self._is_draining = False
        self._exit_code = 0
        self._service: Service | None = None
        self._development = Development()
        # snapshots on their way, by number, and how long a drain may take under each
        self._preparing: dict[int, asyncio.Task[None]] = {}
        self._drain_timeouts_s: dict[int, float] = {}

    def __repr__(self) -> str:
        return f"<Worker {self._order.slot} {self._slot.state.name.lower()} {self._service!r}>"

    async def run(self) -> int:
        """Lives; returns the exit code."""
        self._pulse = Pulse(self._loop, self._slot, self._slot.take_meters())
        self._pulse.start()
        try:
            service = await self._prepare()
        except Exception as error:  # noqa: BLE001 - whatever it is, the operator reads it in one line
            self._give_up(error)
            return self._exit_code
        self._service = service
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._drain_as_configured)
        self._loop.add_reader(self._channel.fileno(), self._hear)
        self._channel.send(Prepared(snapshot=self._slot.prepared))
        await self._ended.wait()
        for task in self._preparing.values():
            task.cancel()
        service.close()
        self._error_log.close()
        return self._exit_code

    async def _prepare(self) -> Service:
        snapshot = Snapshot.decode(read_memory_file(self._order.snapshot_fd))
        os.close(self._order.snapshot_fd)
        self._error_log = open_error_log(snapshot.gateway.error_log, self._region, worker=self._order.slot)
        take_logging(self._error_log)
        pin(snapshot.gateway.server, self._order.slot % self._region.workers, self._error_log.say)
        self._tick()
        listeners = [(snapshot.gateway.listeners[one.index], one.fd) for one in self._order.listeners]
        factory = load_service(self._order.service)
        service = factory(self._loop, snapshot, self._order.slot, self._region, self._error_log, listeners=listeners)
        await service.prepare(snapshot)
        self._has_prepared(snapshot)
        del snapshot
        settle_collector()
        return service

    def _has_prepared(self, snapshot: Snapshot) -> None:
        active = self._region.snapshot_number
        self._drain_timeouts_s = {n: held for n, held in self._drain_timeouts_s.items() if n >= active}
        self._drain_timeouts_s[snapshot.number] = snapshot.gateway.server.drain_timeout
        self._slot.prepared = snapshot.number
        self._development.follow(snapshot.gateway, self._error_log.say)

    # -- another snapshot, while serving ---------------------------------------------------------------------------

    async def _prepare_another(self, service: Service, number: int, fd: int) -> None:
        try:
            with collector_at_rest():
                # -1, when there was no descriptor left for it, is an error like any other.
                snapshot = await in_slices(Snapshot.decoding(read_memory_file(fd), with_text=False))
                await service.prepare(snapshot)
            self._has_prepared(snapshot)
            self._channel.send(Prepared(snapshot=number))
        except Exception as error:  # noqa: BLE001 - as when it starts, but the active snapshot goes on
            self._error_log.say("snapshot_refused", in_one_line(error), snapshot=number, error=error)
            self._channel.send(Refused(snapshot=number, reason=in_one_line(error)))

    def _has_tried(self, number: int, fd: int, _: "asyncio.Task[None]") -> None:
        # Not in the task: one that is cancelled before it began runs nothing.
        del self._preparing[number]
        if fd >= 0:
            os.close(fd)

    def _forget(self, service: Service, number: int) -> None:
        if (task := self._preparing.get(number)) is not None:
            task.cancel()
        service.forget(number)
        if self._drain_timeouts_s.pop(number, None) is not None:
            self._slot.prepared = max(self._drain_timeouts_s)

    # -- life ------------------------------------------------------------------------------------------------------

    def _tick(self) -> None:
        self._error_log.tick()
        self._development.tick()
        self._loop.call_later(_TICK_S, self._tick)

    def _hear(self) -> None:
        try:
            while (message := self._channel.receive()) is not None:
                match message:
                    case Serve():
                        self._serve()
                    case Drain():
                        self._drain(message.timeout_s)
                    case ReopenLogs():
                        self._error_log.reopen()
                    case Prepare(number=number, fd=fd) if self._service is not None:
                        task = tasks.start(
                            self._prepare_another(self._service, number, fd), f"prepare snapshot {number}"
                        )
                        self._preparing[number] = task
                        task.add_done_callback(partial(self._has_tried, number, fd))
                    case Forget(number=number) if self._service is not None:
                        self._forget(self._service, number)
                    case Measure():
                        tasks.start(measure(message), f"measure {message.kind}")
        except ChannelClosed:
            # The supervisor is gone, and with it whoever would replace this worker.
            self._loop.remove_reader(self._channel.fileno())
            self._drain_as_configured()

    def _serve(self) -> None:
        if self._service is None or self._is_draining:
            return
        try:
            self._service.start()
        except Exception as error:  # noqa: BLE001 - as when it prepares
            self._give_up(error)
            return
        self._pulse.forget_maxima()
        self._slot.state = SlotState.READY
        self._channel.send(Serving())

    def _give_up(self, error: Exception) -> None:
        self._channel.send(Failed(reason=in_one_line(error)))
        self._exit_code = EXIT_FAILED
        self._ended.set()

    def _drain_as_configured(self) -> None:
        known = self._drain_timeouts_s
        self._drain(known.get(self._region.snapshot_number) or known[max(known)])

    def _drain(self, timeout_s: float) -> None:
        # One that has given up accepts nobody, or whoever waits in its sockets would be cut with it.
        if self._is_draining or self._service is None or self._ended.is_set():
            return
        self._is_draining = True
        self._slot.state = SlotState.DRAINING
        self._service.drain(self._loop.time() + timeout_s)
        self._channel.send(ListeningEnded())
        tasks.start(self._end_when_drained(self._service, timeout_s), "drain")

    async def _end_when_drained(self, service: Service, timeout_s: float) -> None:
        try:
            async with asyncio.timeout(timeout_s + _CLOSE_S):
                await service.drained()
        except TimeoutError:
            pass
        finally:
            self._ended.set()


def begin(order_fd: int) -> tuple[WorkerOrder, Channel[WorkerMessage]]:
    """The order in that descriptor, and the channel it names; what was inherited goes to no child from here."""
    order = read_order(order_fd, WorkerOrder)
    # Found where the command line found it: a filter's module must not depend on which process imports it.
    sys.path[:] = order.python_path
    for fd in (order.region_fd, *order.bell_fds, order.snapshot_fd, *(one.fd for one in order.listeners)):
        if fd >= 0:
            os.set_inheritable(fd, False)
    if order.stack_fd >= 0:
        answer_with_stacks(order.stack_fd)
    return order, Channel.inherited(order.channel_fd, WorkerMessage)


def live(order: WorkerOrder, channel: Channel[WorkerMessage]) -> int:
    """The whole life of the worker; returns the exit code."""
    with contextlib.suppress(OSError):
        Path("/proc/self/comm").write_text(COMM, encoding="ascii")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_run(order, channel))


async def _run(order: WorkerOrder, channel: Channel[WorkerMessage]) -> int:
    return await Worker(order, channel, asyncio.get_running_loop()).run()


def main() -> int:
    """Runs the worker whose order is in the descriptor named by the first argument."""
    return live(*begin(int(sys.argv[1])))


if __name__ == "__main__":
    sys.exit(main())
