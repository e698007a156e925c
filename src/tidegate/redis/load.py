"""How busy the servers behind a worker's links are, by their own account.

A server runs commands on one thread. When that thread is on a processor for the share b of the time and r commands a
second are done meanwhile, the server can do about r / b of such commands a second: at 70 % busy it is at 70 % of its
measured rate, whoever sends the commands. Both numbers are the server's own, from INFO: the processor time of its main
thread (Redis 6.2, Valkey, on Linux) and the commands it has done.

One worker of the machine asks, on the control lane. Only servers that this worker uses are asked.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

from tidegate.errors import GatewayError
from tidegate.memory.meters import Meters
from tidegate.memory.single_flight import Flight, SingleFlight
from tidegate.process import tasks

if TYPE_CHECKING:
    # A worker without links loads nothing that stands on hiredis.
    from tidegate.redis.link import Link
    from tidegate.redis.node import Node

__all__ = ["NODE_SERIES", "READ_S", "Load", "LoadWatch", "NodeLoad", "Reading"]

READ_S: Final = 5.0
"""Between two readings; shares are of this time."""
NODE_SERIES: Final = "node "
"""What the lane of a node's series is called before its address: it counts as a lane's does, but for all clients."""

_BUSY: Final = 0.7
_CALM: Final = 0.6  # below the other, or a server at 70 % would fill the log
_LEASE_S: Final = 3 * READ_S  # a worker that died or stands still for so long is followed by another
_TIMEOUT_S: Final = 1.0
_CPU: Final = ("used_cpu_user_main_thread", "used_cpu_sys_main_thread")


class Reading(NamedTuple):
    """What a server has done since it was started: seconds its main thread was on a processor, and commands."""

    at_s: float
    busy_s: float
    commands: int

    @classmethod
    def of(cls, info: bytes, at_s: float) -> "Reading | None":
        """From the sections ``cpu`` and ``stats`` of INFO; None when the server does not tell."""
        fields = dict(line.split(":", 1) for line in info.decode(errors="replace").splitlines() if ":" in line)
        try:
            return cls(at_s, sum(float(fields[name]) for name in _CPU), int(fields["total_commands_processed"]))
        except (KeyError, ValueError):
            return None


class Load(NamedTuple):
    """What a server did between two readings."""

    elapsed_s: float
    busy_s: float
    commands: int

    @property
    def share(self) -> float:
        """Part of the time that its main thread was busy."""
        return min(1.0, self.busy_s / self.elapsed_s)

    @property
    def rate(self) -> float:
        """Commands a second."""
        return self.commands / self.elapsed_s


class NodeLoad:
    """One server over time. Each change of state is one line of the log.

    Args:
        link: Name of the link.
        address: The server's.
        say: ``say(kind, message, level=…, **fields)``.
    """

    def __init__(self, link: str, address: str, say: Callable[..., None]) -> None:
        self.is_busy = False
        self._link = link
        self._address = address
        self._say = say
        self._last: Reading | None = None

    def read(self, reading: Reading) -> Load | None:
        """What was done since the reading before; None: this is the first, or the server was started anew."""
        last, self._last = self._last, reading
        if last is None or reading.at_s <= last.at_s:
            return None
        load = Load(reading.at_s - last.at_s, reading.busy_s - last.busy_s, reading.commands - last.commands)
        if load.busy_s < 0 or load.commands < 0:
            return None
        if load.share >= (_CALM if self.is_busy else _BUSY):
            if not self.is_busy:
                self.is_busy = True
                self._tell("redis_busy", load, f"it can do about {load.rate / load.share:.0f} of these", "warning")
        elif self.is_busy:
            self.is_busy = False
            self._tell("redis_calm", load, "it has room again", "info")
        return load

    def _tell(self, kind: str, load: Load, what: str, level: str) -> None:
        self._say(
            kind,
            f"redis {self._link}: {self._address} does {load.rate:.0f} commands a second with its main thread "
            f"{load.share:.0%} busy; {what}",
            level=level,
            redis=self._link,
            node=self._address,
            busy=round(load.share, 2),
            commands_per_s=round(load.rate),
        )

    def __repr__(self) -> str:
        return f"<NodeLoad {self._link} {self._address} {'busy' if self.is_busy else 'calm'}>"


class LoadWatch:
    """The servers of a worker's links; it looks at them while no other worker of the machine does.

    Args:
        links: The worker's, by name.
        flights: Of the machine.
        meters: The worker's, where it is counted what servers did.
        say: As of `NodeLoad`.
    """

    def __init__(
        self, links: "Mapping[str, Link]", flights: SingleFlight, meters: Meters, say: Callable[..., None]
    ) -> None:
        self._links = links
        self._flights = flights
        self._meters = meters
        self._say = say
        self._flight: Flight | None = None
        self._looking: asyncio.Task[None] | None = None
        self._loads: dict[tuple[str, str], NodeLoad] = {}

    def start(self) -> None:
        """Looks every few seconds from now on."""
        self._looking = tasks.start(self._look_again(), "load of redis")

    def close(self) -> None:
        """Leaves it to another worker."""
        if self._looking is not None:
            self._looking.cancel()
        self._land()

    async def look(self) -> bool:
        """Asks each server once; False: another worker does, or this one uses none."""
        self._land()
        asked = [(name, node) for name, link in self._links.items() for node in link.nodes() if node.is_used]
        if asked:
            self._flight = self._flights.lead(b"load of redis", _LEASE_S)
        if self._flight is None:
            self._loads.clear()  # what it last read is old when it leads again
            return False
        await asyncio.gather(*(self._read(name, node) for name, node in asked))
        self._loads = {key: load for key, load in self._loads.items() if key[0] in self._links}
        return True

    async def _look_again(self) -> None:
        while True:
            await asyncio.sleep(READ_S)
            await self.look()

    def _land(self) -> None:
        if self._flight is not None:
            self._flight.land()
            self._flight = None

    async def _read(self, link: str, node: "Node") -> None:
        control = node.lanes["control"]
        try:
            sections = await asyncio.gather(*(control.send(("INFO", what), _TIMEOUT_S) for what in ("cpu", "stats")))
        except GatewayError:
            return  # a server that is away is said by its breaker
        reading = Reading.of(b"\n".join(sections), time.monotonic())
        address = control.statistics().address
        if reading is None or not address:
            return
        key = (link, address)
        if key not in self._loads:
            self._loads[key] = NodeLoad(link, address, self._say)
        if (load := self._loads[key].read(reading)) is not None:
            series = self._meters.series_index("redis_lane", f"{link} {NODE_SERIES}{address}")
            counts = [load.commands, 0, 0, 0, 0, 0]
            self._meters.add_to_series(series, classes=counts, duration_ns=round(load.busy_s * 1e9))

    def __repr__(self) -> str:
        return f"<LoadWatch {'leads' if self._flight is not None else 'rests'}, {list(self._loads.values())}>"
