import asyncio
from collections.abc import Sequence
from typing import Any, NamedTuple

from tidegate.config.listeners import Listener
from tidegate.config.snapshot import Snapshot
from tidegate.edge.listener import Bounds
from tidegate.memory.region import Region
from tidegate.net.reactor import Reactor
from tidegate.upstream.endpoint import EndpointStatistics
from tidegate.upstream.pool import PoolStatistics

class ServerStatistics(NamedTuple):
    connections: int
    exchanges: int
    inflight: int
    spare_exchanges: int
    channels: int
    faults: int
    pools: tuple[PoolStatistics, ...]
    upstreams: dict[str, tuple[EndpointStatistics, ...]]
    snapshot: int
    snapshots: int

class Server:
    reactor: Reactor
    bounds: Bounds
    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        snapshot: Snapshot,
        slot: int,
        region: Region,
        error_log: Any,
        *,
        listeners: Sequence[tuple[Listener, int]] = (),
    ) -> None: ...
    async def prepare(self, snapshot: Snapshot) -> None: ...
    def forget(self, number: int) -> None: ...
    def start(self) -> None: ...
    def drain(self, deadline: float) -> None: ...
    async def drained(self) -> None: ...
    def close(self) -> None: ...
    def statistics(self) -> ServerStatistics: ...
